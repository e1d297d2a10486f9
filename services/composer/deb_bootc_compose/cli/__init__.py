"""The command line of deb-bootc-compose: one module a command or group of commands; `app` puts them together.

What a command prints, its options, its exit code and its progress belong here; how anything is composed does not.
"""
