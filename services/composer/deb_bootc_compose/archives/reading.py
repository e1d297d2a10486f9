"""What a treefile has apt read, with what the host says about the way there."""

import asyncio
import os
from pathlib import Path

from deb_bootc_compose.archives.archive import Archive, Targets, archives_of
from deb_bootc_compose.archives.lists import Reading
from deb_bootc_compose.treefile.resolved import ResolvedTreefile
from deborch_shared.apt.host import proxies_of, read_host_apt

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


async def reading_of(treefile: ResolvedTreefile, targets: Targets | None, *more: Archive) -> Reading:
    """`more`, and the treefile's archives. Of one version that several have, apt takes the first one's.

    Raises:
        DeborchError: as `archives_of`.
    """
    host = await read_host_apt()
    archives = await archives_of(treefile, host, _KEYRING, targets)
    proxies = await asyncio.to_thread(proxies_of, os.environ)
    return Reading((*more, *archives), treefile.architecture, treefile.foreign_architectures, host, proxies)
