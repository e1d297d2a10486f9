"""How `pytest -n 2` shares the tests: a worker takes whole files, and whole folders where one stack serves them all."""

from pathlib import PurePosixPath

import pytest
from xdist.scheduler import LoadScopeScheduling

TOGETHER = ("tests/e2e",)
"""Folders whose tests share something that takes long to start: one worker takes all of one."""

FIRST = (
    "tests/e2e",
    "tests/integration/deb_bootc_compose",
    "tests/integration/deb_mock",
    "tests/chaos",
    "tests/integration",
)
"""Folders in which single tests take long, so they begin first: the short ones fill up both workers at the end."""


class Scheduler(LoadScopeScheduling):
    """Hands out the units of work in the order in which they were collected."""

    def __init__(self, config: pytest.Config, log: object = None) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


def unit_of(nodeid: str) -> str:
    """What one worker takes as a whole: a file or a folder."""
    file = nodeid.partition("::")[0]
    return next((folder for folder in TOGETHER if is_in(file, folder)), file)


def in_order(items: list[pytest.Item]) -> None:
    """Sort the tests by when they begin; those of a unit keep their order."""
    items.sort(key=lambda item: next((n for n, folder in enumerate(FIRST) if is_in(item.nodeid, folder)), len(FIRST)))


def is_in(nodeid: str, folder: str) -> bool:
    return PurePosixPath(folder) in PurePosixPath(nodeid.partition("::")[0]).parents
