"""The wheel, built from what git holds and installed apart from the source tree, is all that a machine needs."""

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
PACKAGES = (
    "deborch_shared",
    "deborch_hub",
    "deb_mock",
    "deborch_builder",
    "deb_bootc_compose",
    "deborch_composer",
    "deborch_auth",
    "deborch_cli",
)
SCRIPTS = (
    "deborch",
    "deborch-hub",
    "deborch-builder",
    "deborch-composer",
    "deborch-auth",
    "deb-mock",
    "deb-bootc-compose",
)
DATA_SUFFIXES = (".sql", ".j2", ".js", ".css", ".typed")

IMPORT_EVERYTHING = """
import importlib, json, pkgutil, sys
found = {}
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    found[name] = package.__file__
    for module in pkgutil.walk_packages(package.__path__, f"{name}."):
        found[module.name] = importlib.import_module(module.name).__file__
print(json.dumps(found))
"""


def run(*command: str | Path, cwd: Path, check: bool = True) -> "subprocess.CompletedProcess[str]":
    """Without what could lead back to the source tree."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(command, cwd=cwd, env=environment, check=check, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def source_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the last commit, and nothing that merely lies beside them."""
    tree = tmp_path_factory.mktemp("source")
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=REPOSITORY, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", tree], input=archive, check=True)
    return tree


@pytest.fixture(scope="module")
def wheel(source_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", target, cwd=source_tree)
    (path,) = target.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel in it. Its dependencies are those of the running environment."""
    directory = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", directory, cwd=directory)
    (packages,) = directory.glob("lib/python*/site-packages")
    run(
        sys.executable, "-m", "pip", "--python", directory / "bin" / "python", "install", "--no-deps", "--no-index",
        wheel, cwd=directory,
    )  # fmt: skip
    # a plain path and not addsitedir: the .pth of an editable install over there must not be read
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return directory


def test_every_module_is_imported_from_the_wheel(environment: Path) -> None:
    said = run(environment / "bin" / "python", "-c", IMPORT_EVERYTHING, *PACKAGES, cwd=environment).stdout
    found: dict[str, str] = json.loads(said)
    expected = {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        for root in source_roots()
        for name in PACKAGES
        for path in root.joinpath(name).rglob("*.py")
    }
    assert expected <= set(found)
    strangers = {name: file for name, file in found.items() if not Path(file).is_relative_to(environment)}
    assert strangers == {}


def test_queries_migrations_templates_and_type_markers_are_in_the_wheel(source_tree: Path, wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        shipped = set(opened.namelist())
    in_git = {
        str(path.relative_to(root))
        for root in source_roots(source_tree)
        for name in PACKAGES
        for path in root.joinpath(name).rglob("*")
        if path.suffix in DATA_SUFFIXES or path.name == "py.typed"
    }
    assert in_git <= shipped
    assert {f"{name}/py.typed" for name in PACKAGES} <= in_git
    assert any(name.startswith("deborch_hub/store/sql/") for name in in_git)
    assert any(name.startswith("deborch_hub/store/migrations/") for name in in_git)
    assert any(name.startswith("deborch_auth/store/migrations/") for name in in_git)
    assert any(name.endswith(".j2") for name in in_git)


def test_nothing_but_the_packages_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        tops = {name.partition("/")[0] for name in opened.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_console_script_starts_and_says_what_it_needs(environment: Path, script: str) -> None:
    done = run(environment / "bin" / script, "--help", cwd=environment, check=False)
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    if done.returncode == 0:
        assert "usage" in said.lower()
    else:
        assert f"{script}: " in said
        assert "DEBORCH_" in said


def source_roots(tree: Path = REPOSITORY) -> list[Path]:
    """The folders that hold the packages."""
    return [tree / "shared", *sorted(path for path in (tree / "services").iterdir() if path.is_dir())]
