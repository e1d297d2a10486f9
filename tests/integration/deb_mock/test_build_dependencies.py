"""Build dependencies from extra repositories: resolved by the real apt, verified, cached as layers."""

import asyncio
import secrets
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.integration.deb_mock.conftest import native_architecture
from tests.integration.deb_mock.signed_repository import SignedRepository
from tests.integration.deb_mock.tiny_source import make_source

from deb_mock.engine import Engine
from deb_mock.model import CommandRequest, ExtraRepository
from deborch_shared.errors import DeborchError, ErrorCode


@pytest.fixture
def repository(tmp_path):
    repository = SignedRepository(tmp_path / "repository", native_architecture())
    repository.publish()
    yield repository
    repository.close()


@pytest.fixture
async def library(engine, request_for, log):
    """A package built here, that others may depend on; new content each time, so that no layer is there yet."""
    body = f"mkdir -p debian/out/usr/share/tiny; echo {secrets.token_hex(8)} > debian/out/usr/share/tiny/new"
    result = await engine.build(request_for(body), on_log=log.extend)
    return next(artifact.path for artifact in result.artifacts if artifact.name.endswith(".deb"))


@pytest.fixture
def user_of_library(tmp_path, request_for, library):
    """A request to build a package that needs the library."""
    directory = tmp_path / "user"
    directory.mkdir()
    body = "cat /usr/share/tiny/file"
    dsc = make_source(directory, name="user-of-tiny", body=body, build_depends="build-essential, tiny (>= 1.0)")
    return lambda **changes: replace(
        request_for.last, dsc=dsc, source_dir=directory, result_dir=tmp_path / "user-results", **changes
    )


@pytest.fixture
def served(repository, library):
    """The stanza of the repository over HTTP on the loopback of the host, and the paths asked for."""
    repository.publish(library)
    paths = []

    class Handler(SimpleHTTPRequestHandler):
        def log_request(self, code="-", size="-"):
            paths.append(self.path)

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=repository.directory))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield repository.stanza(f"http://127.0.0.1:{server.server_address[1]}/"), paths
    server.shutdown()
    thread.join()
    server.server_close()


async def test_a_dependency_comes_from_an_extra_repository_over_http_and_is_cached(
    engine, served, user_of_library, log, tmp_path
):
    stanza, paths = served
    extra = (ExtraRepository("target", stanza),)
    first = await engine.build(user_of_library(extra_sources=extra), on_log=log.extend)
    assert first.dependency_cache == "miss"
    assert b"\ncontent\n" in log
    assert any(path.endswith(".deb") for path in paths)

    paths.clear()
    again = replace(user_of_library(extra_sources=extra), result_dir=tmp_path / "again")
    second = await engine.build(again, on_log=log.extend)
    assert second.dependency_cache == "hit"
    assert not any(path.endswith(".deb") for path in paths)


async def test_a_damaged_layer_is_made_again_and_nothing_is_downloaded_twice(
    engine, config, served, user_of_library, log, tmp_path
):
    stanza, paths = served
    extra = (ExtraRepository("target", stanza),)
    await engine.build(user_of_library(extra_sources=extra), on_log=log.extend)
    installed = max(
        config.layers_dir.glob("*/*/*/usr/share/tiny/file"), key=lambda path: path.stat(follow_symlinks=False).st_ctime
    )
    installed.unlink()
    paths.clear()
    again = replace(user_of_library(extra_sources=extra), result_dir=tmp_path / "again")
    result = await engine.build(again, on_log=log.extend)
    assert result.dependency_cache == "miss"
    assert not any(path.endswith(".deb") for path in paths)
    assert installed.exists()


async def test_more_dependencies_start_from_the_layer_of_fewer(
    engine, repository, user_of_library, request_for, log, tmp_path
):
    directory = tmp_path / "second"
    directory.mkdir()
    body = f"mkdir -p debian/out/usr/share/second; echo {secrets.token_hex(8)} > debian/out/usr/share/second/new"
    dsc = make_source(directory, name="second", body=body)
    plain = replace(request_for.last, dsc=dsc, source_dir=directory, result_dir=tmp_path / "second-results")
    built = await engine.build(plain, on_log=log.extend)
    second = next(artifact.path for artifact in built.artifacts if artifact.name.endswith(".deb"))
    library = next((tmp_path / "results").glob("*.deb"))
    repository.publish(library, second)
    extra = (ExtraRepository("target", repository.stanza(f"file:{repository.directory}")),)
    await engine.build(user_of_library(extra_sources=extra), on_log=log.extend)
    log.clear()
    directory = tmp_path / "third"
    directory.mkdir()
    body = "cat /usr/share/tiny/file /usr/share/second/file"
    dsc = make_source(directory, name="third", body=body, build_depends="build-essential, tiny, second")
    third = replace(plain, dsc=dsc, source_dir=directory, result_dir=tmp_path / "third-results", extra_sources=extra)
    result = await engine.build(third, on_log=log.extend)
    assert result.dependency_cache == "miss"
    assert b"starting from a layer with 1 of 2 packages" in log
    assert b"\ncontent\ncontent\n" in log


