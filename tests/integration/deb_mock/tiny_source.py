"""A source package of a few lines that needs nothing but build-essential, with a body of the test's choice."""

import subprocess
from pathlib import Path

CONTROL = """\
Source: {name}
Section: misc
Priority: optional
Maintainer: Test <test@example.org>
Standards-Version: 4.6.2
Build-Depends: {build_depends}
Rules-Requires-Root: no

Package: {name}
Architecture: any
Description: made by a test
 Nothing else.
"""

CHANGELOG = """\
{name} ({version}) unstable; urgency=medium

  * Made by a test.

 -- Test <test@example.org>  Thu, 01 Jan 2026 00:00:00 +0000
"""

RULES = """\
#!/usr/bin/make -f
export SHELL = /bin/sh
clean:
build build-arch build-indep:
{body}
binary-indep:
binary-arch: build
\tmkdir -p debian/out/DEBIAN debian/out/usr/share/{name}
\techo content > debian/out/usr/share/{name}/file
\tdpkg-gencontrol -p{name} -Pdebian/out
\tdpkg-deb --root-owner-group -b debian/out ..
binary: binary-arch
.PHONY: clean build build-arch build-indep binary binary-arch binary-indep
"""


def make_source(
    directory: Path, *, body: str = "true", name: str = "tiny", version: str = "1.0", build_depends: str = ""
) -> Path:
    """Make the package in `directory`; the path of its .dsc. `body` is shell, one command a line."""
    tree = directory / f"{name}-{version}"
    debian = tree / "debian"
    (debian / "source").mkdir(parents=True)
    (debian / "source" / "format").write_text("3.0 (native)\n")
    depends = build_depends or "build-essential"
    (debian / "control").write_text(CONTROL.format(name=name, build_depends=depends))
    (debian / "changelog").write_text(CHANGELOG.format(name=name, version=version))
    lines = "\n".join(f"\t{line.replace('$', '$$')}" for line in body.splitlines())
    rules = debian / "rules"
    rules.write_text(RULES.format(name=name, body=lines))
    rules.chmod(0o755)
    subprocess.run(["dpkg-source", "-b", tree.name], cwd=directory, check=True, capture_output=True)
    return directory / f"{name}_{version}.dsc"
