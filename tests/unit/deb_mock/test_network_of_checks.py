"""What a check may fetch with the network: what a foreign source package asks for is packages, and nothing else."""

import pytest

from deb_mock.plugins.context import OpenBuildroot
from deb_mock.plugins.offline_repository import OfflineRepository
from deb_mock.stages.steps import Steps
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.process import ProcessResult

DONE = ProcessResult(0, b"", truncated=False, wall_s=0.0, cpu_s=0.0)


class Room:
    """A buildroot in which every command succeeds."""

    workspace = "/build"

    def __init__(self) -> None:
        self.ran: list[tuple[list[str], bool]] = []

    async def run(self, argv, *, network=False, **_: object) -> ProcessResult:
        self.ran.append((list(argv), network))
        return DONE


class StepsThatRunNothing(Steps):
    async def run(self, *_: object, **__: object) -> ProcessResult:
        return DONE


async def test_relations_of_tests_come_after_all_options_of_apt():
    room = Room()
    await OfflineRepository(room).fetch(["tiny", "ed (>= 1) [amd64]", "x | y <!nocheck>"])
    [(argv, network)] = room.ran
    assert network
    assert argv[-3:] == ["satisfy", "--", "tiny, ed (>= 1) [amd64], x | y <!nocheck>"]


@pytest.mark.parametrize(
    "relation",
    ["-oDir::Bin::dpkg=/build/x", "--config-file=/build/x", "ed | -oDir::Bin::dpkg=/build/x", "/build/x.deb"],
)
async def test_an_option_of_apt_among_the_relations_of_tests_is_refused_before_anything_runs(relation):
    room = Room()
    with pytest.raises(DeborchError, match="is no relation to packages") as caught:
        await OfflineRepository(room).fetch(["ed", relation])
    assert (caught.value.code, caught.value.fields["failure_class"]) == (ErrorCode.INVALID_SOURCE, "test")
    assert room.ran == []


@pytest.mark.parametrize("network", [True, False])
async def test_the_log_tells_which_command_of_a_plug_in_has_the_network(network):
    log = bytearray()
    room = OpenBuildroot(None, StepsThatRunNothing(log.extend, None), {})
    await room.run(["apt-get", "update"], network=network, quiet=True)
    assert (log == b"deb-mock: a plug-in lets apt-get use the network\n") is network
