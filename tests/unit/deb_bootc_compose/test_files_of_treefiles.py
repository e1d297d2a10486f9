"""Files that a treefile names: relative to whoever names them, within reach, and known by their content."""

import hashlib
from pathlib import Path

import pytest

from deb_bootc_compose.treefile.resolving import Asked, resolve, resolve_all
from deborch_shared.errors import DeborchError

BASE = "suite: trixie\narchitectures: [amd64]\nkernel: linux-image-amd64\n"
KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n.\n mDMEX\n-----END PGP PUBLIC KEY BLOCK-----"
SOURCES = """\
Types: deb deb-src
URIs: http://archive.example/one http://archive.example/two
Suites: stable
Components: main contrib
Signed-By: keys/own.asc

# A comment.
Types: deb
URIs: http://archive.example/flat
Suites: ./
Enabled: no

Types: deb
URIs: http://archive.example/other
Suites: stable
Check-Valid-Until: no
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDMEX
 -----END PGP PUBLIC KEY BLOCK-----
"""


def refusal(path: Path) -> str:
    with pytest.raises(DeborchError) as caught:
        resolve_all(Asked(path))
    return str(caught.value)


def test_names_are_relative_to_the_file_that_has_them_and_come_out_relative_to_the_outermost(tmp_path):
    parts = tmp_path / "parts"
    (parts / "keys").mkdir(parents=True)
    for name in ("motd", "script", "keys/own.asc", "ours.dsc", "passwd", "sign.key"):
        (parts / name).write_text(name)
    (parts / "part.yaml").write_text(
        "add-files: [[motd, /etc/motd]]\npostprocess-script: script\nsources: [{source: ours.dsc}, {source: hello}]\n"
        "repositories: [{name: own, uris: [http://a.example], suites: [s], signed-by: keys/own.asc}]\n"
        "check-passwd: {type: file, filename: passwd}\noci: {sign: sign.key}\n"
    )
    path = tmp_path / "tree.yaml"
    path.write_text(BASE + "include: parts/part.yaml\n")
    found = resolve(path)
    assert found.directory == tmp_path
    assert found.add_files[0].source == "parts/motd"
    assert found.postprocess_script == "parts/script"
    assert [source.source for source in found.sources] == ["parts/ours.dsc", "hello"]
    assert found.repositories[0].signed_by == "parts/keys/own.asc"
    assert found.check_passwd.filename == "parts/passwd"
    assert found.oci.sign == "parts/sign.key"
    assert found.documents == ("tree.yaml", "parts/part.yaml")
    assert found.files["parts/motd"] == hashlib.sha256(b"motd").hexdigest()
    assert "parts/sign.key" not in found.files, "a private key decides nothing of what is made"


def test_links_within_the_directory_are_followed_and_those_out_of_it_are_not(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "real").write_text("x")
    (tmp_path / "secret").write_text("x")
    (inside / "link").symlink_to("real")
    (inside / "out").symlink_to("../secret")
    (inside / "round").symlink_to("round")
    path = inside / "tree.yaml"
    path.write_text(BASE + "add-files: [[link, /etc/x]]\n")
    assert resolve(path).add_files[0].source == "link"
    path.write_text(BASE + "add-files: [[out, /etc/x], [round, /etc/y], [., /etc/z]]\ninclude: ../secret\n")
    text = refusal(path)
    assert ":4: add-files[0][0]: out, a link to" in text
    assert "add-files[1][0]: there is no file round" in text
    assert "add-files[2][0]: . is no plain file" in text
    assert ":5: include: ../secret is outside" in text


def test_keyrings_of_the_system_may_be_named_and_other_files_of_it_may_not(tmp_path):
    path = tmp_path / "tree.yaml"
    path.write_text(BASE + "keyrings: [/etc/hostname]\n")
    assert ":4: keyrings[0]: /etc/hostname is outside" in refusal(path)


def test_apts_own_sources_are_repositories(tmp_path):
    (tmp_path / "parts/keys").mkdir(parents=True)
    (tmp_path / "parts/keys/own.asc").write_text(KEY)
    (tmp_path / "parts/own.sources").write_text(SOURCES)
    path = tmp_path / "tree.yaml"
    path.write_text(BASE + "repositories:\n  - parts/own.sources\n  - |\n    Types: deb\n    URIs: http://b.example\n"
                    "    Suites: x\n")  # fmt: skip
    first, second, third = resolve(path).repositories
    assert (first.name, second.name, third.name) == ("own-1", "own-3", "repository")
    assert first.uris == ("http://archive.example/one", "http://archive.example/two")
    assert first.components == ("main", "contrib")
    assert first.signed_by == "parts/keys/own.asc"
    assert second.check_valid_until is False
    assert second.signed_by is not None
    assert second.signed_by.splitlines()[1:3] == ["", "mDMEX"]
    assert {"parts/own.sources", "parts/keys/own.asc"} <= set(resolve(path).files)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Types: deb-src\nURIs: x\nSuites: y\n", "deb is expected"),
        ("Types: deb\nURIs: x\nSuites: y\nTrusted: yes\n", "the field trusted is not supported"),
        ("# nothing\n", "no stanza"),
    ],
)
def test_sources_that_cannot_be_used_are_refused(tmp_path, text, expected):
    (tmp_path / "a.sources").write_text(text)
    path = tmp_path / "tree.yaml"
    path.write_text(BASE + "repositories: [a.sources]\n")
    text = refusal(path)
    assert expected in text
    assert f"{path}:4: repositories[0]" in text
