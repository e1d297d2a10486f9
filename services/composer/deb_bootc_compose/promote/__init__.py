"""Publishing commits: pull, sign, deltas, then the ref, then the summary; and refs back to what they were.

Only this touches repositories that clients pull from. Whatever is killed in between leaves the old refs valid.
"""