async def test_builds_at_once_install_the_same_set_once(config, repository, library, user_of_library, log, tmp_path):
    repository.publish(library)
    extra = (ExtraRepository("target", repository.stanza(f"file:{repository.directory}")),)
    requests = [
        replace(user_of_library(extra_sources=extra), build_id=f"at-once-{number}", result_dir=tmp_path / str(number))
        for number in range(3)
    ]
    results = await asyncio.gather(*(Engine(config).build(request, on_log=log.extend) for request in requests))
    assert sorted(result.dependency_cache for result in results) == ["hit", "hit", "miss"]


async def test_a_dependency_comes_from_a_directory_too(engine, repository, library, user_of_library, log):
    repository.publish(library)
    extra = (ExtraRepository("target", repository.stanza(f"file:{repository.directory}")),)
    result = await engine.build(user_of_library(extra_sources=extra), on_log=log.extend)
    assert result.artifacts


async def test_a_dependency_that_appears_later_turns_dep_wait_into_success(
    engine, repository, library, user_of_library, log
):
    extra = (ExtraRepository("target", repository.stanza(f"file:{repository.directory}")),)
    with pytest.raises(DeborchError) as caught:
        await engine.build(user_of_library(extra_sources=extra), on_log=log.extend)
    assert caught.value.code is ErrorCode.DEPENDENCY_WAIT
    assert caught.value.fields["missing"] == ["tiny (>= 1.0)"]
    repository.publish(library)
    assert (await engine.build(user_of_library(extra_sources=extra), on_log=log.extend)).artifacts


async def test_a_repository_signed_by_another_key_is_refused(
    engine, repository, library, user_of_library, log, tmp_path
):
    repository.publish(library)
    stranger = SignedRepository(tmp_path / "stranger", native_architecture())
    stanza = stranger.stanza(f"file:{repository.directory}")
    stranger.close()
    with pytest.raises(DeborchError) as caught:
        await engine.build(user_of_library(extra_sources=(ExtraRepository("target", stanza),)), on_log=log.extend)
    assert caught.value.fields["failure_class"] == "fetch-fault"


async def test_a_repository_that_cannot_be_reached_is_a_fetch_fault(engine, repository, user_of_library, log):
    extra = (ExtraRepository("target", repository.stanza("http://127.0.0.1:9/")),)
    with pytest.raises(DeborchError) as caught:
        await engine.build(user_of_library(extra_sources=extra), on_log=log.extend)
    assert caught.value.fields["failure_class"] == "fetch-fault"


async def test_a_package_whose_installation_fails_is_an_install_failure(engine, repository, request_for, log, tmp_path):
    directory = tmp_path / "broken"
    directory.mkdir()
    body = "mkdir -p debian/out/DEBIAN; printf '#!/bin/sh\\nexit 3\\n' > debian/out/DEBIAN/postinst"
    dsc = make_source(directory, name="broken", body=f"{body}\nchmod 755 debian/out/DEBIAN/postinst")
    request = request_for(build_depends="build-essential, broken")
    built = await engine.build(
        replace(request, dsc=dsc, source_dir=directory, result_dir=tmp_path / "broken-results"), on_log=log.extend
    )
    repository.publish(next(artifact.path for artifact in built.artifacts if artifact.name.endswith(".deb")))
    extra = (ExtraRepository("target", repository.stanza(f"file:{repository.directory}")),)
    with pytest.raises(DeborchError) as caught:
        await engine.build(replace(request, extra_sources=extra), on_log=log.extend)
    assert caught.value.fields["failure_class"] == "install"
    assert b"post-installation script subprocess returned error exit status 3" in log


async def test_a_package_installs_in_a_clean_buildroot_from_the_repository_that_it_was_published_in(
    engine, served, request_for, log
):
    stanza, _ = served
    request = CommandRequest(
        command_id="install",
        argv=("sh", "-c", "apt-get -q update && apt-get -q -y install tiny && cat /usr/share/tiny/file"),
        suite=request_for.last.suite,
        architecture=request_for.last.architecture,
        extra_sources=(ExtraRepository("target", stanza),),
        network=True,
    )
    output = bytearray()
    assert await engine.run_command(request, on_output=output.extend, on_log=log.extend) == 0
    assert output.endswith(b"\ncontent\n")
