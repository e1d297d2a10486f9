"""What is wrong is refused with a clear word and the right exit code, and nothing of it stays."""

import hashlib
from pathlib import Path

import pytest
from tests.e2e.running import request


@pytest.fixture(autouse=True)
def nothing_is_left(stack, published):
    """Each of these attempts leaves the list of builds as it was."""
    before = [build["id"] for build in stack.get("builds?limit=500")["items"]]
    yield
    assert [build["id"] for build in stack.get("builds?limit=500")["items"]] == before


def other_tarball(dsc: Path) -> None:
    tarball = next(dsc.parent.glob("*.tar.*"))
    content = bytearray(tarball.read_bytes())
    content[len(content) // 2] ^= 1
    tarball.write_bytes(content)


def no_tarball(dsc: Path) -> None:
    next(dsc.parent.glob("*.tar.*")).unlink()


def climbing_name(dsc: Path) -> None:
    tarball = next(dsc.parent.glob("*.tar.*"))
    (dsc.parent.parent / tarball.name).write_bytes(tarball.read_bytes())
    dsc.write_text(dsc.read_text().replace(f" {tarball.name}", f" ../{tarball.name}"))


def no_dsc(dsc: Path) -> None:
    dsc.write_text("This is no source package.\n")


@pytest.mark.parametrize(
    ("spoil", "code", "names"),
    [
        (other_tarball, "digest-mismatch", "tiny_1.1.tar.xz"),
        (no_tarball, "invalid-source", "tiny_1.1.tar.xz"),
        (climbing_name, "unsafe-path", "../tiny_1.1.tar.xz"),
        (no_dsc, "invalid-source", "tiny_1.1.dsc"),
    ],
)
def test_a_spoiled_source_package_is_refused(cli, published, source, spoil, code, names):
    dsc = source(version="1.1")
    spoil(dsc)
    problem = cli.problem("build", dsc, "--target", published.target, code=2)
    assert problem["code"] == code
    assert names in problem["detail"]
    assert problem["hint"]


def test_the_hub_itself_refuses_a_source_whose_files_are_not_those_that_it_names(stack, published, source):
    dsc = source(version="1.1")
    tarball = next(dsc.parent.glob("*.tar.*"))
    other_tarball(dsc)
    answer = submitted(stack, published.target, dsc, tarball)
    assert (answer.status, answer.json()["code"]) == (422, "invalid-source"), answer
    assert tarball.name in answer.json()["detail"]


def test_the_hub_itself_refuses_a_source_with_a_climbing_name(stack, published, source):
    dsc = source(version="1.1")
    tarball = next(dsc.parent.glob("*.tar.*"))
    climbing_name(dsc)
    answer = submitted(stack, published.target, dsc, tarball, name=f"../{tarball.name}")
    assert (answer.status, answer.json()["code"]) == (422, "unsafe-path"), answer


def test_a_blob_of_another_digest_is_refused_and_not_kept(stack):
    digest = hashlib.sha256(b"as agreed").hexdigest()
    sent = uploaded(stack, digest, b"otherwise")
    assert sent.json()["code"] == "digest-mismatch", sent
    assert request("GET", f"{stack.hub}/blobs/{digest}", token=stack.token).status == 404


@pytest.mark.parametrize(
    ("wrong", "exit_code", "code", "names"),
    [
        (["--target", "nowhere"], 4, "not-found", "nowhere"),
        (["--target", "published", "--arch", "m68k"], 2, "invalid-input", "m68k"),
        (["--target", "published", "--after", "999999"], 4, "not-found", "999999"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused(cli, source, wrong, exit_code, code, names):
    problem = cli.problem("build", source(version="1.1"), *wrong, code=exit_code)
    assert problem["code"] == code
    assert names in problem["detail"]
    assert problem["hint"]


def test_a_version_that_is_published_is_not_built_again_with_other_content(stack, cli, published, source):
    before = stack.get(f"archives/{published.target}")
    problem = cli.problem("build", source(body="echo other"), "--target", published.target, code=5)
    assert problem["code"] == "version-present"
    assert "1.0" in problem["detail"]
    assert problem["hint"]
    assert stack.get(f"archives/{published.target}") == before


def test_a_file_that_is_not_there_is_not_found(cli, published, tmp_path):
    assert cli.problem("build", tmp_path / "no.dsc", "--target", published.target, code=4)["code"] == "not-found"


def test_a_person_reads_what_happened_and_what_to_do_without_json(cli, published, source):
    dsc = source(version="1.1")
    no_tarball(dsc)
    said = cli("build", dsc, "--target", published.target, code=2).stderr
    assert said.startswith("error: ")
    assert "\nhint: " in said


def test_a_target_that_asks_for_signatures_refuses_a_source_without_one(cli, source, suite, architecture):
    cli("target", "create", "signed", "--suite", suite, "--arch", architecture, "--require-signature")
    problem = cli.problem("build", source(), "--target", "signed", code=2)
    assert problem["code"] == "invalid-signature"
    assert problem["hint"]


def submitted(stack, target: str, dsc: Path, tarball: Path, *, name: str | None = None):
    """Submit over HTTP as a client would that checks nothing."""
    files = []
    for path in (dsc, tarball):
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        assert uploaded(stack, digest, content).status == 201
        files.append({"name": path.name, "sha256": digest, "size_bytes": len(content)})
    files[1]["name"] = name or tarball.name
    wanted = {"target": target, "dsc": files[0], "files": files[1:]}
    return request("POST", f"{stack.hub}/builds", token=stack.token, body=wanted)


def uploaded(stack, digest: str, content: bytes):
    headers = {"Upload-Offset": "0", "Upload-Length": str(len(content))}
    return request("PUT", f"{stack.hub}/blobs/{digest}", token=stack.token, body=content, headers=headers)
