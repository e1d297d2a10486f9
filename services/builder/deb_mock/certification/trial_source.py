"""A source package of a few lines for trials of plug-ins: it compiles, and does what a trial asks it to."""

from pathlib import Path

from deborch_shared import process

NAME, VERSION = "deb-mock-trial", "1.0"
_CONTROL = f"""\
Source: {NAME}
Section: misc
Priority: optional
Maintainer: deb-mock <nobody@localhost>
Standards-Version: 4.6.2
Build-Depends: build-essential
Rules-Requires-Root: no

Package: {NAME}
Architecture: any
Description: trial of a plug-in
 It is built and thrown away.
"""
_CHANGELOG = f"""\
{NAME} ({VERSION}) unstable; urgency=medium

  * A trial.

 -- deb-mock <nobody@localhost>  Thu, 01 Jan 2026 00:00:00 +0000
"""
_RULES = """\
#!/usr/bin/make -f
clean:
build build-arch build-indep:
\techo 'int main(void) { return 0; }' > trial.c
\t$(CC) -O2 -o trial trial.c
\t%s
binary-indep:
binary-arch: build
\tinstall -D trial debian/out/usr/bin/deb-mock-trial
\tmkdir -p debian/out/DEBIAN
\tdpkg-gencontrol -pdeb-mock-trial -Pdebian/out
\tdpkg-deb --root-owner-group -b debian/out ..
binary: binary-arch
.PHONY: clean build build-arch build-indep binary binary-arch binary-indep
"""


async def make_source(directory: Path, doing: str) -> Path:
    """Make the package in `directory`, a new one; `doing` is a command of its build. The path of the .dsc."""
    debian = directory / f"{NAME}-{VERSION}" / "debian"
    (debian / "source").mkdir(parents=True)
    (debian / "source" / "format").write_text("3.0 (native)\n")
    (debian / "control").write_text(_CONTROL)
    (debian / "changelog").write_text(_CHANGELOG)
    (debian / "rules").write_text(_RULES % doing)
    (debian / "rules").chmod(0o755)
    await process.run(["dpkg-source", "-b", debian.parent.name], cwd=directory)
    return directory / f"{NAME}_{VERSION}.dsc"
