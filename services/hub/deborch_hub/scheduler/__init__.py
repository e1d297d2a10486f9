"""Who schedules (a lease with an epoch), what is placed where, and what has expired. Runs on one replica at a time."""
