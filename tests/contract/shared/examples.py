"""One instance of every event's data with all its fields set. A new type or version needs one here and a golden file.

`python tests/contract/shared/examples.py` writes the golden files that are missing; it never changes one that is there,
since what was once published must stay readable.
"""

from datetime import UTC, datetime
from pathlib import Path

import orjson
from tests.contract.shared.compose_examples import COMPOSE_EXAMPLES

from deborch_shared.events import Event, EventData, wire_form
from deborch_shared.events import model as m

GOLDEN = Path(__file__).parent / "golden"
AT = datetime(2026, 11, 22, 23, 30, 15, 123456, tzinfo=UTC)
DIGEST = "0f" * 32
FILE = m.File(name="hello_2.10-3_amd64.deb", sha256=DIGEST, size_bytes=53_084)
RESOURCES = m.Resources(cpu=2, memory_bytes=2 << 30, disk_bytes=10 << 30)
TASK = {"task_id": 12, "attempt": 3, "build_id": 7, "kind": "build-package"}
BUILD = {"build_id": 7, "target": "bookworm", "source": "hello", "version": "1:2.10-3~deb12u1+b2"}
REPORT = {"task_id": 12, "attempt": 3, "host": "builder1"}

EXAMPLES: list[EventData] = [
    m.TaskCreated(**TASK, architecture="amd64", state="blocked"),
    m.TaskAssigned(**TASK, host="builder1"),
    m.TaskFreed(**TASK, reason="lease expired"),
    m.TaskBlocked(**TASK, reason="build-dependencies", missing=("libfoo-dev (>= 2)", "bar | baz")),
    m.TaskRunning(**TASK, host="builder1"),
    m.TaskCompleted(**TASK),
    m.TaskFailed(**TASK, failure_class="compile", message="make: *** [all] Error 2: übel"),
    m.TaskCanceled(**TASK),
    m.BuildRequested(**BUILD, owner="key:4f1c"),
    m.BuildCompleted(**BUILD),
    m.BuildFailed(**BUILD, message="amd64: compile"),
    m.BuildCanceled(**BUILD),
    m.HostRegistered(host="builder1", architectures=("amd64", "i386"), tags=("big", "ssd"), resources=RESOURCES),
    m.HostLost(host="builder1", last_heartbeat_at=AT),
    m.HostChanged(host="builder1", state="draining", by="key:4f1c"),
    m.ArchivePublished(target="bookworm", generation=42, snapshot="20261122T233015Z", packages=60_000),
    m.AuditRecorded(actor="key:4f1c", action="key.create", object="deborch_key_5a", outcome="denied"),
    m.TaskStarted(**REPORT),
    m.TaskRefused(**REPORT, reason="disk full"),
    m.BuildDone(
        **REPORT,
        succeeded=False,
        failure_class="dep-wait",
        message="unmet",
        missing=("libfoo-dev",),
        artifacts=(FILE,),
        stages=(m.Stage(name="build", wall_s=23.5, cpu_s=22.25, memory_peak_bytes=1 << 29, disk_bytes=1 << 28),),
    ),
    m.HostHeartbeat(
        host="builder1",
        load_1m=0.75,
        memory_available_bytes=1 << 30,
        disk_available_bytes=1 << 40,
        draining=True,
        running=(
            m.RunningTask(
                task_id=12,
                attempt=3,
                stage="build",
                progress=m.Progress(stage_s=12.5, cpu_s=11.25, memory_bytes=1 << 28, log_bytes=4096),
            ),
        ),
        obstacle="the disk is nearly full",
    ),
    m.TaskProgress(
        **TASK,
        host="builder1",
        stage="build",
        stage_s=12.5,
        cpu_s=11.25,
        memory_bytes=1 << 28,
        log_bytes=4096,
    ),
    m.PrepareEnvironment(suite="bookworm", components=("main", "contrib"), architecture="amd64"),
    m.AssignTask(
        **TASK,
        architecture="amd64",
        lease_s=30.5,
        resources=RESOURCES,
        payload={"dsc": FILE.model_dump(), "timeout_s": 3600.0},
    ),
    m.CancelTask(task_id=12, attempt=3),
    *COMPOSE_EXAMPLES,
]  # fmt: skip


def golden_path(data: EventData, mode: str) -> Path:
    return GOLDEN / f"{data.TYPE}.v{data.VERSION}.{mode}.json"


def golden_event(data: EventData, number: int = 1) -> Event:
    return Event(
        id=f"019a9c0e-6d43-7000-8000-{number:012d}",
        source="/hub",
        data=data,
        time=AT,
        subject="task/12",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )


def write_missing() -> None:
    for data in EXAMPLES:
        forms = {
            "structured": wire_form(golden_event(data)),
            "batched": [wire_form(golden_event(data, number)) for number in (1, 2)],
        }
        for mode, form in forms.items():
            path = golden_path(data, mode)
            if not path.exists():
                path.write_bytes(orjson.dumps(form, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


if __name__ == "__main__":
    write_missing()
