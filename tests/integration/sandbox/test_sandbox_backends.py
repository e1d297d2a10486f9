"""Commands isolated by programs of the host, in a root whose own programs lie."""

from dataclasses import replace

import pytest

from deborch_shared.errors import DeborchError
from deborch_shared.sandbox.backends import problem
from deborch_shared.sandbox.box import open_sandbox
from deborch_shared.sandbox.spec import Backend, Bind, Filtering

NOTHING_DROPPED = """\
#!/bin/sh
while test "$1" != --; do shift; done
shift
exec "$@"
"""
LOOK = "id -u; id -g; id -G; grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status; stat -c %u /"


@pytest.fixture
def with_lies(spec, tmp_path):
    """The sandbox of a backend, with a setpriv that drops nothing."""
    lie = tmp_path / "setpriv"
    lie.write_text(NOTHING_DROPPED)
    lie.chmod(0o755)

    def made(backend, filtering=Filtering.REQUIRED):
        missing = problem(backend)
        if missing is not None:
            pytest.skip(f"{missing.message}: {missing.hint}")
        binds = (*spec.binds, Bind(lie, "/usr/bin/setpriv"))
        return replace(spec, backend=backend, binds=binds, filtering=filtering)

    return made


async def seen(spec, uid):
    async with open_sandbox(spec) as sandbox:
        return (await sandbox.run(["/bin/sh", "-c", LOOK], uid=uid)).output.decode().split()


async def test_no_program_of_the_root_keeps_bubblewrap_from_dropping_privileges(with_lies):
    spec = with_lies(Backend.BWRAP)
    none = "0" * 16
    status = ["CapEff:", none, "CapBnd:", none, "NoNewPrivs:", "1", "Seccomp:", "2"]
    assert await seen(spec, 59_000) == ["59000", "59000", "59000", *status, "0"]
    few = "00000000a00405fb"
    uid, gid, groups, _, effective, *_ = await seen(spec, 0)
    assert (uid, gid, groups, effective) == ("0", "0", "0", few)


async def test_a_root_that_lies_to_nspawn_is_root_inside_with_the_right_to_change_ids_only(with_lies):
    spec = with_lies(Backend.NSPAWN, Filtering.PREFERRED)
    change_ids = "00000000000000c0"
    status = ["CapEff:", change_ids, "CapBnd:", change_ids, "NoNewPrivs:", "1", "Seccomp:", "2"]
    assert await seen(spec, 59_000) == ["0", "0", "0", *status, "0"]


async def test_nspawn_runs_nothing_where_our_filter_is_required(with_lies):
    spec = with_lies(Backend.NSPAWN)
    with pytest.raises(DeborchError, match="cannot apply our filter"):
        async with open_sandbox(spec):
            pass
    assert not spec.directory.parent.exists()
