"""What is told when a registry does not do what is asked of it."""

import pytest
from tests.unit.deb_bootc_compose.fake_tools import FakeTools, finished

from deb_bootc_compose.failures import FailureClass
from deb_bootc_compose.outputs.registry.skopeo import Repository, Skopeo
from deborch_shared.errors import DeborchError, ErrorCode


class Quiet:
    def log(self, chunk: bytes) -> None:
        """Nobody looks."""


async def test_the_message_of_skopeo_is_told_without_its_time_level_and_quotation_marks():
    said = (
        b'Copying\ntime="2026-11-28T01:16:33Z" level=fatal msg="pinging: Get \\"http://r/v2/\\": connection refused"\n'
    )
    tools = FakeTools(lambda _: finished(1, said))
    skopeo = Skopeo(tools, Repository("registry.example/debian"), FailureClass.OUTPUT, Quiet())
    with pytest.raises(DeborchError) as caught:
        await skopeo.digest_of("docker://registry.example/debian:latest")
    assert caught.value.message == 'registry registry.example/debian: pinging: Get "http://r/v2/": connection refused'
    assert caught.value.code is ErrorCode.FETCH_FAILED
