"""A small tree with what the layout has to deal with."""

from typing import Any

import pytest

from deb_bootc_compose.ostree.tree import Tree
from deb_bootc_compose.treefile.resolved import ResolvedTreefile

PASSWD = "root:x:0:0:root:/root:/bin/bash\nmessagebus:x:998:997::/nonexistent:/usr/sbin/nologin\n"
GROUP = "root:x:0:\nmessagebus:x:997:\nsudo:x:27:\n"
STATUS = """\
Package: systemd
Status: install ok installed
Architecture: amd64
Version: 257.1
Depends: libc6 (>= 2.41), libsystemd-shared (= 257.1)

Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.41-1

Package: libsystemd-shared
Status: install ok installed
Architecture: amd64
Version: 257.1

Package: hello
Status: install ok installed
Architecture: amd64
Version: 2.10-5
Depends: libc6

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
"""
KERNEL = "6.12-cloud-amd64"


@pytest.fixture
def tree(tmp_path):
    made = Tree(tmp_path / "tree")
    made.root.mkdir()
    for path in ("/etc/default", "/usr/lib/tmpfiles.d", "/var/log", "/root", "/home", "/opt", "/media", "/mnt"):
        made.make_directory(path)
    for path in ("/srv", "/usr/local/bin", "/run", "/dev", "/proc", "/sys", "/boot", f"/usr/lib/modules/{KERNEL}"):
        made.make_directory(path)
    made.link("/bin", "usr/bin")
    made.write("/usr/bin/hello", "hello", 0o755)
    made.write("/etc/passwd", PASSWD)
    made.write("/etc/group", GROUP)
    made.write("/etc/shadow", "root:*:19000:0:99999:7:::\n", 0o640)
    made.write("/etc/gshadow", "root:*::\nsudo:*::\n", 0o640)
    made.write("/var/lib/dpkg/status", STATUS)
    made.write("/var/lib/dpkg/info/hello.list", "/.\n/bin/hello\n/usr/share/doc/hello/copyright\n")
    made.write(f"/boot/vmlinuz-{KERNEL}", "kernel")
    made.write(f"/boot/config-{KERNEL}", "CONFIG")
    made.link("/vmlinuz", f"boot/vmlinuz-{KERNEL}")
    return made


@pytest.fixture
def treefile(tmp_path):
    """`treefile(**fields)`: resolved, for a suite that does not matter."""

    def make(**fields: Any):
        return ResolvedTreefile(
            **{
                "name": "t",
                "variant": "t",
                "architecture": "amd64",
                "directory": tmp_path,
                "suite": "trixie",
                "ref": "t/amd64",
                "kernel": "linux-image-cloud-amd64",
                **fields,
            }
        )

    return make
