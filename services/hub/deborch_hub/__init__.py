"""The hub: the queue, the scheduler, the record of every build, the APT archives. Owns the hub database.

Layers, checked: __main__ -> api | listeners | scheduler | outbox | archives -> handlers -> store -> domain.
"""
