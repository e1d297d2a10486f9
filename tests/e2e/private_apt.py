"""The real apt-get and dpkg with every directory of their own, so that they know one archive and touch no host."""

import os
import subprocess
from pathlib import Path

CONFIGURATION = """\
Dir "{root}";
Dir::State::status "{root}/installed/var/lib/dpkg/status";
APT::Architecture "{architecture}";
APT::Sandbox::User "root";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Retries "0";
DPkg::Options {{ "--root={root}/installed"; "--log={root}/dpkg.log"; }};
"""


class PrivateApt:
    """`apt("update")` runs apt-get. What it installs lies in `installed`."""

    def __init__(self, root: Path, architecture: str, sources: str) -> None:
        self.root = root
        self.installed = root / "installed"
        for part in ("etc/apt/sources.list.d", "etc/apt/apt.conf.d", "etc/apt/preferences.d", "etc/apt/trusted.gpg.d",
                     "var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/log/apt",
                     "installed/var/lib/dpkg/info", "installed/var/lib/dpkg/updates"):  # fmt: skip
            (root / part).mkdir(parents=True)
        (self.installed / "var/lib/dpkg/status").touch()
        (root / "apt.conf").write_text(CONFIGURATION.format(root=root, architecture=architecture))
        self.use(sources)

    def use(self, sources: str) -> None:
        """Have this `.sources` file alone."""
        (self.root / "etc/apt/sources.list.d/test.sources").write_text(sources)

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """What apt-get says, which must end with `code`."""
        done = subprocess.run(
            ["apt-get", *arguments],
            env={"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin", "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive",
                 "APT_CONFIG": str(self.root / "apt.conf")},
            cwd=self.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == code, f"apt-get {' '.join(arguments)}: {done.returncode}, not {code}\n{done.stdout}"
        return done.stdout
