"""Programs that a compose runs which the host may not have, or has too old: ostree, skopeo, qemu, mtools...

They come from a tools root of a Debian suite, made once and cached, and run in namespaces of their own.
What does not belong here: what the programs are asked to do; that is for the phases.
"""
