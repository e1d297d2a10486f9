"""Documents that say what something is made of and how: SPDX and in-toto, as plain JSON values.

What does not belong here: where the facts in them come from.
"""
