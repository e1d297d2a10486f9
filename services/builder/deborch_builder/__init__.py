"""The builder daemon: takes assignments from its own queue, runs them, and reports what came of them.

Belongs here: enrolment, registration, heartbeats, admission, attempts, transfers, logs, reports and their spool.
Does not belong here: how a package is built (deb_mock, behind `engine_port`) and which task goes where (the hub).
Layers, checked: __main__ -> daemon -> commands | heartbeat | recovery -> attempts -> kinds -> reporter | transfers.
"""
