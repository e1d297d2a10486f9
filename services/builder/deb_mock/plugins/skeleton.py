"""A working project of a plug-in to start from: `deb-mock plugin new NAME`."""

from collections.abc import Iterator
from pathlib import Path

from deb_mock.failures import FailureClass, failure
from deb_mock.plugins.api import API_VERSION, ENTRY_POINT_GROUP
from deb_mock.plugins.catalogue import SHIPPED, check_name
from deborch_shared.errors import ErrorCode

_PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "deb-mock-{name}"
version = "0.1.0"
description = "A plug-in of deb-mock"
requires-python = ">=3.11"
dependencies = ["deb-orchestrator[builder]"]

[project.entry-points."{group}"]
{name} = "{package}:{class_name}"

[tool.hatch.build.targets.wheel]
packages = ["src/{package}"]

[tool.pytest.ini_options]
testpaths = ["tests"]
pythonpath = ["src"]
"""
_PLUGIN = '''\
"""The plug-in {name} of deb-mock."""

from typing import ClassVar

from deb_mock.plugins.api import BuildContext, Contribution, Plugin, PluginOptions, Results, hookimpl
from deb_mock.plugins.naming import stem
from pydantic import Field


class {class_name}Options(PluginOptions):
    """Options of {name}: each has a type, a default and a description."""

    greeting: str = Field("hello", description="What is written into the log and the results.")


class {class_name}(Plugin):
    """An instance serves one build. Add hooks by the names that deb_mock.plugins.api.Hooks has."""

    name: ClassVar[str] = "{name}"
    summary: ClassVar[str] = "One line for deb-mock plugin list."
    api_version: ClassVar[str] = "{api_version}"
    options_model: ClassVar[type[PluginOptions]] = {class_name}Options
    options: {class_name}Options

    @hookimpl
    def contribute(self) -> Contribution:
        """What the build gets: environment, binds, packages, build options, a wrapper, apt options."""
        return Contribution(environment={{"{variable}": self.options.greeting}})

    @hookimpl
    async def results_collected(self, build: BuildContext, results: Results) -> None:
        """What came out, before it is visible; hooks may be async or not."""
        build.say(f"{{self.options.greeting}}, {{len(results.artifacts)}} files")
        results.add(f"{{stem(build)}}.{name}.txt", self.options.greeting.encode())
'''
_TESTS = '''\
"""Without root and without builds; `deb-mock plugin certify .` tries the plug-in in real ones."""

import pytest
from deb_mock.plugins.catalogue import check_class, check_options, hook_names
from deborch_shared.errors import DeborchError
from {package} import {class_name}, {class_name}Options


def test_it_fits_the_interface_of_this_deb_mock():
    assert check_class("{name}", {class_name}) is {class_name}
    assert hook_names({class_name}) == ("contribute", "results_collected")


def test_its_options_are_checked():
    assert check_options("{name}", {class_name}, {{"greeting": "hi"}}) == {class_name}Options(greeting="hi")
    with pytest.raises(DeborchError, match="did you mean greeting"):
        check_options("{name}", {class_name}, {{"greting": "hi"}})


def test_it_contributes_its_greeting():
    contribution = {class_name}({class_name}Options(greeting="hi")).contribute()
    assert contribution.environment == {{"{variable}": "hi"}}
'''
_README = """\
# deb-mock-{name}

A plug-in of deb-mock. Install it beside deb-mock, then

    sudo deb-mock build PACKAGE.dsc --plugin {name}:greeting=hi

    python -m pytest                  # its own tests
    sudo deb-mock plugin certify .    # in real builds
"""


def write_skeleton(name: str, directory: Path) -> tuple[Path, ...]:
    """Write the project of the plug-in `name` into `directory`, which must not exist; the files.

    Raises:
        DeborchError: INVALID_INPUT for a bad name, ALREADY_EXISTS if the directory or a shipped plug-in is there.
    """
    check_name(name)
    if name in SHIPPED or directory.exists():
        raise failure(
            FailureClass.POLICY,
            ErrorCode.ALREADY_EXISTS,
            f"{directory} is there already" if directory.exists() else f"deb-mock ships a plug-in {name}",
            hint="choose another name or directory",
        )
    written = []
    for place, content in _files(name):
        path = directory / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        written.append(path)
    return tuple(written)


def _files(name: str) -> Iterator[tuple[str, str]]:
    words = name.split("-")
    values = {
        "name": name,
        "package": f"deb_mock_{'_'.join(words)}",
        "class_name": "".join(word.capitalize() for word in words),
        "variable": f"{'_'.join(words).upper()}_GREETING",
        "api_version": API_VERSION,
        "group": ENTRY_POINT_GROUP,
    }
    yield "pyproject.toml", _PYPROJECT.format(**values)
    yield "README.md", _README.format(**values)
    yield f"src/{values['package']}/__init__.py", _PLUGIN.format(**values)
    yield f"tests/test_{values['package']}.py", _TESTS.format(**values)
