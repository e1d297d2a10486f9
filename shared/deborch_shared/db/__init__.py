"""PostgreSQL: the pool, named queries from `.sql` files, migrations. No query text and no table name belongs here."""

from deborch_shared.db.migrations import Migrator
from deborch_shared.db.pool import Connection, Database
from deborch_shared.db.queries import load_queries

__all__ = ["Connection", "Database", "Migrator", "load_queries"]
