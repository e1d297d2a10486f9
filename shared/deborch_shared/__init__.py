"""What every service may use: ids, errors, events, the bus, the database, HTTP and lifecycle.

Knows no service. Nothing here connects, reads the environment or starts a task at import.
"""

__version__ = "0.1.0"
