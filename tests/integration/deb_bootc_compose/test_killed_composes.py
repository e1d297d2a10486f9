"""Composes whose process is killed at any moment, and resumed."""

import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.integration.deb_bootc_compose.killed_compose import PIECES

from deb_bootc_compose.state.layout import State
from deb_bootc_compose.state.records import RecordStore

REPOSITORY = Path(__file__).parents[3]
PROGRAM = "tests.integration.deb_bootc_compose.killed_compose"


def start(root, *arguments: str):
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", PROGRAM, str(root), *arguments]
    return subprocess.Popen(command, env=environment, cwd=REPOSITORY, stderr=subprocess.PIPE)


def whole_records(root):
    store = RecordStore(State(root))
    found = [store.find(*record) for record in store.all()]
    return [record for record in found if record is not None]


@pytest.mark.parametrize("seed", range(2))
def test_a_killed_compose_goes_on_where_it_was_and_trusts_nothing_half_made(tmp_path, seed):
    moments, root = random.Random(seed), tmp_path / "state"
    arguments: list[str] = []
    finished: Counter[str] = Counter()
    for _ in range(4):
        process = start(root, *arguments)
        while process.poll() is None and not any(root.glob("composes/*/COMPOSE_ID")):
            time.sleep(0.01)
        before = {(record.phase, record.inputs_digest) for record in whole_records(root)}
        deadline = time.monotonic() + 20
        while process.poll() is None and not _more_runs(tmp_path, finished) and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.12))
        process.kill()
        process.communicate()
        finished = _runs(tmp_path)
        records = whole_records(root)
        assert before <= {(record.phase, record.inputs_digest) for record in records}
        assert all(len(list(record.directory.iterdir())) == PIECES for record in records)
        assert len(records) == len(list(root.glob("phases/*/*")))
        arguments = [next(root.glob("composes/*/COMPOSE_ID")).parent.name]
    whole = {record.inputs_digest for record in whole_records(root)}
    runs_before = _runs(tmp_path)
    status = next(root.glob("composes/*/STATUS"))
    if status.read_text() != "FINISHED\n":
        last = start(root, *arguments)
        _, errors = last.communicate(timeout=60)
        assert last.returncode == 0, errors.decode()
    assert status.read_text() == "FINISHED\n"
    repeated = _runs(tmp_path) - runs_before
    assert sum(count for name, count in repeated.items() if "None" not in name) == 6 - len(whole)


def _runs(place):
    path = place / "runs"
    return Counter(path.read_text().splitlines()) if path.exists() else Counter()


def _more_runs(place, before):
    return _runs(place) != before
