"""An arch-all Python package as many in Debian are: debhelper, pybuild, setuptools, a test suite."""

import subprocess
from pathlib import Path

NAME = "bench-python"
_FILES = {
    "debian/source/format": "3.0 (native)\n",
    "debian/changelog": f"""\
{NAME} (1.0) unstable; urgency=medium

  * Made by the bench.

 -- Bench <bench@example.org>  Thu, 01 Jan 2026 00:00:00 +0000
""",
    "debian/control": f"""\
Source: {NAME}
Section: python
Priority: optional
Maintainer: Bench <bench@example.org>
Standards-Version: 4.6.2
Build-Depends: debhelper-compat (= 13), dh-python, python3-all, python3-pytest, python3-setuptools
Rules-Requires-Root: no

Package: python3-{NAME}
Architecture: all
Depends: ${{python3:Depends}}, ${{misc:Depends}}
Description: made by the bench
 Nothing else.
""",
    "debian/rules": """\
#!/usr/bin/make -f
export PYBUILD_TEST_PYTEST=1
%:
	dh $@ --with python3 --buildsystem=pybuild
""",
    "setup.py": f'from setuptools import setup\nsetup(name="{NAME}", version="1.0", packages=["bench_python"])\n',
    "bench_python/__init__.py": "def double(number):\n    return 2 * number\n",
    "tests/test_double.py": "from bench_python import double\n\n\ndef test_double():\n    assert double(2) == 4\n",
}


def make_python_source(directory: Path) -> Path:
    """Make the package in the empty directory `directory`; the path of its .dsc."""
    tree = directory / f"{NAME}-1.0"
    for name, content in _FILES.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(content)
    (tree / "debian/rules").chmod(0o755)
    subprocess.run(["dpkg-source", "-b", tree.name], cwd=directory, check=True, capture_output=True)
    return directory / f"{NAME}_1.0.dsc"
