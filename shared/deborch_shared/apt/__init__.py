"""How both engines read Debian archives with the host's apt: its configuration, its messages, its downloader.

Nothing here knows what is read for whom; what may be shown of an address (`redaction`) is decided here as well.
"""
