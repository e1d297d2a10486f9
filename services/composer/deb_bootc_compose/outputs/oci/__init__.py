"""Container images: layers by package, the OCI layout, its archive, and its signature.

A layer is a function of what is in it, so that composes share the layers of packages that did not change.
What does not belong here: pushing, which is `outputs.registry`.
"""
