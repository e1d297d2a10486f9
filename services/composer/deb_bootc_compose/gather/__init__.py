"""The phase `gather`: the exact packages of a tree, resolved by apt, locked, downloaded once, laid out.

What a lock file is, and what the files of the phase say, is decided here; how apt reads archives is in `archives`.
"""
