"""The compose engine: treefile and variants in; OSTree commit, bootc OCI image and a disk that boots out.

It works alone, with no hub, no broker and no database. What belongs here: treefiles, phases and what they make.
What does not: events, HTTP, leases; those are the daemon's (`deborch_composer`).
"""
