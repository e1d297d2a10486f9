"""Source packages from the host's own suite, over the real network."""

import pytest
from tests.integration.deb_mock.conftest import native_architecture

from deb_mock.model import FetchRequest
from deborch_shared.apt.host import host_codename
from deborch_shared.errors import DeborchError, ErrorCode


@pytest.fixture
def request_of(tmp_path):
    def make(name, version=None):
        return FetchRequest("fetch", name, version, host_codename(), native_architecture(), tmp_path / "fetched")

    return make


@pytest.mark.slow
async def test_the_newest_version_comes_with_all_its_files(engine, request_of, log):
    request = request_of("hello")
    result = await engine.fetch_source(request, on_log=log.extend)
    assert result.name == "hello"
    assert result.dsc.name == f"hello_{result.version}.dsc"
    assert {result.dsc, *result.files} == set(request.result_dir.iterdir())
    assert any(".orig.tar" in path.name for path in result.files)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "version"), [("no-such-source-package", None), ("hello", "0.0.1-1")])
async def test_what_the_suite_lacks_is_not_found(engine, request_of, log, name, version):
    request = request_of(name, version)
    with pytest.raises(DeborchError) as caught:
        await engine.fetch_source(request, on_log=log.extend)
    assert (caught.value.code, caught.value.fields["failure_class"]) == (ErrorCode.NOT_FOUND, "policy")
    assert not request.result_dir.exists()


@pytest.mark.parametrize(("name", "version"), [("--help", None), ("../x", None), ("hello", "-o=1"), ("a b", None)])
async def test_what_is_no_name_or_version_never_reaches_apt(engine, request_of, log, name, version):
    with pytest.raises(DeborchError) as caught:
        await engine.fetch_source(request_of(name, version), on_log=log.extend)
    assert caught.value.code is ErrorCode.INVALID_INPUT
    assert not log
