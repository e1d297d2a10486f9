"""What the service keeps, in PostgreSQL and in files of its data directory, and every query on it. No rule beyond
what the schema enforces, no HTTP."""
