"""Several sources, one after the other, each with what the ones before made.

What a user named is made ready here; all building is the engine's, which knows nothing of chains.
"""
