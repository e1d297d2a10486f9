"""The command line of deb-mock: one module a group of commands, each a typer app that `app` puts together.

What a command prints, its options, its exit code and its progress belong here; how anything is built does not.
"""
