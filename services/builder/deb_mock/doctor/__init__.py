"""What this host can and cannot do for builds, each thing tried, with the fix.

One module a group of checks; a check is a plain function from `Subject` to a `Finding`, listed in `examination`.
Nothing here changes the host: what is mounted is so in a process that ends at once, what is made in a directory that
is removed.
"""
