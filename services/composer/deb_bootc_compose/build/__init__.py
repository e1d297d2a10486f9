"""The phase `build`: source packages that the compose needs are built, and offered to `gather` as an APT repository.

Who builds is a port: the command `deb-mock` when nothing else is said, a hub when a composer of one runs the engine.
Which packages a compose takes is not decided here.
"""
