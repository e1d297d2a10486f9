"""The filter as a program: made for the machine, by what the sandbox asks for."""

import ctypes.util

import pytest

from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.sandbox import seccomp
from deborch_shared.sandbox.seccomp import Policy, program

needs_library = pytest.mark.skipif(ctypes.util.find_library("seccomp") is None, reason="needs libseccomp2")
STEP_BYTES = 8


@needs_library
def test_it_is_whole_and_short_enough_for_the_kernel():
    steps = program(Policy())
    assert len(steps) % STEP_BYTES == 0
    assert 50 < len(steps) // STEP_BYTES < 4096


@needs_library
def test_each_wish_makes_another_filter():
    policies = [Policy(), Policy(no_sync=True), Policy(nested=True), Policy(no_sync=True, nested=True)]
    assert len({program(policy) for policy in policies}) == 4


@needs_library
@pytest.mark.parametrize("machine", ["x86_64", "aarch64", "riscv64", "ppc64le"])
def test_it_can_be_made_for_the_machines_of_debian(machine):
    assert program(Policy(), machine)


def test_an_unknown_machine_is_an_error_that_says_what_to_do():
    with pytest.raises(DeborchError) as caught:
        program(Policy(), "vax")
    assert caught.value.code is ErrorCode.SANDBOX_FAILED
    assert "vax" in caught.value.message
    assert caught.value.hint


def test_a_host_without_the_library_is_told_apart_from_one_with_it(monkeypatch):
    monkeypatch.setattr(seccomp, "_LIBRARY", "no-such-library.so")
    program.cache_clear()
    try:
        found = seccomp.problem()
    finally:
        program.cache_clear()
    assert found is not None
    assert "no-such-library.so is missing" in found.message
