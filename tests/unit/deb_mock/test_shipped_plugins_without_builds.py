"""Shipped plug-ins where no build is needed to see what they do."""

import hashlib
import socket

import pytest

from deb_mock.engine_config import EngineConfig, PluginSetting
from deb_mock.plugins import catalogue
from deb_mock.plugins.manager import Plugins
from deb_mock.plugins.shipped.autopkgtest import _needs
from deb_mock.plugins.shipped.sign import with_hashes
from deborch_shared.errors import DeborchError


@pytest.fixture
def proxy():
    """The address of something that listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def configured(tmp_path, **options: object):
    setting = PluginSetting("apt-proxy", options=options)
    config = EngineConfig(tmp_path, tmp_path, proxies={"https_proxy": "http://other:1"}, plugins=(setting,))
    return Plugins(config).config.proxies


def test_apt_fetches_through_the_proxy_and_https_as_before(tmp_path, proxy):
    assert configured(tmp_path, url=proxy) == {"http_proxy": proxy, "https_proxy": "http://other:1"}
    assert configured(tmp_path, url=proxy, https=True) == {"http_proxy": proxy, "https_proxy": proxy}


def test_a_proxy_that_does_not_answer_is_an_error_unless_it_may_be_done_without(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        gone = f"http://127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(DeborchError, match="does not answer") as caught:
        configured(tmp_path, url=gone)
    assert caught.value.fields["plugin"] == "apt-proxy"
    assert configured(tmp_path, url=gone, fall_back=True) == {"https_proxy": "http://other:1"}


@pytest.mark.parametrize("url", ["", "proxy:3142", "https://proxy", "ftp://proxy"])
def test_what_is_no_proxy_is_refused(tmp_path, url):
    with pytest.raises(DeborchError, match="the options of the plug-in apt-proxy are wrong"):
        configured(tmp_path, url=url)


@pytest.mark.parametrize("name", catalogue.SHIPPED)
def test_every_shipped_plug_in_fits_the_interface_and_describes_its_options(name):
    plugin = catalogue.load(name)
    assert catalogue.hook_names(plugin)
    assert all(field.description for field in plugin.options_model.model_fields.values())


def test_a_changes_file_gets_the_hashes_of_a_signed_file_in_all_its_lists():
    new = b"signed"
    text = (
        "Checksums-Sha1:\n " + "a" * 40 + " 3 x.dsc\nChecksums-Sha256:\n " + "b" * 64 + " 3 x.dsc\n"
        "Files:\n " + "c" * 32 + " 3 misc optional x.dsc\n " + "d" * 32 + " 4 misc optional ax.dsc\n"
    )
    updated = with_hashes(text, "x.dsc", new)
    assert f" {hashlib.sha256(new).hexdigest()} 6 x.dsc\n" in updated
    assert f" {hashlib.sha1(new, usedforsecurity=False).hexdigest()} 6 x.dsc\n" in updated
    assert f" {hashlib.md5(new, usedforsecurity=False).hexdigest()} 6 misc optional x.dsc\n" in updated
    assert f" {'d' * 32} 4 misc optional ax.dsc\n" in updated


def test_tests_need_what_they_say_and_the_packages_for_an_at_sign():
    control = "Tests: a\nDepends: @, ed (>= 1), x | y\n\nTests: b\nDepends: python3\n\nTest-Command: true\n"
    assert _needs(control, ["one", "two"]) == [["one", "two", "ed (>= 1)", "x | y"], ["python3"], ["one", "two"]]
