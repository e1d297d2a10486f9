"""Treefiles: what a tree is made of, read, merged, checked and resolved for one variant and one architecture.

Nothing here fetches or runs anything. Phases read the `ResolvedTreefile` alone.
"""
