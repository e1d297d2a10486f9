"""Starting a disk in qemu: for people at a terminal, and for the tests of a compose.

`machine` is the virtual machine, `guest` what is slipped into it without touching the disk, `report` what it says of
itself, `phases` the tests. What does not belong here: making disks.
"""
