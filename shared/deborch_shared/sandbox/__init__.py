"""Running a command in fresh namespaces on an overlay root, with nothing left behind however it ends.

`box.Sandbox` is the door; `spec` says what can be asked for; `record` finds what dead owners left. What runs in
the helper process is in `inside`, which imports the standard library only. This module stays empty of imports,
because the helper loads it too and must start in milliseconds. What is built or composed does not belong here.
"""
