"""What this machine gives and refuses: root, subordinate ids, disk space, programs of other architectures.

Only asked and said here, by parts of the engine that need the answer; `doctor` tries everything and tells a user.
"""
