"""The command line `deborch`: talks to the hub and to auth over HTTP, and can run the whole stack on one machine.

Belongs here: commands, what they print, and `local`, which starts the services as processes of their own.
Does not belong here: anything that a service does. No service is imported, not even for its types:
what crosses HTTP is in `deborch_shared.contract`.
"""
