"""OSTree repositories: what is in a commit, checking one out, making one.

Everything goes through ostree of the tools root. What a tree is made of, and where a commit is published, is decided
elsewhere.
"""
