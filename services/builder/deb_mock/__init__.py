"""deb-mock: clean, isolated, cached buildroots, and the build of one Debian source package in one of them.

`engine.Engine` is the door, for the command line (`__main__`) and for the builder daemon alike. Bases, dependency
layers, sources and results belong here; queues, hubs, uploads and retries do not.
"""
