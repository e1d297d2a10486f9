"""What the daemons that work for a hub have in common: a builder, a composer.

Belongs here: enrolment and tokens, heartbeats, reports with their spool, logs by offset, transfers by digest, the
data directory. Does not belong here: what one kind of daemon works on, and what the hub tells it.
"""
