"""The bodies of our HTTP APIs and the payloads of tasks: what two services, or a service and a script, agree on.

Only shapes: no route, no SQL, no rule. Inputs forbid unknown fields; outputs may gain fields.
"""
