"""What the API reads: one module per resource, rows in, contract models out. Nothing is changed and decided here.

Lists take a `limit` and the key that the page before ended with, and read along an index from there.
"""
