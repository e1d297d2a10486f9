"""Backends that cannot be used say so, with what to install."""

from dataclasses import replace

import pytest

from deborch_shared.errors import DeborchError
from deborch_shared.sandbox import backends
from deborch_shared.sandbox.spec import Backend, Filtering, SandboxSpec


@pytest.mark.parametrize(("backend", "package"), [(Backend.BWRAP, "bubblewrap"), (Backend.NSPAWN, "systemd-container")])
def test_a_program_that_is_missing_names_its_package(backend, package, tmp_path):
    found = backends.problem(backend, unprivileged=False, path=str(tmp_path))
    assert found is not None
    assert f"apt-get install {package}" in found.hint


def test_our_own_backend_needs_no_program(tmp_path):
    assert backends.problem(Backend.NAMESPACES, unprivileged=True, path=str(tmp_path)) is None


def test_nspawn_is_refused_without_root(tmp_path):
    program = tmp_path / "systemd-nspawn"
    program.touch(mode=0o755)
    assert backends.problem(Backend.NSPAWN, unprivileged=False, path=str(tmp_path)) is None
    refused = backends.problem(Backend.NSPAWN, unprivileged=True, path=str(tmp_path))
    assert refused is not None
    assert "root" in refused.message


def test_qemu_is_known_and_refused_with_what_to_do_instead():
    found = backends.problem(Backend.QEMU)
    assert found is not None
    assert "not offered" in found.message
    assert "virtual machine" in found.hint


def test_shells_need_our_own_backend(tmp_path):
    spec = SandboxSpec(directory=tmp_path / "one", lowers=(), backend=Backend.BWRAP)
    with pytest.raises(DeborchError, match="no terminals"):
        backends.check_terminal(spec)


def test_nspawn_is_refused_where_our_filter_is_required(tmp_path):
    spec = SandboxSpec(directory=tmp_path / "one", lowers=(), backend=Backend.NSPAWN)
    with pytest.raises(DeborchError, match="cannot apply our filter") as caught:
        backends.check_filtering(spec)
    assert "isolation.seccomp" in caught.value.hint
    backends.check_filtering(replace(spec, filtering=Filtering.PREFERRED))
    backends.check_filtering(replace(spec, filtering=Filtering.OFF))
    backends.check_filtering(replace(spec, backend=Backend.BWRAP))
