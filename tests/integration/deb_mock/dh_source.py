"""A source package with a C program, built by debhelper, as most of Debian is."""

import subprocess
from pathlib import Path

from tests.integration.deb_mock.tiny_source import CHANGELOG

CONTROL = """\
Source: small
Section: misc
Priority: optional
Maintainer: Test <test@example.org>
Standards-Version: 4.6.2
Build-Depends: debhelper-compat (= 13)
Rules-Requires-Root: no

Package: small
Architecture: any
Depends: ${shlibs:Depends}, ${misc:Depends}
Description: made by a test
 Nothing else.
"""
RULES = "#!/usr/bin/make -f\n%:\n\tdh $@\n"
MAKEFILE = """\
all: small
small: small.c
\t$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $<
install:
\tinstall -D small $(DESTDIR)/usr/bin/small
test:
\t./small | grep -q hello
clean:
\trm -f small
"""
PROGRAM = '#include <stdio.h>\nint main(void) { puts("hello from " __FILE__); return 0; }\n'


def make_dh_source(directory: Path) -> Path:
    """Make the package in `directory`; the path of its .dsc."""
    tree = directory / "small-1.0"
    (tree / "debian" / "source").mkdir(parents=True)
    for name, content in (
        ("debian/source/format", "3.0 (native)\n"),
        ("debian/control", CONTROL),
        ("debian/changelog", CHANGELOG.format(name="small", version="1.0")),
        ("debian/rules", RULES),
        ("Makefile", MAKEFILE),
        ("small.c", PROGRAM),
    ):
        (tree / name).write_text(content)
    (tree / "debian" / "rules").chmod(0o755)
    subprocess.run(["dpkg-source", "-b", tree.name], cwd=directory, check=True, capture_output=True)
    return directory / "small_1.0.dsc"
