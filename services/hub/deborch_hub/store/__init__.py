"""What the hub keeps: PostgreSQL through named queries, blobs and logs on disk. No decision is made here."""
