"""What people do by hand in a buildroot, without one."""

import tracemalloc

import pytest

from deb_mock.buildroots.sessions import BuildrootSession
from deborch_shared.errors import DeborchError
from deborch_shared.process import ProcessResult

CHUNK = bytes(1 << 20)


class Talkative:
    """A sandbox whose commands fail, but not before they wrote 64 MiB."""

    async def run(self, _argv, *, on_output, **_: object) -> ProcessResult:
        for _ in range(64):
            on_output(CHUNK)
        output = b"E: Unable to locate package nothing\n"
        return ProcessResult(100, output, truncated=True, wall_s=1.0, cpu_s=1.0)


async def test_an_install_that_writes_without_end_takes_no_memory_for_it_and_is_still_explained():
    seen = 0

    def count(chunk: bytes) -> None:
        nonlocal seen
        seen += len(chunk)

    session = BuildrootSession(Talkative(), file_owner=0, proxies={}, on_log=count, around=None)
    tracemalloc.start()
    try:
        with pytest.raises(DeborchError, match="nothing"):
            await session.install(["nothing"], network=False)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert seen == 64 << 20
