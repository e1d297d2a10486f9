"""The source packages of a treefile, exactly: a .dsc file by its digest, or the version that the suite has now."""

import asyncio
import re
from pathlib import Path

from deb_bootc_compose.archives.configuration import PrivateApt
from deb_bootc_compose.archives.lists import Lists, Reading, scratch_directory
from deb_bootc_compose.digests import JsonObject, digest_of_file
from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.state.layout import State
from deb_bootc_compose.treefile.packages import SourceBuild
from deborch_shared.errors import DeborchError, ErrorCode, bounded

_REQUEST = re.compile(r"[a-z0-9][a-z0-9+.-]+(?:=[A-Za-z0-9.+:~-]+)?\Z")
_DSC = re.compile(r"^'[^']+/(?P<file>[^/']+\.dsc)' \S+ \d+ SHA256:(?P<sha256>[0-9a-f]{64})", re.MULTILINE)


async def identified(sources: tuple[SourceBuild, ...], directory: Path, reading: Reading, state: State) -> JsonObject:
    """`{"argument": digest of the .dsc}` for each; arguments are paths, or `NAME=VERSION` with the version added.

    Raises:
        DeborchError: NOT_FOUND of class BUILD for what the suite does not have, INVALID_INPUT for what is no source.
    """
    found: JsonObject = {}
    named = [one.source for one in sources if not one.source.endswith(".dsc")]
    for one in sources:
        if one.source.endswith(".dsc"):
            found[one.source] = await asyncio.to_thread(_dsc_digest, directory / one.source)
    for text in named:
        if _REQUEST.match(text) is None:
            raise _no_source(text)
    if named:
        lists = Lists(state)
        place = await lists.read(reading, await lists.releases(reading))
        async with scratch_directory(state.scratch, "sources") as scratch:
            apt = PrivateApt(scratch, place, reading.proxies)
            apt.configure(
                reading.archives,
                reading.host,
                architecture=reading.architecture,
                foreign_architectures=reading.foreign_architectures,
            )
            for text in named:
                found |= await _in_suite(apt, text)
    return found


async def _in_suite(apt: PrivateApt, text: str) -> JsonObject:
    options = ("-o", "Acquire::ForceHash=SHA256", "--print-uris", "--only-source", "--download-only")
    done = await apt.run("apt-get", "-q", *options, "source", text)
    output = done.output.decode("utf-8", "replace")
    match = _DSC.search(output)
    if done.returncode != 0 or match is None:
        raise failure(
            FailureClass.BUILD,
            ErrorCode.NOT_FOUND,
            f"sources: the suite has no source package {text}: {bounded(output.strip()[-300:])}",
            hint="give NAME or NAME=VERSION as the suite has it, or a .dsc file",
        )
    name = text.partition("=")[0]
    shown = (await apt.run("apt-cache", "--only-source", "showsrc", text)).output.decode("utf-8", "replace")
    return {f"{name}={_version(shown, match['file'], match['sha256'])}": match["sha256"]}


def _version(shown: str, dsc: str, sha256: str) -> str:
    """Of the stanza that lists the .dsc; a file name has no epoch."""
    for stanza in shown.split("\n\n"):
        version = re.search(r"^Version: (\S+)$", stanza, re.MULTILINE)
        if sha256 in stanza and version:
            return version[1]
    return dsc.removesuffix(".dsc").partition("_")[2]


def _dsc_digest(path: Path) -> str:
    try:
        return digest_of_file(path)
    except OSError as error:
        raise failure(
            FailureClass.TREEFILE,
            ErrorCode.INVALID_INPUT,
            f"sources: {path} cannot be read: {error.strerror}",
            hint="give the path of a .dsc file relative to the treefile",
        ) from error


def _no_source(text: str) -> DeborchError:
    return failure(
        FailureClass.TREEFILE,
        ErrorCode.INVALID_INPUT,
        f"sources: {bounded(text, 80)!r} is no source package",
        hint="give NAME, NAME=VERSION or a .dsc file",
    )
