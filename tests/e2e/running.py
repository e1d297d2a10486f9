"""A stack that `deborch up` runs, and its two doors: the command line and the HTTP API. Nothing else of it is used."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

DEBORCH = (sys.executable, "-m", "deborch_cli")
READY = "Ctrl-C stops everything"
_FOREIGN = ("DEBORCH_API_KEY", "DEBORCH_HUB_URL", "DEBORCH_AUTH_URL", "DEBORCH_TARGET", "DEBORCH_DATA")


@dataclass(frozen=True)
class Answer:
    """What the API said."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def request(
    method: str, url: str, *, token: str | None = None, body: Any = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """One request, with `body` as it is if bytes, else as JSON."""
    parts = urlsplit(url)
    sent = {"Connection": "close", **(headers or {})}
    if token is not None:
        sent["Authorization"] = f"Bearer {token}"
    if body is not None and not isinstance(body, bytes):
        body, sent["Content-Type"] = json.dumps(body).encode(), "application/json"
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    try:
        connection.request(method, f"{parts.path}?{parts.query}" if parts.query else parts.path, body, sent)
        response = connection.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()


@dataclass(frozen=True)
class Cli:
    """`deborch` as one user has it: with a configuration directory of its own."""

    environment: Mapping[str, str]
    directory: Path

    def __call__(self, *arguments: str | int | Path, code: int = 0) -> "subprocess.CompletedProcess[str]":
        """Run it to its end, which must be with exit code `code`."""
        done = subprocess.run(
            [*DEBORCH, *map(str, arguments)], env=self.environment, cwd=self.directory,
            capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        said = f"deborch {' '.join(map(str, arguments))}: {done.returncode}, not {code}\n{done.stdout}{done.stderr}"
        assert done.returncode == code, said
        assert "Traceback" not in done.stdout + done.stderr, said
        return done

    def json(self, *arguments: str | int | Path, code: int = 0) -> Any:
        return json.loads(self(*arguments, "--json", code=code).stdout)

    def problem(self, *arguments: str | int | Path, code: int) -> dict[str, Any]:
        """The problem that a command must end with, and with nothing on stdout."""
        done = self(*arguments, "--json", code=code)
        assert done.stdout == ""
        found: dict[str, Any] = json.loads(done.stderr.splitlines()[-1])
        return found

    @contextmanager
    def started(self, *arguments: str | int | Path) -> Iterator["subprocess.Popen[str]"]:
        """Run it beside the test."""
        process = subprocess.Popen(
            [*DEBORCH, *map(str, arguments)], env=self.environment, cwd=self.directory, text=True, bufsize=1,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        with process:
            try:
                yield process
            finally:
                process.kill()


@dataclass
class Stack:
    """What `deborch up` runs in one data directory."""

    data: Path
    environment: Mapping[str, str]
    _process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)
    _users: int = field(default=0, init=False)

    @property
    def admin(self) -> Cli:
        """As `deborch up` has logged it in."""
        return Cli(self.environment, self.data.parent)

    @property
    def output(self) -> str:
        """What the last `deborch up` has said so far."""
        return self._log.read_text() if self._log.exists() else ""

    @property
    def _log(self) -> Path:
        return self.data.parent / "up.log"

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """`deborch up` itself."""
        assert self._process is not None, "the stack was not started"
        return self._process

    @property
    def urls(self) -> tuple[str, str]:
        """Of hub and auth."""
        said = dict(line.split()[:2] for line in self.output.splitlines() if " http" in line)
        return said["hub"], said["auth"]

    def start(self) -> None:
        """Run `deborch up` until it is ready and its builder has been heard."""
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*DEBORCH, "up", "--data", self.data, "--builder-name", "b1"],
                env=self.environment, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        until(lambda: READY in self.output or self.process.poll() is not None, "the stack is up", within_s=120)
        assert self.process.poll() is None, self.output
        until(lambda: [host["online"] for host in self.get("hosts")["items"]] == [True], "the builder is there")

    def end(self, number: signal.Signals) -> int:
        """Send a signal to `deborch up`, which must end it; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)

    @property
    def hub(self) -> str:
        return f"{self.urls[0]}/api/v1"

    @property
    def auth(self) -> str:
        return f"{self.urls[1]}/api/v1"

    def user(self, api_key: str) -> Cli:
        """The command line of somebody who has `api_key` and has never used it here."""
        self._users += 1
        given = {
            **self.environment,
            "DEBORCH_CONFIG_DIR": str(self.data.parent / f"user-{self._users}"),
            "DEBORCH_HUB_URL": self.urls[0],
            "DEBORCH_AUTH_URL": self.urls[1],
            "DEBORCH_API_KEY": api_key,
        }
        return Cli(given, self.data.parent)

    @cached_property
    def token(self) -> str:
        """An access token of the admin; it lives longer than all tests take."""
        key = (self.data / "admin.key").read_text().strip()
        token: str = request("POST", f"{self.auth}/token", body={"api_key": key}).json()["access_token"]
        return token

    def get(self, path: str) -> Any:
        """What the hub's API has at `path`: a question that can be put many times a second."""
        answer = request("GET", f"{self.hub}/{path}", token=self.token)
        assert answer.status == 200, answer
        return answer.json()

    def post(self, path: str, body: Any) -> Any:
        """Have the hub's API do something."""
        answer = request("POST", f"{self.hub}/{path}", token=self.token, body=body)
        assert answer.status in {200, 201, 202}, answer
        return answer.json()

    def wait_for_task(self, build: int, state: str, **also: Any) -> dict[str, Any]:
        """Wait until the last task of a build is in `state`, and like `also`; the task."""
        wanted = {"state": state, **also}
        last: dict[str, Any] = {}

        def found() -> bool:
            last.update(self.get(f"builds/{build}")["tasks"][-1])
            return wanted.items() <= last.items()

        until(found, f"the task of build {build} is {wanted}, it was {last}")
        return last


