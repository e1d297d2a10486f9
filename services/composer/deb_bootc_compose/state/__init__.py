"""The state directory: where composes, finished phases, caches and repositories lie, and who may write there when.

What does not belong here: what phases put into it.
"""
