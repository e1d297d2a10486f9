"""What people do in a buildroot by hand: commands, a shell, installs, copies."""

import asyncio
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path, PurePosixPath

from deb_mock.archives import apt_output
from deb_mock.buildroots.named import NamedBuildroots
from deb_mock.buildroots.root_files import Copied, Owner, copy_from_root, copy_tree, directory_in_root, open_in_root
from deb_mock.failures import FailureClass, failure, failures_are
from deb_mock.model import BUILD_UID, BUILD_USER, Base, LogSink, NamedBuildroot, SessionRequest
from deborch_shared.errors import DeborchError, ErrorCode, bounded
from deborch_shared.process import OutputSink
from deborch_shared.sandbox.box import Sandbox
from deborch_shared.sandbox.terminal import UserTerminal

Around = Callable[[Sequence[str]], AbstractAsyncContextManager[Callable[[int], None]]]
"""What is to happen before and after a command; it is told the exit code."""
_NO_LIMIT = 1 << 62
_HOMES = {0: "/root", BUILD_UID: "/build"}
_USERS = {0: "root", BUILD_UID: BUILD_USER}
_MOST_PASSWD_BYTES = 1 << 20


class BuildrootSession:
    """An open buildroot."""

    def __init__(
        self, sandbox: Sandbox, *, file_owner: int, proxies: Mapping[str, str], on_log: LogSink, around: Around
    ) -> None:
        self._sandbox = sandbox
        self._around = around
        self._first_id = file_owner
        self._proxies = proxies
        self._on_log = on_log

    async def run(
        self,
        argv: Sequence[str],
        *,
        user: str = "root",
        cwd: str = "/",
        env: Mapping[str, str] | None = None,
        network: bool = False,
        stdin: int | None = None,
        on_output: OutputSink | None = None,
        timeout_s: float | None = None,
    ) -> int:
        """Run `argv`; its exit code, negative for a signal. `stdin` must be a pipe.

        Raises:
            DeborchError: with `failure_class`, if it could not be run or takes too long.
        """
        uid = self.uid_of(user)
        with failures_are(FailureClass.CHROOT):
            async with self._around(argv) as ended:
                result = await self._sandbox.run(
                    argv,
                    uid=uid,
                    cwd=cwd,
                    env={**self._environment(uid, network), **(env or {})},
                    network=network,
                    stdin=stdin,
                    on_output=on_output,
                    timeout_s=timeout_s,
                    max_output_bytes=_NO_LIMIT,
                    kept_bytes=0,
                    check=False,
                )
                ended(result.returncode)
        return result.returncode

    async def run_in_terminal(
        self,
        argv: Sequence[str],
        terminal: UserTerminal,
        *,
        user: str = "root",
        cwd: str = "/",
        env: Mapping[str, str] | None = None,
        network: bool = False,
    ) -> int:
        """Run `argv` on a terminal inside that is joined to the user's; its exit code, negative for a signal.

        Raises:
            DeborchError: with `failure_class`, if it could not be run.
        """
        uid = self.uid_of(user)
        with failures_are(FailureClass.CHROOT):
            environment = {**self._environment(uid, network), **(env or {})}
            async with self._around(argv) as ended:
                returncode = await self._sandbox.run_in_terminal(
                    argv, terminal, uid=uid, cwd=cwd, env=environment, network=network
                )
                ended(returncode)
        return returncode

    async def install(self, wanted: Sequence[str], *, network: bool = True) -> None:
        """Install packages by name, and .deb files of the host by path; the network is used for downloads only.

        Raises:
            DeborchError: of class dep-wait, fetch-fault or install, or policy for a file that is no .deb.
        """
        arguments = [await asyncio.to_thread(self._brought_in, Path(one)) if _is_file(one) else one for one in wanted]
        command = ["apt-get", "-q", "-y", "install", *arguments]
        if network:
            _, returncode = await self._apt([*command, "--download-only"], network=True)
            if returncode != 0:
                update = ["apt-get", "-q", *apt_output.STRICT_UPDATE, "update"]
                await self._apt(update, network=True, must="reading package lists")
                await self._apt([*command, "--download-only"], network=True, must="downloading packages")
        await self._apt(command, must="installing packages", otherwise=FailureClass.INSTALL)
        await self._apt(["apt-get", "clean"], must="cleaning up")

    async def copy_in(self, sources: Sequence[Path], target: str, *, user: str = "root") -> Copied:
        """Copy files and directories of the host into the buildroot, as cp would, to belong to `user` there."""
        uid = self.uid_of(user)
        owner = Owner(self._first_id + uid, self._first_id + uid, mode_mask=0o7777)
        return await asyncio.to_thread(self._copy_in, sources, target, owner)

    async def copy_out(self, sources: Sequence[str], target: Path, owner: Owner) -> Copied:
        """Copy files and directories of the buildroot to the host, as cp would, to belong to `owner`."""
        return await asyncio.to_thread(self._copy_out, sources, target, owner)

    def uid_of(self, user: str) -> int:
        """The number of a user of the buildroot.

        Raises:
            DeborchError: NOT_FOUND
        """
        known = {name: uid for uid, name in _USERS.items()}
        if user in known:
            return known[user]
        if user.isascii() and user.isdecimal() and int(user) < 65_535:
            return int(user)
        for line in self._passwd().splitlines():
            fields = line.split(":")
            if len(fields) > 3 and fields[0] == user and fields[2].isdecimal() and int(fields[2]) < 65_535:
                return int(fields[2])
        raise failure(
            FailureClass.POLICY,
            ErrorCode.NOT_FOUND,
            f"the buildroot has no user {bounded(user, 80)!r}",
            hint=f"use root, {BUILD_USER}, a number, or a name of its /etc/passwd",
        )

    def _passwd(self) -> str:
        try:
            descriptor = open_in_root(self._sandbox.root_fd, "/etc/passwd", os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            return ""
        with os.fdopen(descriptor, "rb") as file:
            regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
            return file.read(_MOST_PASSWD_BYTES).decode("utf-8", "replace") if regular else ""

    def _environment(self, uid: int, network: bool) -> dict[str, str]:
        name = _USERS.get(uid, str(uid))
        proxies = self._proxies if network else {}
        environment = {"HOME": _HOMES.get(uid, "/nonexistent"), "USER": name, "LOGNAME": name, **proxies}
        return {**environment, "DEBIAN_FRONTEND": "noninteractive"} if uid == 0 else environment

    def _brought_in(self, deb: Path) -> str:
        """Put a .deb where apt in the buildroot finds it; its path there."""
        real = deb.resolve()
        if not real.is_file() or deb.suffix != ".deb":
            raise failure(
                FailureClass.POLICY,
                ErrorCode.INVALID_INPUT,
                f"{deb} is no .deb file",
                hint="give the name of a package, or the path of a .deb that is there",
            )
        source = os.open(real.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            copy_tree(
                (source, real.name), (self._sandbox.workspace_fd, deb.name), Owner(self._first_id, self._first_id)
            )
        finally:
            os.close(source)
        return f"{self._sandbox.workspace}/{deb.name}"

    async def _apt(
        self,
        argv: list[str],
        *,
        network: bool = False,
        must: str = "",
        otherwise: FailureClass = FailureClass.CHROOT,
    ) -> tuple[str, int]:
        """The end of the output of apt, and its exit code; with `must`, what it does, a failure is an error."""
        proxies = self._proxies if network else {}
        environment = {**apt_output.APT_ENVIRONMENT, **proxies, "APT_LISTCHANGES_FRONTEND": "none"}
        with failures_are(FailureClass.CHROOT):
            result = await self._sandbox.run(
                argv, env=environment, network=network, on_output=self._on_log, max_output_bytes=_NO_LIMIT, check=False
            )
        text = result.output.decode("utf-8", "replace")
        if must and result.returncode != 0:
            missing = apt_output.unmet_relations(text)
            if not missing:
                raise apt_output.explain(text, doing=must, otherwise=otherwise)
            raise failure(
                FailureClass.DEPENDENCY_WAIT,
                ErrorCode.DEPENDENCY_WAIT,
                f"these cannot be installed: {', '.join(missing)}",
                hint="are the names right, and in a component that is configured? --extra-repository adds an archive",
                missing=list(missing),
            )
        return text, result.returncode

    def _copy_in(self, sources: Sequence[Path], target: str, owner: Owner) -> Copied:
        root = self._sandbox.root_fd
        into = target if self._is_directory(target) or target.endswith("/") or len(sources) > 1 else ""
        total = Copied()
        for source in sources:
            name = source.absolute().name
            place = PurePosixPath(into, name) if into else PurePosixPath(target)
            if ".." in (name, place.name) or not name or not place.name:
                raise _unnamed(str(source) if not name or name == ".." else target)
            with directory_in_root(root, str(place.parent)) as there:
                here = os.open(source.absolute().parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    _add(total, copy_tree((here, name), (there, place.name), owner))
                finally:
                    os.close(here)
        return total

    def _copy_out(self, sources: Sequence[str], target: Path, owner: Owner) -> Copied:
        root = self._sandbox.root_fd
        into = target.is_dir() or len(sources) > 1
        total = Copied()
        for source in sources:
            name = PurePosixPath(source).name
            if name in ("", ".."):
                raise _unnamed(source)
            place = (target / name if into else target).absolute()
            there = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                _add(total, copy_from_root(root, source, (there, place.name), owner))
            finally:
                os.close(there)
        return total

    def _is_directory(self, path: str) -> bool:
        try:
            with directory_in_root(self._sandbox.root_fd, path):
                return True
        except (FileNotFoundError, NotADirectoryError):
            return False


def _unnamed(path: str) -> DeborchError:
    return failure(
        FailureClass.POLICY,
        ErrorCode.UNSAFE_PATH,
        f"{bounded(path, 200)!r} does not end in a name",
        hint="give the path of a file or directory",
    )


async def make_named(named: NamedBuildroots, base: Base, request: SessionRequest, *, again: bool) -> NamedBuildroot:
    """The buildroot `request.name` on `base`, with a home for the build user.

    Raises:
        DeborchError: ALREADY_EXISTS, unless `again`.
    """
    name = request.name or f"{request.suite}-{request.architecture}"
    if again and any(one.name == name for one in named.all()):
        await named.remove(name)
    return await named.make(name, base)


def _add(total: Copied, more: Copied) -> None:
    total.files += more.files
    total.skipped += more.skipped


def _is_file(argument: str) -> bool:
    return "/" in argument or argument.endswith(".deb")
