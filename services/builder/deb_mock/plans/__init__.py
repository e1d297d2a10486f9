"""What a request means for one source package: version, names, profiles, dependencies, command and environment.

Data in, data out: nothing here runs a command, reads the clock or touches a disk.
"""
