"""Files to and from the hub's blob store: resumable, verified by SHA-256, whole or absent.

Belongs here: bytes and how far they are. Does not belong here: which files a command wants moved.
"""
