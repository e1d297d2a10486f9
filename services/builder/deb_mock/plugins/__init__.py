"""Plug-ins: what runs beside a build without being part of it.

`api` is all that a plug-in may import, versioned; `catalogue` finds and checks plug-ins, `manager` calls them, and
the engine knows `manager` alone. Each shipped plug-in is one module in `shipped`. Nothing here knows the command line.
"""
