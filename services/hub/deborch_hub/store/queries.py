"""All of the hub's named queries, read once."""

from deborch_shared.db import load_queries

SQL = load_queries("deborch_hub.store.sql")
MIGRATIONS = "deborch_hub.store.migrations"
