"""The checks of `bootc container lint`: each passes on a good root and says what is wrong with a bad one."""

import gzip
import io
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from deb_bootc_compose.digests import canonical
from deb_bootc_compose.failures import FailureClass
from deb_bootc_compose.lint.report import Finding, Verdict, failed, lint
from deb_bootc_compose.lint.root import DirectoryRoot, open_root
from deb_bootc_compose.outputs.oci.archive import write_archive
from deb_bootc_compose.outputs.oci.image import MANIFEST_TYPE, Layout
from deborch_shared.errors import DeborchError


def write(root: Path, path: str, text: str = "") -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def good_root(root: Path) -> Path:
    for directory in ("dev", "proc", "sys", "run", "tmp", "var", "boot", "sysroot", "usr/lib/modules/6.12"):
        (root / directory).mkdir(parents=True)
    (root / "ostree").symlink_to("sysroot/ostree")
    write(root, "usr/lib/modules/6.12/vmlinuz", "kernel")
    write(root, "usr/lib/ostree/prepare-root.conf", "[composefs]\nenabled = maybe\n")
    write(root, "usr/lib/bootc/kargs.d/10-console.toml", 'kargs = ["console=ttyS0"]\n')
    write(root, "usr/lib/sysusers.d/base.conf", "u  messagebus -\ng  adm 4\n")
    write(root, "etc/passwd", "root:x:0:0::/:/bin/sh\nmessagebus:x:99:99::/:/bin/sh\n")
    write(root, "etc/group", "root:x:0:\nadm:x:4:\n")
    return root


def found(root: Path) -> dict[str, Finding]:
    return {finding.name: finding for finding in lint(DirectoryRoot(root))}


def test_a_good_root_passes_every_check(tmp_path: Path) -> None:
    findings = lint(DirectoryRoot(good_root(tmp_path)))

    assert {finding.verdict for finding in findings} == {Verdict.PASSED}
    assert len(findings) == 14
    assert failed(findings) is None


BREAKS: dict[str, tuple[Verdict, Callable[[Path], object], str]] = {
    "var-run": (Verdict.FAILED, lambda root: (root / "var/run").mkdir(), "/var/run"),
    "etc-usretc": (Verdict.FAILED, lambda root: (root / "usr/etc").mkdir(), "/usr/etc"),
    "bootc-kargs": (
        Verdict.FAILED, lambda root: write(root, "usr/lib/bootc/kargs.d/20.toml", "kargs = 'quiet'"), "20.toml"
    ),
    "kernel": (Verdict.FAILED, lambda root: write(root, "usr/lib/modules/6.1/vmlinuz"), "6.1, 6.12"),
    "utf8": (Verdict.FAILED, lambda root: Path(os.fsdecode(os.fsencode(root) + b"/etc/\xff")).touch(), r"\xff"),
    "api-base-directories": (Verdict.FAILED, lambda root: shutil.rmtree(root / "proc"), "/proc"),
    "baseimage-root": (Verdict.FAILED, lambda root: (root / "ostree").unlink(), "/ostree"),
    "buildah-injected": (Verdict.WARNING, lambda root: write(root, "etc/hostname"), "/etc/hostname"),
    "baseimage-composefs": (
        Verdict.WARNING,
        lambda root: write(root, "usr/lib/ostree/prepare-root.conf", "[composefs]\nenabled=no"),
        "composefs",
    ),
    "var-log": (Verdict.WARNING, lambda root: write(root, "var/log/dpkg.log", "installed"), "var/log/dpkg.log"),
    "sysusers": (Verdict.WARNING, lambda root: write(root, "etc/group", "root:x:0:\nlost:x:7:\n"), "group lost"),
    "nonempty-boot": (Verdict.WARNING, lambda root: write(root, "boot/grub/grub.cfg"), "grub"),
    "nonempty-run-tmp": (Verdict.WARNING, lambda root: write(root, "tmp/left"), "tmp/left"),
    "var-tmpfiles": (Verdict.NOT_CHECKED, lambda root: write(root, "var/lib/x"), "bootc container lint"),
}  # fmt: skip


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_root_is_told_of_by_the_check_that_is_for_it(tmp_path: Path, name: str) -> None:
    verdict, spoil, text = BREAKS[name]
    spoil(good_root(tmp_path))

    finding = found(tmp_path)[name]

    assert finding.verdict is verdict
    assert text in " ".join(finding.texts)


