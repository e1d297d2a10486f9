"""Archives that cannot be read or verified: each fault has its class and a hint that fits, and is no dep-wait."""

from dataclasses import replace

import pytest
from tests.integration.deb_mock.conftest import native_architecture
from tests.integration.deb_mock.signed_repository import RELEASE, SignedRepository, binary_package

from deb_mock.model import ExtraRepository
from deborch_shared.errors import DeborchError, ErrorCode


@pytest.fixture
def repository(tmp_path):
    repository = SignedRepository(tmp_path / "repository", native_architecture())
    repository.publish(binary_package(tmp_path, "x"))
    yield repository
    repository.close()


async def refused(engine, request_for, log, stanza):
    request = replace(request_for(build_depends="no-such-package"), extra_sources=(ExtraRepository("bad", stanza),))
    with pytest.raises(DeborchError) as caught:
        await engine.build(request, on_log=log.extend)
    assert (caught.value.code, caught.value.fields["failure_class"]) == (ErrorCode.FETCH_FAILED, "fetch-fault")
    return caught.value


async def test_a_suite_that_is_not_there(engine, repository, request_for, log):
    stanza = repository.stanza(f"file:{repository.directory}").replace("Suites: test", "Suites: none")
    error = await refused(engine, request_for, log, stanza)
    assert "has no such suite" in error.message
    assert "Suites" in error.hint


async def test_an_unsigned_archive(engine, repository, request_for, log):
    suite = repository.directory / "dists" / "test"
    signed = (suite / "InRelease").read_text().splitlines()
    text = signed[3 : signed.index("-----BEGIN PGP SIGNATURE-----")]
    (suite / "InRelease").unlink()
    (suite / "Release").write_text("\n".join(text) + "\n")
    error = await refused(engine, request_for, log, repository.stanza(f"file:{repository.directory}"))
    assert "not signed by a key that is trusted" in error.message
    assert "Signed-By" in error.hint


async def test_an_archive_that_has_expired(engine, repository, request_for, log, monkeypatch):
    old = "Date: Thu, 01 Jan 2026 00:00:00 UTC"
    expired = RELEASE.replace(old, f"{old}\nValid-Until: Fri, 02 Jan 2026 00:00:00 UTC")
    monkeypatch.setattr("tests.integration.deb_mock.signed_repository.RELEASE", expired)
    repository.publish()
    stanza = repository.stanza(f"file:{repository.directory}").rstrip()
    error = await refused(engine, request_for, log, f"{stanza}\nCheck-Date: yes\nCheck-Valid-Until: yes\n")
    assert "has expired" in error.message
    assert "Check-Valid-Until" in error.hint


async def test_an_archive_that_is_half_updated(engine, repository, request_for, log):
    index = repository.directory / "dists" / "test" / "main" / f"binary-{native_architecture()}" / "Packages"
    index.write_bytes(index.read_bytes() + b"\n")
    error = await refused(engine, request_for, log, repository.stanza(f"file:{repository.directory}"))
    assert "half updated" in error.message
    assert "try again" in error.hint


async def test_no_base_is_made_of_a_suite_that_does_not_exist(engine, request_for, log):
    with pytest.raises(DeborchError) as caught:
        await engine.ensure_base("no-such-suite", native_architecture(), on_log=log.extend)
    assert (caught.value.code, caught.value.fields["failure_class"]) == (ErrorCode.FETCH_FAILED, "fetch-fault")
    assert "has no such suite" in caught.value.message
    assert "--suite" in caught.value.hint
