"""Disks that boot: a deployment of the commit in an OSTree sysroot, a partition table and a bootloader around it.

Made without loop devices and mounts, and the same to the bit for one commit and one tools root.
What does not belong here: starting them, which `boot` does.
"""
