import socket

import pytest
from aiohttp import web

from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.http import serve


async def test_the_port_file_holds_the_port_in_use_as_soon_as_it_is_there(tmp_path):
    async with serve(web.Application(), "127.0.0.1", 0, port_file=tmp_path / "port") as port:
        assert (tmp_path / "port").read_text() == f"{port}\n"
        with socket.create_connection(("127.0.0.1", port), 5):
            pass


async def test_a_taken_port_says_so_and_what_to_do():
    async with serve(web.Application(), "127.0.0.1", 0) as port:
        with pytest.raises(DeborchError, match=f"port {port}") as caught:
            async with serve(web.Application(), "127.0.0.1", port):
                pass
    assert caught.value.code is ErrorCode.PORT_TAKEN
    assert caught.value.hint


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
async def test_an_address_that_is_not_ours_is_a_setting_to_mend(host):
    with pytest.raises(DeborchError) as caught:
        async with serve(web.Application(), host, 0):
            pass
    assert caught.value.code is ErrorCode.INVALID_SETTING
    assert host in caught.value.message
