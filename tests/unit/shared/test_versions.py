import subprocess
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from deborch_shared.versions import compare, is_valid, sort_key, without_epoch

upstream = st.from_regex(r"[0-9][A-Za-z0-9.+~]{0,6}", fullmatch=True)
epoch = st.one_of(st.just(""), st.from_regex(r"[0-9]{1,3}:", fullmatch=True))
revision = st.one_of(st.just(""), st.from_regex(r"-[A-Za-z0-9.+~]{1,4}", fullmatch=True))
hyphened = st.from_regex(r"[0-9][0-9a.~]{0,2}-[0-9a.~]{1,2}-[0-9a+~]{1,2}", fullmatch=True)
versions = st.one_of(st.tuples(epoch, upstream, revision).map("".join), hyphened)
TRICKY = [
    "1",
    "1.0",
    "1.0-0",
    "1.0~rc1",
    "1.0~",
    "1.0~~",
    "1.00",
    "1a",
    "1+b1",
    "0:1",
    "1:0",
    "1-1",
    "1.0.",
    "1.0-1~bpo1",
]


def dpkg_says(left: str, relation: str, right: str) -> bool:
    asked = subprocess.run(["dpkg", "--compare-versions", left, relation, right], capture_output=True, check=False)
    assert asked.returncode in {0, 1}, asked.stderr
    return asked.returncode == 0


def sign(left: bytes, right: bytes) -> int:
    return (left > right) - (left < right)


def assert_as_dpkg(left: str, right: str) -> None:
    mine = compare(left, right)
    assert dpkg_says(left, {-1: "lt", 0: "eq", 1: "gt"}[mine], right), (left, right, mine)
    assert sign(sort_key(left), sort_key(right)) == mine, (left, right)


@settings(max_examples=300, deadline=None)
@given(versions, versions)
def test_any_two_versions_are_ordered_as_dpkg_orders_them(left, right):
    assume(is_valid(left) and is_valid(right))
    assert_as_dpkg(left, right)


@settings(max_examples=200, deadline=None)
@given(versions, st.sampled_from(["~", "~1", "+b1", ".0", "a", "0", "-1", "-0"]))
def test_versions_that_differ_at_the_end_are_ordered_as_dpkg_orders_them(version, ending):
    assert_as_dpkg(version, version + ending)


@pytest.mark.parametrize("left", TRICKY)
def test_the_tricky_ones_are_ordered_as_dpkg_orders_them(left):
    for right in TRICKY:
        assert_as_dpkg(left, right)


@given(st.lists(versions, max_size=8))
def test_sorting_by_key_is_sorting_by_comparison(some):
    by_key = sorted(some, key=sort_key)
    assert all(compare(a, b) <= 0 for a, b in pairwise(by_key))


@pytest.mark.parametrize(
    "version", ["", "a1", "1 2", "1_2", "1:2:3", ":1", "-1", "1é", "1\n", "9" * 201, "é:1", "1/../2"]
)
def test_what_policy_does_not_allow_is_not_valid(version):
    assert not is_valid(version)


def test_file_names_carry_a_version_without_its_epoch():
    assert without_epoch("2:1.0-1") == "1.0-1"
    assert without_epoch("1.0-1") == "1.0-1"
