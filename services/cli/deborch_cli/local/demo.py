"""`deborch demo`: from a source package of Debian to a .deb that apt has installed, on this machine."""

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from deborch_cli.commands.following import watch_and_tell_build
from deborch_cli.commands.submission import Wishes, submit_build
from deborch_cli.exit_codes import ExitCode
from deborch_cli.local.narration import Narrator
from deborch_cli.local.stack import LocalStack
from deborch_cli.local.up import BuilderName, DataDir, until_stopped, with_stack
from deborch_cli.session import Session, fetch_list, open_session
from deborch_shared.contract.builds import Artifact
from deborch_shared.contract.targets import Archive, PackageEntry, Target, TargetCreate
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.process import run

PACKAGE = "hello"
TARGET = "demo"
_INSTALL = (
    "apt-get update && apt-get install --yes --no-install-recommends hello/demo && "
    "apt-cache policy hello && sha256sum /var/cache/apt/archives/hello_*.deb && hello"
)
"""`hello/demo`: the archive's own, though Debian has the same version."""
_KEPT_LINES = 12
_MOST_PACKAGES = 1_000_000


def demo(
    data: DataDir = None,
    builder_name: BuilderName = None,
    once: Annotated[bool, typer.Option("--once", help="Leave when it is done.")] = False,
) -> None:
    """Start the stack, build Debian's `hello`, publish it in a signed archive, and install it from there with apt."""

    async def use(stack: LocalStack, narrator: Narrator) -> None:
        await _show(stack, narrator)
        if not once:
            narrator.say("\nThe stack stays up. Ctrl-C stops it; the next run picks everything up again.")
            await until_stopped()

    with_stack(data, builder_name, use)


async def _show(stack: LocalStack, narrator: Narrator) -> None:
    suite, architecture = host_suite(), await _architecture()
    async with open_session(stack.admin_credentials()) as session:
        narrator.heading(f"Building {PACKAGE} of Debian {suite} for {architecture}")
        with narrator.step("target with its signed archive"):
            await _ensure_target(session, suite, architecture)
        if await _published(session) is None:
            await _build(session, narrator)
        else:
            narrator.say(f"  · {PACKAGE} is in the archive already, from an earlier run", style="bright_black")
        archive = await session.hub.get(f"/api/v1/archives/{TARGET}", Archive)
        narrator.heading("Installing it in a clean chroot, apt verifying the signature")
        with narrator.step("apt-get install from the archive"):
            said = await _install(session, stack, suite, architecture)
            package = await _installed(session, said)
        for line in said:
            narrator.say(f"    {line}", style="bright_black")
    narrator.summary("How long it took")
    _what_next(narrator, archive, package)


def host_suite(os_release: Path = Path("/etc/os-release")) -> str:
    """The host's Debian suite by its codename.

    Raises:
        DeborchError: INVALID_INPUT if the host does not say it has one.
    """
    text = os_release.read_text("utf-8", "replace") if os_release.exists() else ""
    found = re.search(r"^VERSION_CODENAME=\"?([a-z]+)\"?$", text, re.MULTILINE)
    if found is None:
        raise DeborchError(
            ErrorCode.INVALID_INPUT,
            "this host does not say which Debian suite it is",
            hint="use `deborch up` and `deborch target create NAME --suite SUITE`",
        )
    return found[1]


async def _architecture() -> str:
    result = await run(["dpkg", "--print-architecture"], timeout_s=10)
    return result.output.decode("ascii").strip()


async def _ensure_target(session: Session, suite: str, architecture: str) -> None:
    try:
        target = await session.hub.get(f"/api/v1/targets/{TARGET}", Target)
    except DeborchError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        wanted = TargetCreate(name=TARGET, suite=suite, architectures=(architecture,))
        target = await session.hub.post("/api/v1/targets", Target, wanted)
    if target.suite != suite:
        raise DeborchError(
            ErrorCode.CONFLICT,
            f"the target {TARGET} is for {target.suite}, this host is {suite}",
            hint="choose another data directory with --data",
        )


async def _published(session: Session) -> PackageEntry | None:
    packages = await fetch_list(session.hub, f"/api/v1/archives/{TARGET}/packages", PackageEntry, limit=_MOST_PACKAGES)
    return next((entry for entry in packages if entry.package == PACKAGE), None)


async def _build(session: Session, narrator: Narrator) -> None:
    wishes = Wishes(target=TARGET, architectures=(), scratch=False, priority=0, after_builds=(), required_tags=())
    build = await submit_build(session, PACKAGE, wishes, as_json=False)
    with narrator.step("source fetched, base image made, package built, archive published"):
        code = await watch_and_tell_build(session, build.id, as_json=False)
    if code is not ExitCode.OK:
        raise DeborchError(
            ErrorCode.BUILD_FAILED,
            f"build {build.id} did not succeed",
            hint=f"the stack's logs and `deborch build log {build.id}` say why",
        )
    artifacts = await fetch_list(session.hub, "/api/v1/artifacts", Artifact, limit=100, params={"build_id": build.id})
    narrator.say("  results: " + "  ".join(artifact.name for artifact in artifacts if artifact.kind != "source"))


async def _install(session: Session, stack: LocalStack, suite: str, architecture: str) -> list[str]:
    """Install the package in a buildroot that is thrown away after; the last lines of what apt said."""
    sources = stack.data.root / f"{TARGET}.sources"
    sources.write_bytes(await session.hub.call("GET", f"/api/v1/archives/{TARGET}/sources"))
    result = await run(
        [sys.executable, "-m", "deb_mock", "exec", "--suite", suite, "--arch", architecture, "--network",
         "--cache-dir", str(stack.builder_cache),
         "--state-dir", str(stack.data.root / "demo-state"),
         "--extra-repository", str(sources), "--", "sh", "-c", _INSTALL],
        timeout_s=600,
    )  # fmt: skip
    lines = result.output.decode("utf-8", "replace").splitlines()
    return [line for line in lines if line.strip()][-_KEPT_LINES:]


async def _installed(session: Session, said: list[str]) -> PackageEntry:
    """The package that apt has installed, which must be the one that we have published, bit by bit."""
    package = await _published(session)
    if package is None or not any(line.startswith(package.sha256) for line in said):
        raise DeborchError(
            ErrorCode.DIGEST_MISMATCH,
            f"apt installed another {PACKAGE} than the one in the archive",
            hint="`deborch archive packages demo` shows what is in there",
        )
    return package


def _what_next(narrator: Narrator, archive: Archive, package: PackageEntry) -> None:
    narrator.heading("What you have now")
    narrator.say(f"  {package.package} {package.version} {package.architecture}, SHA-256 {package.sha256}")
    narrator.say(f"  in {archive.url}, signed by {archive.key_fingerprint}")
    narrator.heading("What to try next")
    for command, purpose in (
        ("deborch build list", "what was built"),
        ("deborch task why ID", "why something is not running yet"),
        (f"deborch build PACKAGE --target {TARGET} --watch", "another source package, or a .dsc of yours"),
        (f"deborch archive sources {TARGET}", "the .sources file for your own machines"),
        ("deb-mock build FILE.dsc", "a clean build with no hub at all"),
    ):
        narrator.say(f"  {command:<52} {purpose}")
