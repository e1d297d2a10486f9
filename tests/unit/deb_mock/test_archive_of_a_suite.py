"""Where a suite is read from: a mirror, or the archive that the host itself uses."""

import pytest

from deb_mock.archives.archive import archive_sources
from deb_mock.engine_config import ArchiveChoice, EngineConfig
from deborch_shared.apt.host import AptSource, HostApt
from deborch_shared.errors import DeborchError, ErrorCode

MIRROR, SECURITY = "http://mirror.example.org/debian", "http://security.example.org/debian-security"
SOURCES = (
    AptSource("https://tools.example.org/apt", "bookworm", ("main",), "/etc/apt/keyrings/tool.gpg"),
    AptSource(SECURITY, "bookworm-security", ("main", "contrib")),
    AptSource(MIRROR, "bookworm", ("main", "contrib"), "/usr/share/keyrings/debian-archive-keyring.gpg"),
    AptSource(MIRROR, "bookworm-updates", ("main",), "/usr/share/keyrings/debian-archive-keyring.gpg"),
)
UBUNTU = ArchiveChoice("ubuntu", ("updates", "security"), None, "ubuntu-archive-keyring")
ALL = ArchiveChoice(pockets=("updates", "security"))


@pytest.fixture
def found(tmp_path):
    keyring = tmp_path / "keys.gpg"
    keyring.touch()

    def find(suite, choice=ArchiveChoice(), *, mirror=None, host=HostApt("bookworm", SOURCES, {})):  # noqa: B008
        config = EngineConfig(tmp_path, tmp_path, mirror=mirror, archive=choice, keyring=keyring)
        return [(source.uri, source.suite) for source in archive_sources(host, config, suite, ("main",))]

    return find


def test_the_hosts_own_suite_comes_with_updates_and_security_and_without_strangers(found):
    expected = [(SECURITY, "bookworm-security"), (MIRROR, "bookworm"), (MIRROR, "bookworm-updates")]
    assert found("bookworm") == expected
    assert found("bookworm", ALL) == expected
    assert found("bookworm", ArchiveChoice(pockets=())) == [(MIRROR, "bookworm")]


def test_another_suite_is_looked_for_on_the_hosts_archive_with_what_its_template_names(found):
    assert found("trixie") == [(MIRROR, "trixie")]
    assert found("trixie", ALL) == [(MIRROR, "trixie"), (MIRROR, "trixie-updates"), (SECURITY, "trixie-security")]


def test_a_mirror_that_is_given_overrides_the_host(found):
    near = "http://near.example.org"
    assert found("bookworm", mirror=near) == [(near, "bookworm")]
    assert found("trixie", ALL, mirror=near) == [(near, "trixie"), (near, "trixie-updates")]
    secure = ArchiveChoice(pockets=("security",), security_mirror="http://secure.example.org")
    assert found("trixie", secure, mirror=near)[1] == ("http://secure.example.org", "trixie-security")
    assert found("noble", UBUNTU, mirror=near)[2] == (near, "noble-security")


def test_a_debian_host_has_no_archive_of_ubuntu_and_says_what_to_do(found):
    with pytest.raises(DeborchError) as caught:
        found("noble", UBUNTU)
    assert caught.value.code is ErrorCode.INVALID_SETTING
    assert "no Ubuntu archive for noble" in caught.value.message
    assert "--mirror" in caught.value.hint
    assert "ubuntu-archive-keyring" in caught.value.hint


def test_a_host_that_is_ubuntu_or_has_its_sources_needs_no_mirror(found):
    uri = "http://archive.example.org/ubuntu"
    own = HostApt("noble", (AptSource(uri, "noble", ("main",)),), {}, "ubuntu")
    assert found("noble", UBUNTU, host=own) == [(uri, "noble")]
    assert found("jammy", UBUNTU, host=own)[0] == (uri, "jammy")
    signed = AptSource(uri, "noble", ("main",), "/usr/share/keyrings/ubuntu-archive-keyring.gpg")
    assert found("noble", UBUNTU, host=HostApt("bookworm", (*SOURCES, signed), {})) == [(uri, "noble")]
    with pytest.raises(DeborchError, match="no Debian archive"):
        found("trixie", ALL, host=own)


def test_missing_keys_name_their_package(tmp_path):
    config = EngineConfig(tmp_path, tmp_path, mirror="http://x", archive=UBUNTU, keyring=tmp_path / "none.gpg")
    with pytest.raises(DeborchError, match="does not exist") as caught:
        archive_sources(HostApt("bookworm", (), {}), config, "noble", ("main",))
    assert "apt-get install ubuntu-archive-keyring" in caught.value.hint


@pytest.mark.parametrize("suite", ["sid", "unstable", "experimental"])
def test_a_suite_that_has_none_beside_it_is_read_alone_whatever_the_hosts_own_has(found, suite):
    assert found(suite, ALL) == [(MIRROR, suite)]
    assert found(suite, ALL, mirror=MIRROR) == [(MIRROR, suite)]
