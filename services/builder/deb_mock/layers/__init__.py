"""What is installed above a base, kept on disk once and mounted by many: named by content, checked, held while in use.

How layers and downloads are stored, and layers for tools and exact sets, belong here. Which packages a build depends
on is decided in `dependencies`; what of the store can go, in `caches`.
"""
