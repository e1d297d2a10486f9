"""The composer daemon: takes composes from the queue that all composers share, runs them, reports what came of them.

Belongs here: claims, attempts, what the engine says as reports and logs, uploads, builds by the hub for the engine.
Does not belong here: how a compose is made (deb_bootc_compose, behind `engine_port`), who may have one (the hub).
Layers, checked: __main__ -> daemon | bootc_engine -> requests | commands | recovery -> composes -> one_compose -> ...
"""
