"""Build dependencies of one source: what apt or another solver makes of them, installing them, and why they cannot be.

The store of what was installed is `layers`; how a request changes the dependencies, as data, is in `plans`.
"""
