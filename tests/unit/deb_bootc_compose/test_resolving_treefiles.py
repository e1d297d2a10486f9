"""A treefile and what it includes, resolved for a target."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from deb_bootc_compose.failures import exit_code
from deb_bootc_compose.treefile.outputs import OutputKind
from deb_bootc_compose.treefile.resolving import Asked, resolve, resolve_all, targets
from deborch_shared.errors import DeborchError

SAMPLES = Path(__file__).parents[3] / "samples"
BASE = "suite: trixie\nkernel: linux-image-${architecture}\narchitectures: [amd64, arm64]\n"


def tree(directory: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory / next(iter(files))


def problems(path: Path, **variables: str) -> str:
    with pytest.raises(DeborchError) as caught:
        resolve_all(Asked(path, variables))
    assert exit_code(caught.value) == 3
    return str(caught.value)


def test_scalars_of_the_includer_win_and_lists_are_added(tmp_path):
    path = tree(
        tmp_path,
        {
            "a.yaml": "include: b.yaml\nhostname: a\npackages: [three]\noci: {labels: {x: a}}\n",
            "b.yaml": BASE + "hostname: b\npackages: [one two, three]\nlocale: C\noci: {labels: {x: b, y: b}}\n",
        },
    )
    found = resolve(path, architecture="amd64")
    assert found.hostname == "a"
    assert found.locale == "C"
    assert found.packages == ("one", "two", "three")
    assert found.oci.labels == {"x": "a", "y": "b"}
    assert found.name == found.variant == "a"
    assert found.ref == "debian/trixie/amd64/a"
    assert found.output_name == "a-${version}.amd64"


def test_a_later_include_goes_over_an_earlier_one(tmp_path):
    path = tree(
        tmp_path,
        {"a.yaml": BASE + "include: [b.yaml, c.yaml]\n", "b.yaml": "hostname: b\n", "c.yaml": "hostname: c\n"},
    )
    assert resolve(path, architecture="amd64").hostname == "c"


def test_entries_with_a_name_take_the_place_of_those_below(tmp_path):
    path = tree(
        tmp_path,
        {
            "a.yaml": "include: b.yaml\nusers: [{name: two, uid: 22}, {name: three}]\n",
            "b.yaml": BASE + "users: [{name: one}, {name: two, uid: 2}]\n",
        },
    )
    users = resolve(path, architecture="amd64").users
    assert [(user.name, user.uid) for user in users] == [("one", None), ("two", 22), ("three", None)]


def test_replace_forgets_what_is_below(tmp_path):
    path = tree(
        tmp_path,
        {
            "a.yaml": "include: b.yaml\nreplace: [packages, oci.tags, units]\npackages: [cc]\noci: {tags: [x]}\n",
            "b.yaml": BASE + "packages: [aa, bb]\nunits: [a.service]\noci: {tags: [y], name: n}\n",
        },
    )
    found = resolve(path, architecture="amd64")
    assert (found.packages, found.units, found.oci.tags, found.oci.name) == (("cc",), (), ("x",), "n")


def test_a_file_that_includes_itself_is_refused_with_the_chain(tmp_path):
    path = tree(tmp_path, {"a.yaml": BASE + "include: b.yaml\n", "b.yaml": "# first\ninclude: a.yaml\n"})
    assert f"{path} includes itself: {path}:4 -> {tmp_path}/b.yaml:2 -> {path}" in problems(path)


def test_a_file_that_is_included_twice_is_refused_with_both_chains(tmp_path):
    path = tree(
        tmp_path,
        {"a.yaml": BASE + "include: [b.yaml, c.yaml]\n", "b.yaml": "include: d.yaml", "c.yaml": "include: d.yaml",
         "d.yaml": "packages: [d]"},
    )  # fmt: skip
    text = problems(path)
    assert f"d.yaml is included twice: {path}:4 -> {tmp_path}/b.yaml:1 -> {tmp_path}/d.yaml, and" in text


def test_parts_for_one_architecture_are_for_it_alone(tmp_path):
    path = tree(
        tmp_path,
        {
            "a.yaml": BASE
            + "packages: [aa]\npackages-arm64: [bb]\nper-architecture: {arm64: {hostname: arm}}\n"
            + "arch-include: {amd64: c.yaml}\n",
            "c.yaml": "packages: [cc]\n",
        },
    )
    amd64, arm64 = (resolve(path, architecture=name) for name in ("amd64", "arm64"))
    assert (amd64.packages, amd64.hostname, amd64.kernel) == (("cc", "aa"), "debian", "linux-image-amd64")
    assert (arm64.packages, arm64.hostname, arm64.kernel) == (("aa", "bb"), "arm", "linux-image-arm64")
    assert "c.yaml" not in arm64.files


@pytest.mark.parametrize(
    ("condition", "included"),
    [
        ("channel == stable", True),
        ("channel != stable", False),
        ("'level >= 12'", True),
        ("level < 12", False),
        ('[channel == "stable", extra == true]', False),
        ("architecture == amd64", True),
    ],
)
def test_a_condition_decides_over_an_include(tmp_path, condition, included):
    path = tree(
        tmp_path,
        {
            "a.yaml": BASE
            + "variables: {channel: stable, level: 12, extra: false}\n"
            + f"conditional-include: [{{if: {condition}, include: b.yaml}}]\n",
            "b.yaml": "packages: [bb]\n",
        },
    )
    assert ("bb" in resolve(path, architecture="amd64").packages) == included


def test_variables_of_the_command_line_win_over_those_of_the_file_and_of_includes(tmp_path):
    path = tree(
        tmp_path,
        {
            "a.yaml": BASE + "include: b.yaml\nvariables: {x: a, z: 'z-${x}'}\nhostname: ${x}-${y}-${z}\n",
            "b.yaml": "variables: {x: b, y: b}\n",
        },
    )
    assert resolve(path, architecture="amd64").hostname == "a-b-z-a"
    assert resolve(path, architecture="amd64", variables={"x": "given"}).hostname == "given-b-z-given"


def test_variables_stay_away_from_scripts_and_from_what_is_escaped(tmp_path):
    text = "postprocess: ['#!/bin/sh\n  echo ${HOME}']\noutput-name: x-${version}\nmutate-os-release: {A: '$${B}'}\n"
    found = resolve(tree(tmp_path, {"a.yaml": BASE + text}), architecture="amd64")
    assert "${HOME}" in found.postprocess[0]
    assert found.output_name == "x-${version}"
    assert found.os_release == {"A": "${B}"}


def test_every_problem_is_told_at_once_with_file_line_and_key(tmp_path):
    path = tree(
        tmp_path,
        {
            "a.yaml": "pakages: [a]\nostree:\n  collection_id: x\nrepos: [x]\npackages-adm64: [x]\n"
            "include: [b.yaml, missing.yaml]\nref: ${nothing}\n",
            "b.yaml": "documentation: maybe\nvariants:\n  v:\n    unitz: [x]\n",
        },
    )
    with pytest.raises(DeborchError) as caught:
        resolve_all(Asked(path))
    found = {(problem["file"], problem["line"], problem["key"]) for problem in caught.value.fields["problems"]}
    assert {
        (str(path), 1, "pakages"),
        (str(path), 3, "ostree.collection_id"),
        (str(path), 4, "repos"),
        (str(path), 5, "packages-adm64"),
        (str(path), 6, "include[1]"),
        (str(path), 7, "ref"),
        (str(tmp_path / "b.yaml"), 1, "documentation"),
        (str(tmp_path / "b.yaml"), 4, "variants.v.unitz"),
    } <= found
    text = str(caught.value)
    assert "pakages is no key; the nearest is packages" in text
    assert "the nearest is collection-id" in text
    assert "the key is repositories" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("packages: ['bad name!']", ":4: packages[0]: NAME"),
        ("packages: [a:armhf]", "armhf is not in foreign-architectures"),
        ("packages: [foo]\nexclude-packages: [foo]", "foo is also in packages"),
        ("container: true", "kernel: a container"),
        ("outputs: [registry]", "registry.url: output registry needs it"),
        ("failable: [tar]", "tar is not in outputs"),
        ("repositories: [{name: a}]", "either uris or target is needed"),
        ("repo-packages: [{repo: a, packages: [b]}]", "there is no repository a"),
        ("variables: {a: '${b}', b: '${a}'}", "refers to itself: a -> b -> a"),
        ("variables: {suite: x}", "is always there"),
        ("hostname: ${version}", "known only once there is a commit"),
        ("units: [ssh]", "with its suffix"),
        ("remove-from-packages: [[a, '(']]", "is no regular expression"),
        ("postprocess: [echo]", "begins with #!"),
        ("add-files: [[a.yaml, etc/x]]", "an absolute path in the tree"),
        ("suite: 12", "text is expected"),
        ("conditional-include: [{if: a ~ b, include: c}]", "VARIABLE == VALUE is expected"),
        ("users: [{name: a}, {name: a}]", "users[1].name: a is there twice"),
        ("users: [{name: a, uid: 5}, {name: b, uid: 5}]", "users[1].uid: 5 is also that of a"),
        ("check-passwd: {type: file}", "type file needs filename"),
        ("name: ../../x", "name: a name of letters"),
        ("name: -x", "name: a name of letters"),
        ("remove-files: [./]", "remove-files[0]: a path in the tree"),
        ("add-files: [[a.yaml, /]]", "the destination is to be a file in the tree"),
        ("ostree: {sign: --output=x}", "ostree.sign: the fingerprint of an OpenPGP key"),
        ("add-commit-metadata: {version: x}", "is said by the compose itself"),
        ("add-commit-metadata: {a=b: x}", "letters, digits, . _ and - are expected"),
    ],
)
def test_what_cannot_be_is_refused_where_it_is_written(tmp_path, text, expected):
    base = "\n".join(line for line in BASE.splitlines() if line.split(":")[0] not in text.split(":")[0])
    path = tree(tmp_path, {"a.yaml": f"{base}\n{text}\n"})
    told = problems(path)
    assert expected in told
    assert f"{path}:" in told


def test_a_treefile_without_suite_or_kernel_says_which_key_is_missing(tmp_path):
    assert "suite" in problems(tree(tmp_path, {"a.yaml": "kernel: x1\n"}))
    assert "kernel: the package of a kernel is needed" in problems(tree(tmp_path, {"a.yaml": "suite: trixie\n"}))


@pytest.mark.parametrize("text", ["a: [1\nb: 2", "- a\n", "include: gone.yaml\n", "include: a.yaml\n"])
def test_what_a_broken_file_may_have_had_is_not_called_missing(tmp_path, text):
    assert "suite" not in problems(tree(tmp_path, {"a.yaml": text}))


def test_what_is_expected_is_told_in_the_words_of_yaml(tmp_path):
    text = "packages: vim\nrecommends: maybe\noci: {max-layers: many, labels: [a]}\noutputs: [qcow]\n"
    told = problems(tree(tmp_path, {"a.yaml": f"suite: trixie\nkernel: k1\n{text}"}))
    assert "packages: a list is expected (it is 'vim')" in told
    assert "recommends: true or false is expected" in told
    assert "oci.max-layers: a whole number is expected" in told
    assert "oci.labels: a map is expected" in told
    assert "'tar' or 'iso' is expected (it is 'qcow')" in told


def test_registry_and_qcow2_bring_what_they_are_made_of(tmp_path):
    path = tree(tmp_path, {"a.yaml": BASE + "outputs: [registry, qcow2]\nregistry: {url: localhost:5000/x}\n"})
    assert set(resolve(path, architecture="amd64").outputs) == set(OutputKind) - {OutputKind.TAR, OutputKind.ISO}


def test_names_of_rpm_ostree_mean_our_keys(tmp_path):
    text = "gpg-key: 0123456789ABCDEF\ncontainer-cmd: [/bin/sh]\nmetadata: {a: 1}\nx-mine: [2]\n"
    found = resolve(tree(tmp_path, {"a.yaml": BASE + text}), architecture="amd64")
    assert (found.ostree.sign, found.oci.cmd) == ("0123456789ABCDEF", ("/bin/sh",))
    assert found.custom == {"metadata": {"a": 1}, "x-mine": [2]}


def test_json_is_read_with_its_lines_too(tmp_path):
    path = tree(tmp_path, {"a.json": '{\n\t"suite": "trixie",\n\t"kernel": "linux-image-amd64",\n\t"unit": []\n}\n'})
    assert f"{path}:4: unit is no key" in problems(path)
    path.write_text(path.read_text().replace('"unit": []', '"hostname": "\\ud83d\\ude00"'))
    assert "host name is expected (it is '\U0001f600')" in problems(path)


def test_the_digest_is_of_what_is_made_not_of_how_it_is_written(tmp_path):
    path = tree(tmp_path, {"a.yaml": BASE + "add-files: [[f, /f]]\n", "f": "one"})
    first = resolve(path, architecture="amd64").digest
    path.write_text("# a comment\n" + path.read_text())
    assert resolve(path, architecture="amd64").digest == first
    (tmp_path / "f").write_text("two")
    assert resolve(path, architecture="amd64").digest != first


def test_the_samples_are_right():
    for sample in SAMPLES.glob("*.yaml"):
        assert targets(Asked(sample))
        assert resolve_all(Asked(sample), architectures=["amd64", "arm64"])


@pytest.mark.parametrize(
    ("sample", "variable", "value"),
    [("server", "admin-key", "ssh-ed25519 AAAA"), ("edge", "debug", "true"), ("with-own-package", "target", "trixie")],
)
def test_the_variables_of_the_samples_bring_what_they_promise(sample, variable, value):
    variant = {"server": "server-web", "edge": "edge-gateway"}.get(sample, "")
    with_it, without = (
        resolve(SAMPLES / f"{sample}.yaml", variant, "arm64", variables) for variables in ({variable: value}, {})
    )
    expected = {
        "server": lambda found: [user.ssh_keys for user in found.users] == [(value,)],
        "edge": lambda found: "strace" in found.packages,
        "with-own-package": lambda found: [one.target for one in found.repositories] == [found.build.target] == [value],
    }[sample]
    assert expected(with_it)
    assert not expected(without)
