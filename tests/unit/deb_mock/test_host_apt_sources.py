"""The host's archive is found in whatever form its sources have."""

import pytest

from deborch_shared.apt import host as host_apt
from deborch_shared.apt.host import (
    carried_proxies,
    carried_settings,
    host_codename,
    host_distribution,
    proxies_of,
    read_sources,
)

DEB822 = """\
Types: deb deb-src
# a remark
URIs: http://mirror.example.org/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
Enabled: no
URIs: http://off.example.org/debian
Suites: bookworm
Components: main
"""
ONE_LINE = """\
# deb http://old.example.org/debian bookworm main
deb [arch=amd64 signed-by=/etc/apt/keyrings/tool.gpg] https://tools.example.org/apt bookworm main
deb-src http://mirror.example.org/debian bookworm main
deb http://security.example.org/debian-security bookworm-security main contrib # remark
"""


@pytest.fixture
def etc(tmp_path):
    parts = tmp_path / "apt" / "sources.list.d"
    parts.mkdir(parents=True)
    (parts / "debian.sources").write_text(DEB822)
    (tmp_path / "apt" / "sources.list").write_text(ONE_LINE)
    (tmp_path / "os-release").write_text('ID=debian\nVERSION_CODENAME="bookworm"\n')
    return tmp_path


def test_both_formats_are_read_and_disabled_or_source_entries_are_not(etc):
    assert [(source.uri, source.suite) for source in read_sources(etc / "apt")] == [
        ("https://tools.example.org/apt", "bookworm"),
        ("http://security.example.org/debian-security", "bookworm-security"),
        ("http://mirror.example.org/debian", "bookworm"),
        ("http://mirror.example.org/debian", "bookworm-updates"),
    ]


def test_a_list_of_mirrors_in_a_file_gives_its_first(tmp_path):
    mirrors = tmp_path / "mirrors.list"
    mirrors.write_text("# ours\nhttp://near.example.org/debian\tpriority:1\nhttp://far.example.org/debian\n")
    (tmp_path / "sources.list").write_text(f"deb mirror+file:{mirrors} bookworm main\n")
    assert [source.uri for source in read_sources(tmp_path)] == ["http://near.example.org/debian"]


def test_settings_that_a_base_needs_are_carried_and_others_are_not():
    dump = """\
Acquire::Check-Valid-Until "false";
Acquire::Check-Date "false";
Acquire::http::Proxy "http://proxy.example.org:3128";
Acquire::http::Proxy::local.example.org "DIRECT";
Acquire::https::Proxy "";
Acquire::Languages "";
Apt::Periodic::Enable "1";
"""
    assert carried_settings(dump) == {
        "Acquire::Check-Valid-Until": "false",
        "Acquire::Check-Date": "false",
    }


def test_proxies_of_the_hosts_apt_become_variables_and_no_part_of_a_base():
    dump = """\
Acquire::http::Proxy "http://user:secret@proxy.example.org:3128";
Acquire::http::Proxy::local.example.org "DIRECT";
Acquire::http::Proxy::near.example.org "DIRECT";
Acquire::http::Proxy::far.example.org "http://other.example.org:1";
Acquire::https::Proxy "DIRECT";
"""
    assert carried_settings(dump) == {}
    assert carried_proxies(dump) == {
        "http_proxy": "http://user:secret@proxy.example.org:3128",
        "no_proxy": "local.example.org,near.example.org",
    }
    assert carried_proxies("") == {}


def test_proxies_of_the_environment_go_before_those_of_the_hosts_apt(etc, monkeypatch):
    asked = []
    dump = 'Acquire::http::Proxy "http://apt";\nAcquire::https::Proxy "http://apt";\n'
    monkeypatch.setattr(host_apt, "_dump_at_once", lambda: asked.append(1) or dump)
    assert proxies_of({"http_proxy": "http://p"}, etc) == {"http_proxy": "http://p"}
    assert not asked
    (etc / "apt" / "apt.conf").write_text('acquire::http::proxy "http://apt";\n')
    assert proxies_of({"http_proxy": "http://p"}, etc) == {"http_proxy": "http://p", "https_proxy": "http://apt"}


def test_codename_and_proxies(etc, tmp_path):
    assert host_codename(etc) == "bookworm"
    assert host_codename(tmp_path / "none") == ""
    assert host_distribution(etc) == "debian"
    (etc / "os-release").write_text('ID=linuxmint\nID_LIKE="ubuntu debian"\n')
    assert host_distribution(etc) == "ubuntu"
    assert proxies_of({"http_proxy": "http://p", "HOME": "/root", "no_proxy": ""}, etc) == {"http_proxy": "http://p"}
