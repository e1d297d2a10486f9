"""Looking on while builds and tasks are worked on: streams that survive broken connections, and the live view.

Belongs here: reading event and log streams, what changed, how it is shown as it changes. Does not belong here:
starting or changing anything.
"""
