"""An archive with one package of a tree in a newer version, and a treefile that reads it as well."""

import json
import subprocess
from pathlib import Path

_SUFFIX = "+bench1"


def archive_with_changed_package(directory: Path, sample: Path, gathered: Path, name: str) -> Path:
    """The treefile, in the new `directory`: `sample`, and a signed archive whose `name` has other documentation."""
    archive = directory / "archive"
    archive.mkdir(parents=True)
    packages = json.loads((gathered / "lock.json").read_bytes())["packages"]
    package = next(one for one in packages if one["name"] == name)
    (old,) = (gathered / "repository").glob(f"{name}_*.deb")
    _repack(old, directory / "tree", archive / f"{name}_{package['version']}{_SUFFIX}_{package['architecture']}.deb")
    _sign(archive, directory)
    treefile = directory / "changed.yaml"
    treefile.write_text(
        f"include: {sample.absolute()}\n"
        "repositories:\n"
        f"  - {{name: changed, uris: ['file:{archive}'], suites: [./], signed-by: key.asc}}\n"
    )
    return treefile


def _repack(old: Path, tree: Path, new: Path) -> None:
    subprocess.run(["dpkg-deb", "--raw-extract", str(old), str(tree)], check=True)
    control = tree / "DEBIAN" / "control"
    lines = control.read_text().splitlines()
    changed = [f"{line}{_SUFFIX}" if line.startswith("Version: ") else line for line in lines]
    control.write_text("\n".join(changed) + "\n")
    (tree / "usr" / "lib").mkdir(parents=True, exist_ok=True)
    (tree / "usr" / "lib" / "changed-by-the-bench").write_text("changed\n")
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", str(tree), str(new)], check=True, capture_output=True)


def _sign(archive: Path, directory: Path) -> None:
    home = directory / "gpg"
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
    subprocess.run([*gpg, "--quick-gen-key", "bench", "ed25519", "sign", "0"], check=True)
    with (directory / "key.asc").open("wb") as key:
        subprocess.run([*gpg, "--armor", "--export"], check=True, stdout=key)
    with (archive / "Packages").open("wb") as index:
        subprocess.run(["apt-ftparchive", "packages", "."], cwd=archive, check=True, stdout=index)
    with (archive / "Release").open("wb") as release:
        subprocess.run(["apt-ftparchive", "release", "."], cwd=archive, check=True, stdout=release)
    signed = [*gpg, "--clearsign", "--output", str(archive / "InRelease"), str(archive / "Release")]
    subprocess.run(signed, check=True)
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
