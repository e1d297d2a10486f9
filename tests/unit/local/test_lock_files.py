"""The lock files pin all that pyproject.toml asks for, and nothing about where to get it."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = {
    "requirements.lock": ("build",),
    "requirements-test.lock": ("build", "test", "docs"),
    "requirements-bench.lock": ("build", "test", "docs", "bench"),
}


def name_of(requirement):
    return re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def wanted_names(groups):
    project = PYPROJECT["project"]
    asked = list(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        asked += extra
    for group in groups:
        asked += PYPROJECT["dependency-groups"][group]
    return {name_of(requirement) for requirement in asked} - {project["name"]}


def pinned(lock):
    return dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)(?:\[[^\]]*\])?==(\S+)", (ROOT / lock).read_text(), re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_every_dependency_with_a_hash(lock):
    missing = wanted_names(LOCKS[lock]) - pinned(lock).keys()
    assert not missing, f"run `make lock`: {lock} lacks {sorted(missing)}"
    text = (ROOT / lock).read_text()
    assert text.count("--hash=sha256:") >= len(pinned(lock))


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_place_to_fetch_from(lock):
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert "--index-url" not in text
    assert "--find-links" not in text


def test_all_locks_pin_the_same_versions():
    bench = pinned("requirements-bench.lock")
    for lock in LOCKS:
        assert pinned(lock).items() <= bench.items(), f"run `make lock`: {lock} differs"
