"""Celery's worker: late acknowledgement, confirmed publishing. BENCH_BROKER and BENCH_RESULTS say where."""

import os

from celery import Celery

RPC = os.environ["BENCH_RESULTS"].startswith("rpc")

app = Celery("bench", broker=os.environ["BENCH_BROKER"], backend=os.environ["BENCH_RESULTS"])
app.conf.update(
    task_acks_late=True,
    broker_transport_options={"confirm_publish": True},
    task_default_queue=f"celery-{os.environ['BENCH_RESULTS'].split(':')[0].split('+')[0]}",
    worker_hijack_root_logger=False,
)


@app.task
def noop() -> None:
    """Nothing."""
