"""Sandboxes on a base: which layers and directories each purpose gets, what people do in one, and those with a name.

Isolation itself is `deborch_shared.sandbox`. Bases and layers are made elsewhere and only mounted here.
"""
