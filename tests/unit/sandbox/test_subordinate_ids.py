"""Which ids a user without root may use."""

import pytest

from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.sandbox.user_namespace import NEEDED_IDS, SubordinateIds, subordinate_ids

UID = 4_000_000_001
"""Of no user, so its name is the number."""


@pytest.fixture
def etc(tmp_path):
    def write(uids, gids):
        (tmp_path / "subuid").write_text(uids)
        (tmp_path / "subgid").write_text(gids)
        return tmp_path

    return write


def test_the_ranges_of_the_user_are_found_among_others(etc):
    place = etc(f"other:100000:65536\n{UID}:165536:65536\n", f"# comment\n{UID}:200000:70000\n")
    assert subordinate_ids(UID, place) == SubordinateIds((165_536, 65_536), (200_000, 70_000))


def test_the_users_name_counts_as_well(etc):
    assert subordinate_ids(0, etc("root:1000000:65536\n", "0:1000000:65536\n")).uids == (1_000_000, 65_536)


@pytest.mark.parametrize(
    ("uids", "gids", "named"),
    [
        ("", "", "/etc/subuid and /etc/subgid"),
        (f"{UID}:100000:65536\n", "", "/etc/subgid"),
        (f"{UID}:100000:{NEEDED_IDS - 1}\n", f"{UID}:100000:65536\n", "/etc/subuid"),
        (f"{UID}:many:65536\n{UID}:1\n", f"{UID}:100000:65536\n", "/etc/subuid"),
    ],
)
def test_too_few_ids_are_an_error_that_says_how_to_give_some(etc, uids, gids, named):
    with pytest.raises(DeborchError) as caught:
        subordinate_ids(UID, etc(uids, gids))
    assert caught.value.code is ErrorCode.NEEDS_ROOT
    assert f"in {named}" in caught.value.message
    assert "usermod --add-subuids" in caught.value.hint


def test_a_host_without_the_files_gives_no_ids(tmp_path):
    with pytest.raises(DeborchError, match="no root"):
        subordinate_ids(UID, tmp_path)
