"""Whether a build gives the same packages again: twice with other surroundings, or from a .buildinfo.

What varies, how results are compared and how differences are shown belong here; how anything is built does not.
"""
