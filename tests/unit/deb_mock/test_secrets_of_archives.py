"""Passwords of archives and proxies: not in logs, not where a build could read them."""

import os
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from deb_mock.archives.repositories import add_repository
from deb_mock.bases.making import announce
from deb_mock.bases.recipe import BaseRecipe
from deb_mock.buildroots.sessions import BuildrootSession
from deb_mock.dependencies.apt_get import DependencyApt
from deb_mock.model import ExtraRepository
from deb_mock.stages.steps import Steps
from deborch_shared.apt.host import AptSource, HostApt
from deborch_shared.apt.redaction import has_credentials, redacted
from deborch_shared.process import ProcessResult
from deborch_shared.sandbox.spec import Limits
from deborch_shared.sandbox.usage import ResourceUse

PROXIES = {"http_proxy": "http://user:secret@proxy:3128"}
OPEN, CLOSED = "http://mirror.example.org/debian", "https://user:se@cret@mirror.example.org/debian"
RECIPE = BaseRecipe(
    suite="bookworm",
    architecture="amd64",
    sources=(AptSource(OPEN, "bookworm", ("main",)),),
    settings={},
    keyring=Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    mmdebstrap="1.3.5",
)
CLOSED_RECIPE = replace(RECIPE, sources=(AptSource(CLOSED, "bookworm", ("main",)),))


class Sandbox:
    """Every command succeeds; what each got is kept."""

    scratch_bytes = 1
    limits = Limits()
    workspace = "/build"

    def __init__(self, workspace_fd: int = -1) -> None:
        self.workspace_fd = workspace_fd
        self.ran: list[tuple[list[str], dict[str, str]]] = []

    @contextmanager
    def meter(self):
        yield SimpleNamespace(read=ResourceUse)

    async def run(self, argv, *, env=None, **_: object) -> ProcessResult:
        self.ran.append((list(argv), dict(env or {})))
        return ProcessResult(0, b"", truncated=False, wall_s=0.0, cpu_s=0.0)


@pytest.fixture
def sandbox(tmp_path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield Sandbox(descriptor)
    os.close(descriptor)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (CLOSED, "https://***@mirror.example.org/debian"),
        ("-o Acquire::http::Proxy=http://u:p@proxy:1/ x", "-o Acquire::http::Proxy=http://***@proxy:1/ x"),
        ("Acquire::http::Proxy=u:p@proxy:1", "Acquire::http::Proxy=***@proxy:1"),
        ("http://a/x http://u@b/y", "http://a/x http://***@b/y"),
        ("http://a/x me@example.org ssh user@host", "http://a/x me@example.org ssh user@host"),
    ],
)
def test_who_is_let_in_is_left_out_of_addresses_and_nothing_else_is(text, shown):
    assert redacted(text) == shown
    assert has_credentials(text) is (text != shown)


async def test_the_log_shows_command_lines_without_passwords(sandbox):
    log = bytearray()
    await Steps(log.extend, None).run(sandbox, ["apt-get", "-o", f"Acquire::http::Proxy={PROXIES['http_proxy']}"])
    assert b"Acquire::http::Proxy=http://***@proxy:3128" in log
    assert b"secret" in " ".join(sandbox.ran[0][0]).encode()


def test_the_log_of_a_new_base_shows_archive_and_proxies_without_passwords():
    log = bytearray()
    announce(CLOSED_RECIPE, HostApt("bookworm", (), {"Acquire::Check-Date": "false"}), PROXIES, log.extend)
    text = log.decode()
    assert "from https://***@mirror.example.org/debian bookworm" in text
    assert "http_proxy http://***@proxy:3128" in text
    assert "cret" not in text


def test_only_root_reads_the_sources_of_a_base_if_they_have_a_password():
    hides = '--customize-hook=chmod 0600 "$1"/etc/apt/sources.list.d/*'
    assert hides in CLOSED_RECIPE.command(Path("/x"), Path("/y"))
    assert hides not in RECIPE.command(Path("/x"), Path("/y"))


@pytest.mark.parametrize(("uri", "mode"), [(OPEN, "0644"), (CLOSED, "0600")])
async def test_only_root_reads_an_extra_archive_with_a_password_and_the_workspace_has_none(
    sandbox, tmp_path, uri, mode
):
    await add_repository(sandbox, ExtraRepository("x", f"Types: deb\nURIs: {uri}\nSuites: a\nComponents: main\n"))
    [(argv, _)] = sandbox.ran
    assert argv[:3] == ["install", "-m", mode]
    assert list(tmp_path.iterdir()) == []


async def test_maintainer_scripts_of_build_dependencies_do_not_see_the_proxies_that_fetch_them(sandbox):
    apt = DependencyApt(sandbox, Steps(lambda _: None, None), {"HOME": "/root", **PROXIES})
    await apt.download(["install", "x"])
    await apt.install(["install", "x"])
    assert [environment.get("http_proxy") for _, environment in sandbox.ran] == [PROXIES["http_proxy"], None, None]


async def test_commands_by_hand_see_the_proxies_only_with_the_network(sandbox):
    @asynccontextmanager
    async def around(_argv):
        yield lambda _returncode: None

    session = BuildrootSession(sandbox, file_owner=0, proxies=PROXIES, on_log=lambda _: None, around=around)
    for network in (True, False):
        await session.run(["env"], network=network)
    assert [environment.get("http_proxy") for _, environment in sandbox.ran] == [PROXIES["http_proxy"], None]
