"""The auth service: API keys, builder enrolment, short-lived signed tokens and the key set that verifies them.

Owns the auth database. Which role may do what is in `deborch_shared.security`; who a caller is belongs here.
"""
