"""Real child processes: readiness, logs, and that nothing outlives whoever started it."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from deborch_cli.local.server_process import ServerProcess
from deborch_cli.local.service import Service, ServiceSpec
from deborch_cli.local.supervisor import Supervisor
from deborch_shared.errors import DeborchError, ErrorCode

READY_AT_SECOND_ASKING = """
import http.server, os, pathlib
class Handler(http.server.BaseHTTPRequestHandler):
    asked = 0
    def do_GET(self):
        Handler.asked += 1
        self.send_response(200 if Handler.asked > 1 else 503)
        self.end_headers()
    def log_message(self, *args):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
pathlib.Path(os.environ["PORT_FILE"]).write_text(str(server.server_address[1]))
server.serve_forever()
"""


def service(tmp_path: Path, program: str, **options: float) -> Service:
    return Service(
        ServiceSpec(
            name="sample",
            argv=[sys.executable, "-c", program],
            environment=lambda: {"PORT_FILE": str(tmp_path / "run/port")},
            port_file=tmp_path / "run/port",
            log=tmp_path / "log/sample.log",
            lock=tmp_path / "run/lock",
            **options,
        )
    )


async def test_a_service_has_started_when_its_readyz_says_so(tmp_path):
    sample = service(tmp_path, READY_AT_SECOND_ASKING)
    await sample.start()
    assert sample.process.running
    assert sample.url.startswith("http://127.0.0.1:")
    await sample.stop()
    assert not sample.process.running


async def test_a_service_that_dies_at_once_is_an_error_with_what_it_said(tmp_path):
    sample = service(tmp_path, "import sys; sys.exit('the setting X is wrong')")
    with pytest.raises(DeborchError, match="the setting X is wrong") as caught:
        await sample.start()
    assert caught.value.code is ErrorCode.SERVICE_UNAVAILABLE
    assert str(tmp_path / "log/sample.log") in caught.value.hint


async def test_a_service_that_never_becomes_ready_is_ended(tmp_path):
    sample = service(tmp_path, "import time; time.sleep(60)", start_timeout_s=0.3)
    with pytest.raises(DeborchError, match="was not ready within"):
        await sample.start()
    assert not sample.process.running


async def test_a_service_that_ignores_sigterm_is_killed_after_its_grace(tmp_path):
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + READY_AT_SECOND_ASKING
    sample = service(tmp_path, stubborn, stop_grace_s=0.2)
    await sample.start()
    await sample.stop()
    assert sample.process.returncode == -signal.SIGKILL


async def test_a_killed_service_is_running_again_soon(tmp_path):
    sample = service(tmp_path, READY_AT_SECOND_ASKING)
    async with asyncio.timeout(30), Supervisor(lambda notice: None) as supervisor:
        await supervisor.start(sample)
        first = sample.process.pid
        sample.kill()
        while sample.process.pid == first or not sample.process.running:
            await asyncio.sleep(0.02)


async def test_ctrl_c_on_the_terminal_does_not_reach_a_child(tmp_path):
    sample = service(tmp_path, READY_AT_SECOND_ASKING)
    await sample.start()
    assert os.getsid(sample.process.pid) != os.getsid(0)
    await sample.stop()


def test_a_child_ends_when_its_supervisor_is_killed(tmp_path):
    program = textwrap.dedent(f"""
        import sys, time
        from pathlib import Path
        from deborch_cli.local.server_process import ServerProcess
        child = ServerProcess.start("x", ["sleep", "300"], log=Path({str(tmp_path)!r}, "log"),
                                    lock=Path({str(tmp_path)!r}, "lock"), env={{"PATH": "/usr/bin:/bin"}})
        print(child.pid, flush=True)
        time.sleep(300)
    """)
    supervisor = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    child = psutil.Process(int(supervisor.stdout.readline()))
    wait_for(lambda: child.name() == "sleep")
    supervisor.kill()
    supervisor.communicate()
    wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


async def test_a_log_that_has_grown_large_is_put_aside_at_the_next_start(tmp_path, monkeypatch):
    monkeypatch.setattr("deborch_cli.local.server_process.LOG_KEPT_BYTES", 5)
    for word in ("first run", "second run"):
        process = ServerProcess.start(
            "x", ["echo", word], log=tmp_path / "x.log", lock=tmp_path / "lock", env={"PATH": "/usr/bin:/bin"}
        )
        await process.wait()
    assert (tmp_path / "x.log").read_text() == "second run\n"
    assert (tmp_path / "x.log.1").read_text() == "first run\n"


def wait_for(condition, limit_s=15.0):
    deadline_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen in time"
        time.sleep(0.02)
