"""Registries: images are pushed by digest while a compose runs; tags move when it is promoted, as an act of its own.

What does not belong here: what an image is made of.
"""