def test_what_is_fatal_is_an_error_that_names_the_checks(tmp_path: Path) -> None:
    (good_root(tmp_path) / "var/run").mkdir()

    error = failed(lint(DirectoryRoot(tmp_path)))

    assert error is not None
    assert (error.fields["failure_class"], error.fields["checks"]) == (FailureClass.LINT, ["var-run"])


def test_a_link_out_of_the_root_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("secret:x:0:\n")
    root = good_root(tmp_path / "root")
    (root / "etc/group").unlink()
    (root / "etc/group").symlink_to(outside)

    assert "secret" not in " ".join(found(root)["sysusers"].texts)


def test_an_image_is_checked_with_its_layers_on_top_of_each_other(tmp_path: Path) -> None:
    root = good_root(tmp_path / "root")
    layout = Layout(tmp_path / "oci")
    layers = []
    for name, members in (
        ("one", ["usr", "etc"]),
        ("two", ["dev", "proc", "sys", "run", "tmp", "boot", "sysroot", "ostree"]),
    ):
        with tarfile.open(tmp_path / name, "w") as layer:
            for member in members:
                layer.add(root / member, member)
        layers.append(layout.add((tmp_path / name).read_bytes(), "layer").as_json())
    layout.name(layout.add(canonical({"layers": layers}), MANIFEST_TYPE), "1")
    write_archive(layout.directory, tmp_path / "image.ociarchive")

    findings = {one.name: one for one in lint(open_root(tmp_path / "image.ociarchive"))}

    wrong = {name: one.texts for name, one in findings.items() if one.verdict is not Verdict.PASSED}
    assert wrong == {"api-base-directories": ("/var is no directory",)}


def _layout_of(tmp_path: Path, files: dict[str, bytes]) -> Path:
    archive = tmp_path / "image.ociarchive"
    with tarfile.open(archive, "w") as written:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            written.addfile(member, io.BytesIO(content))
    return archive


INDEX = canonical({"manifests": [{"digest": "sha256:a"}]})
LAYERS = canonical({"layers": [{"digest": "sha256:b"}]})


@pytest.mark.parametrize(
    "files",
    [
        {"index.json": INDEX, "blobs/sha256/a": INDEX},
        {"index.json": canonical({"manifests": []})},
        {"index.json": canonical({"manifests": [3]})},
        {"index.json": canonical({"manifests": [{"digest": 3}]})},
        {"index.json": b"[]"},
        {"index.json": INDEX, "blobs/sha256/a": LAYERS, "blobs/sha256/b": b"\x1f\x8b\x08\x00" + b"x" * 99},
        {"index.json": INDEX, "blobs/sha256/a": LAYERS, "blobs/sha256/b": gzip.compress(b"x" * 9999)[:40]},
    ],
    ids=["in a circle", "empty", "no maps", "no digest", "a list", "damaged", "cut off"],
)
def test_an_archive_that_is_not_as_it_should_be_is_refused(tmp_path: Path, files: dict[str, bytes]) -> None:
    with pytest.raises(DeborchError, match=r"image\.ociarchive is no OCI archive"):
        open_root(_layout_of(tmp_path, files))


def test_a_layer_of_zstd_is_told_by_that_name(tmp_path: Path) -> None:
    layers = canonical({"layers": [{"digest": "sha256:b", "mediaType": "application/x.tar+zstd"}]})
    with pytest.raises(DeborchError, match="compressed by zstd"):
        open_root(_layout_of(tmp_path, {"index.json": INDEX, "blobs/sha256/a": layers}))


def test_a_device_in_the_place_of_a_setting_is_no_setting(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "layer", "w") as layer:
        node = tarfile.TarInfo("./etc/passwd")
        node.type = tarfile.CHRTYPE
        layer.addfile(node)
    content = (tmp_path / "layer").read_bytes()
    root = open_root(_layout_of(tmp_path, {"index.json": INDEX, "blobs/sha256/a": LAYERS, "blobs/sha256/b": content}))
    assert not root.read("etc/passwd")
    assert lint(root)


def test_what_is_no_root_is_refused_with_what_would_be_one(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")

    for path in (tmp_path / "text", tmp_path / "missing"):
        with pytest.raises(DeborchError, match=path.name) as refused:
            open_root(path)
        assert ".ociarchive" in refused.value.hint
