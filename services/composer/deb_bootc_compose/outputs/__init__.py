"""What is made of a commit: container image, archives, disks. One package or module for each kind of output.

Each is a phase that reads the commit and writes nothing but its own directory (and a registry).
What does not belong here: how a commit is made, and when refs and tags move.
"""
