"""The commands, one module for each noun: arguments in, one call or two of a service, the result shown.

Belongs here: what a command is called, takes and says. Does not belong here: how to log in, move files, look on
or draw a table.
"""
