"""The HTTP face of the service: the table of routes, and what each reads and answers. No rule belongs here."""
