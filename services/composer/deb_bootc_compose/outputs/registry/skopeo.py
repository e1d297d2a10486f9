"""What is asked of a registry, by skopeo of the tools root."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.phases.progress import Progress
from deb_bootc_compose.tools.port import Bound, Tools
from deborch_shared.errors import DeborchError, ErrorCode, bounded
from deborch_shared.process import ProcessResult

_REPOSITORY = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*(?::[0-9]{1,5})?(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)+\Z")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\Z")
_TIMEOUT_S = 1800.0
_REFUSED = re.compile(r"unauthorized|authentication required|denied|403 Forbidden", re.IGNORECASE)
_LOGGED = re.compile(r'level=\w+ msg="((?:[^"\\]|\\.)*)"')
"""How skopeo writes what it says: time, level and the message, in quotation marks."""
_TEMPORARY = re.compile(r"\b5\d\d\b|connection refused|timeout|timed out|no such host|EOF|reset by peer", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository of images: `host[:port]/path`, and how it is reached."""

    name: str
    tls_verify: bool = True
    credentials: Path | None = None
    """An auth.json file; never read by us, never shown."""

    def __post_init__(self) -> None:
        if _REPOSITORY.match(self.name) is None:
            raise failure(
                FailureClass.TREEFILE,
                ErrorCode.INVALID_INPUT,
                f"{bounded(self.name, 200)!r} names no repository of images",
                hint="write host[:port]/path, in lower case, without a tag: registry.example:5000/debian/minimal",
                key="registry.url",
            )

    def by_digest(self, digest: str) -> str:
        return f"docker://{self.name}@{digest}"

    def by_tag(self, tag: str) -> str:
        if _TAG.match(tag) is None:
            raise failure(
                FailureClass.TREEFILE,
                ErrorCode.INVALID_INPUT,
                f"{bounded(tag, 200)!r} is no tag",
                hint="a tag has letters, digits, '_', '.' and '-', 128 at most; '+' and '~' of versions become '-'",
                key="oci.tags",
            )
        return f"docker://{self.name}:{tag}"


def version_tag(version: str) -> str:
    """A version as a tag: what a tag cannot have becomes a hyphen."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", version)


class Skopeo:
    """Copies and looks. Errors are of class `output`, or `promotion` where `kind` says so."""

    def __init__(self, tools: Tools, repository: Repository, kind: FailureClass, progress: Progress) -> None:
        self._tools = tools
        self._repository = repository
        self._kind = kind
        self._progress = progress

    async def push(self, layout: Path, name: str, target: str) -> None:
        """Image `name` of `layout` to `target`; blobs that are there already are not sent."""
        await self._run(
            ["copy", "--all", "--preserve-digests", *self._reach("dest"), f"oci:{layout}:{name}", target],
            bound=(Bound(layout),),
        )

    async def tag(self, digest: str, tag: str) -> None:
        """Let `tag` name the image that is there by `digest`."""
        source = self._repository.by_digest(digest)
        target = self._repository.by_tag(tag)
        await self._run(
            ["copy", "--all", "--preserve-digests", *self._reach("src"), *self._reach("dest"), source, target]
        )

    async def digest_of(self, reference: str) -> str | None:
        """The digest of the manifest that the registry has as `reference`; None: it has none."""
        argv = ["inspect", "--format", "{{.Digest}}", "--no-tags", *self._reach(""), reference]
        result = await self._run(argv, check=False)
        if result.returncode == 0:
            return result.output.decode("utf-8", "replace").split()[-1]
        if re.search(rb"manifest unknown|name unknown|not found|NAME_UNKNOWN", result.output):
            return None
        raise self._failure(result.failure(["skopeo", *argv]))

    def _reach(self, which: str) -> list[str]:
        dash = f"{which}-" if which else ""
        options = [f"--{dash}tls-verify={'true' if self._repository.tls_verify else 'false'}"]
        return options + (
            [] if self._repository.credentials is None else [f"--{dash}authfile", str(self._repository.credentials)]
        )

    async def _run(self, argv: Sequence[str], *, bound: Sequence[Bound] = (), check: bool = True) -> ProcessResult:
        files = (*bound, *(() if self._repository.credentials is None else (Bound(self._repository.credentials),)))
        try:
            return await self._tools.run(
                ["skopeo", "--insecure-policy", *argv],
                bound=files,
                network=True,
                on_output=self._progress.log,
                timeout_s=_TIMEOUT_S,
                check=check,
            )
        except DeborchError as error:
            raise self._failure(error) from error

    def _failure(self, error: DeborchError) -> DeborchError:
        said = str(error.fields.get("output") or error.message)
        if _REFUSED.search(said):
            hint = "log in with `skopeo login --authfile FILE` and name the file in registry.credentials"
            return failure(self._kind, ErrorCode.FORBIDDEN, self._told(said), hint=hint)
        if _TEMPORARY.search(said):
            return failure(
                self._kind, ErrorCode.FETCH_FAILED, self._told(said), hint="see to the registry, then resume"
            )
        return failure(self._kind, ErrorCode.PROCESS_FAILED, self._told(said), hint="the message is the registry's")

    def _told(self, said: str) -> str:
        last = said.strip().splitlines()[-1] if said.strip() else "it said nothing"
        if logged := _LOGGED.search(last):
            last = re.sub(r"\\(.)", r"\1", logged[1])
        return f"registry {self._repository.name}: {bounded(last, 500)}"
