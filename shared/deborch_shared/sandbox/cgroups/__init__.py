"""Control groups of sandboxes, in the unified hierarchy (v2), the older ones (v1) or both at once.

`hierarchies` finds what this process may use and says what is missing and why; `group` is the group of one sandbox:
made, limited, measured, ended and removed. What a limit means for a build does not belong here.
"""
