"""Procrastinate's app: jobs and their states in PostgreSQL. BENCH_DSN says where."""

import os

from procrastinate import App, PsycopgConnector

app = App(connector=PsycopgConnector(conninfo=os.environ["BENCH_DSN"], min_size=4, max_size=16))


@app.task(name="noop")
async def noop() -> None:
    """Nothing."""
