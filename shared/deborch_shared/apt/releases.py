"""InRelease files as they are now, asked for by apt's own downloader.

So proxies, certificates and mirror lists of the host are obeyed. Nothing is verified here: whoever finds a file changed
has apt look, and apt verifies what it then reads.
"""

import os
import pwd
from collections.abc import Mapping, Sequence
from pathlib import Path

from deborch_shared import process

APT_HELPER = "/usr/lib/apt/apt-helper"
_ASKING_TAKES_AT_MOST_S = 60.0
_IMPATIENT = ("-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=10", "-o", "Acquire::https::Timeout=10")


def release_url(uri: str, suite: str) -> str:
    """Where the InRelease of a source is; a suite that ends in / is a flat archive (sources.list(5))."""
    if suite.endswith("/"):
        return f"{uri.rstrip('/')}/{suite.lstrip('/')}InRelease"
    return f"{uri.rstrip('/')}/dists/{suite}/InRelease"


async def fetch_releases(
    urls: Sequence[str], directory: Path, environment: Mapping[str, str]
) -> tuple[bytes, ...] | None:
    """The InRelease files at `urls`, put into the empty `directory`; None if not all of them can be had."""
    let_apt_write(directory)
    files = [
        Path("/" + url.removeprefix("file:").lstrip("/")) if url.startswith("file:") else directory / str(number)
        for number, url in enumerate(urls)
    ]
    pairs = [(url, str(file)) for url, file in zip(urls, files, strict=True) if not url.startswith("file:")]
    if pairs:
        await process.run(
            [APT_HELPER, "-q", *_IMPATIENT, "download-file", *(word for pair in pairs for word in pair)],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", **environment},
            timeout_s=_ASKING_TAKES_AT_MOST_S,
            check=False,
        )
    try:
        return tuple(file.read_bytes() for file in files)
    except OSError:
        return None


def let_apt_write(directory: Path) -> None:
    """apt's downloaders run as a user of their own where there is one."""
    try:
        os.chown(directory, pwd.getpwnam("_apt").pw_uid, -1)
    except (KeyError, PermissionError):
        return