def environment_for(data: Path, cache: Path) -> dict[str, str]:
    """A user who has never used deborch; builder and composer share bases, layers, tools and packages with the other
    tests."""
    state = data.parent / "composer-state"
    state.mkdir(exist_ok=True)
    shared = cache / "deb-bootc-compose" / "state" / "cache"
    shared.mkdir(parents=True, exist_ok=True)
    if not (state / "cache").is_symlink():
        (state / "cache").symlink_to(shared)
    return {
        **{name: value for name, value in os.environ.items() if name not in _FOREIGN},
        "DEBORCH_CONFIG_DIR": str(data.parent / "config"),
        "DEBORCH_BUILDER_CACHE_DIR": str(cache / "deb-mock"),
        "DEBORCH_BUILDER_CPU": "2",
        "DEBORCH_COMPOSER_STATE_DIR": str(state),
        "DEBORCH_DRAIN_TIMEOUT_S": "5",
    }


@contextmanager
def running(data: Path, environment: Mapping[str, str]) -> Iterator[Stack]:
    """A stack in `data`, stopped at the end."""
    stack = Stack(data, environment)
    try:
        stack.start()
        yield stack
    finally:
        if stack.process.poll() is None:
            stack.end(signal.SIGTERM)


def until(holds: Callable[[], Any], what: str, *, within_s: float = 60, every_s: float = 0.05) -> None:
    """Wait until something holds."""
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, f"not within {within_s} s: {what}"
        time.sleep(every_s)


def mount_namespaces() -> dict[int, int]:
    """The mount namespace of each process: all processes of a buildroot share one, which nobody else has."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            found[int(process.name)] = (process / "ns" / "mnt").stat().st_ino
    return found


def process_that_runs(command: str) -> int | None:
    """The id of a process whose command line is `command`."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cmdline").read_text().rstrip("\0").replace("\0", " ") == command:
                return int(process.name)
    return None
