"""Which surroundings the second build of a check has."""

import pytest

from deb_mock.model import BuildRequest, Surroundings
from deb_mock.plans import surroundings
from deb_mock.reproducibility.variations import TOOLS, VARIATIONS, Machine, choose
from deborch_shared.errors import DeborchError
from deborch_shared.sandbox.spec import SandboxSpec

LARGE = Machine(cpus=(0, 1), in_memory=True, available_tools=frozenset(TOOLS))
SMALL = Machine(cpus=(3,), in_memory=False, available_tools=frozenset())
ALL = [variation.name for variation in VARIATIONS]


def names(wish, machine=LARGE):
    return [variation.name for variation in choose(wish, machine).variations]


@pytest.mark.parametrize("wish", ["all", "", "+time"])
def test_everything_that_is_possible_differs_unless_something_else_is_asked_for(wish):
    assert names(wish) == ALL


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ("-time,-locale", [name for name in ALL if name not in ("time", "locale")]),
        ("time", ["time"]),
        ("none", []),
        ("none,+umask", ["umask"]),
        ("hostname,user", ["hostname", "user"]),
        ("all,-cpus,-time,+time", [name for name in ALL if name != "cpus"]),
    ],
)
def test_variations_are_switched_by_name(wish, expected):
    assert names(wish) == expected


def test_what_cannot_be_done_here_is_left_out_and_says_why():
    left_out = choose("all", SMALL).left_out
    assert left_out["time"] == "the suite has no package libfaketime"
    assert left_out["cpus"] == "this machine has one processor"
    assert "file-order" in left_out
    assert choose("-umask", LARGE).left_out == {"umask": "not asked for"}


def test_a_variation_that_turned_out_not_to_be_one_is_not_claimed():
    chosen = choose("umask,file-order", LARGE).without("file-order", "both on disk")
    assert [variation.name for variation in chosen.variations] == ["umask"]
    assert chosen.left_out["file-order"] == "both on disk"
    assert choose("umask", LARGE).without("file-order", "x").left_out["file-order"] == "not asked for"


def test_what_is_asked_for_by_name_and_cannot_be_done_is_an_error():
    with pytest.raises(DeborchError) as caught:
        choose("+time", SMALL)
    assert "libfaketime" in caught.value.message
    assert caught.value.hint == "leave it out: --vary=-time"


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(DeborchError) as caught:
        choose("-tiem", LARGE)
    assert "did you mean time?" in caught.value.message


def test_each_variation_changes_something_that_the_build_sees(tmp_path):
    for variation in VARIATIONS:
        second = variation.apply(Surroundings(), LARGE)
        assert second != Surroundings(), variation.name
        surroundings.check(second)


def test_surroundings_become_the_sandbox_the_variables_and_the_command(tmp_path):
    second = choose("all", LARGE).applied(Surroundings(), LARGE)
    request = BuildRequest(
        "b",
        tmp_path,
        tmp_path,
        "bookworm",
        "amd64",
        tmp_path,
        parallel=2,
        build_options=("b", "a"),
        surroundings=second,
    )
    spec = SandboxSpec(tmp_path, (), scratch_bytes=1 << 20)
    applied = surroundings.applied(spec, "/build/another-build-path/x-1", second)
    assert (applied.workspace, applied.workspace_uid) == ("/build/another-build-path", second.uid)
    assert (applied.hostname, applied.scratch_bytes) == ("another-host", None)
    variables = surroundings.environment(request)
    assert variables["DEB_BUILD_OPTIONS"] == "parallel=2 a b"
    assert variables["LC_ALL"] == "fr_CH.UTF-8"
    assert variables["USER"] == "somebody"
    assert list(variables) == sorted(variables)
    command = surroundings.command(request)
    assert command[:4] == ["sh", "-c", 'umask "$0" && exec "$@"', "0002"]
    assert command[4:7] == ["taskset", "--cpu-list", "1"]
    assert command[7] == "env"
    assert "FAKETIME=+34387200" in command[8 : command.index("dpkg-buildpackage")]
    assert surroundings.tools(second) == ["locales", "libfaketime"]
    assert [argv[0] for argv in surroundings.preparations(second)] == ["groupadd", "useradd", "localedef"]


@pytest.mark.parametrize(
    "odd",
    [
        Surroundings(build_path="/usr/bin/x"),
        Surroundings(build_path="/build/../etc/x"),
        Surroundings(build_path="/build"),
        Surroundings(build_path="build/x"),
        Surroundings(build_path="/build/a b/x"),
        Surroundings(hostname="a b"),
        Surroundings(user="-x"),
        Surroundings(uid=0),
        Surroundings(locale="../x"),
        Surroundings(environment={"A=B": ""}),
        Surroundings(environment={"A": "\0"}),
    ],
)
def test_surroundings_that_could_do_harm_are_refused(odd):
    with pytest.raises(DeborchError) as caught:
        surroundings.check(odd)
    assert caught.value.fields["failure_class"] == "policy"


@pytest.mark.parametrize("path", ["", "/build/reproducible-path/", "/build/x/", "/home/me/src/hello-2.10", "/srv/x/y"])
def test_build_paths_of_debian_and_of_people_are_taken(path):
    surroundings.check(Surroundings(build_path=path))
