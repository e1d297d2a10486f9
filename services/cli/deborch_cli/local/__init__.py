"""The whole stack on one machine: PostgreSQL, RabbitMQ and the services as private child processes.

Belongs here: how each is started, watched, stopped and picked up again from one data directory. Does not belong
here: what a service does, or what a command prints. A service is known by its program name and its environment.
"""
