"""Sandboxes of the engine: which layers, which ids, which directories, for each purpose."""

import re
import secrets
from collections.abc import Sequence
from pathlib import Path

from deb_mock.archives.repositories import WORKSPACE, file_repositories
from deb_mock.buildroots.scratch import ScratchChoice
from deb_mock.engine_config import EngineConfig
from deb_mock.failures import FailureClass, failure, failures_are
from deb_mock.host.isolation import shortcomings
from deb_mock.model import BUILD_UID, Base, ExtraRepository, LogSink
from deb_mock.stages.limits import narrowed
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.sandbox.box import open_sandbox
from deborch_shared.sandbox.inside.id_map import in_initial_user_namespace
from deborch_shared.sandbox.spec import IdRange, Limits, Lower, SandboxSpec

_SAME_IDS = IdRange(first=0)
"""In a user namespace ids are mapped already; one more, with the same ids, keeps root inside from mounting."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")


class Buildroots:
    """Makes the specs of sandboxes, once it knows whether this host can map ids."""

    def __init__(self, config: EngineConfig) -> None:
        self._config = config
        self.scratch = ScratchChoice(config)
        self._ids: IdRange | None = None
        self._probed = False

    async def probe(self, base: Base, on_log: LogSink) -> None:
        """Find out once what this host can do: whether the base can be shown with mapped ids, and what is lacking."""
        if self._probed:
            return
        for lacking in shortcomings():
            on_log(f"deb-mock: {lacking.what} ({lacking.fix})\n".encode())
        if not in_initial_user_namespace():
            self._ids = _SAME_IDS
        elif self._config.ids is not None:
            self._ids = self._config.ids
            try:
                with failures_are(FailureClass.CHROOT):
                    async with open_sandbox(self.spec("probe", base)):
                        pass
            except DeborchError as error:
                if "map the ids" not in error.message and "user namespace" not in error.message:
                    raise
                self._ids = None
                on_log(f"deb-mock: no user namespaces here, root inside is root outside: {error.message}\n".encode())
        self._probed = True

    @property
    def ids(self) -> IdRange | None:
        return self._ids

    @property
    def file_owner(self) -> int:
        """The host's id for root inside."""
        return self._ids.first if self._ids else 0

    @property
    def ids_are_mapped(self) -> bool:
        """Whether root inside is nobody on the host. For a user without root it is that user."""
        return self.file_owner != 0

    def layers_of(self, base: Base) -> Path:
        """Where dependency layers on `base` are kept."""
        return self._config.layers_dir / (base.tree or base.name) / ids_tag(self._ids)

    def spec(
        self,
        name: str,
        base: Base,
        *,
        layers: Sequence[Path] = (),
        upper: Path | None = None,
        repositories: Sequence[ExtraRepository] = (),
        source: str | None = None,
        limits: Limits | None = None,
    ) -> SandboxSpec:
        """A sandbox on `layers` (nearest first) and `base`, named after what it is for.

        `source`: the source package that is built in it; what it needed before decides between memory and disk.

        Raises:
            DeborchError: INVALID_INPUT if `name` is no plain name.
        """
        check_name(name)
        lowers = [Lower(layer, map_ids=False) for layer in layers]
        return SandboxSpec(
            directory=self._config.sandboxes_dir / f"{name}-{secrets.token_hex(4)}",
            lowers=(*lowers, Lower(base.root, map_ids=True)),
            upper=upper,
            scratch_bytes=self.scratch.bytes_for(source),
            ids=self._ids,
            workspace=WORKSPACE,
            workspace_uid=BUILD_UID,
            binds=tuple(file_repositories(repositories)),
            hostname="buildroot",
            limits=narrowed(self._config.limits, limits),
            backend=self._config.backend,
            filtering=self._config.filtering,
            nested_namespaces=self._config.nested_namespaces,
        )


def check_name(name: str) -> None:
    """Refuse names that could leave a directory."""
    if _NAME.match(name) is None:
        raise failure(
            FailureClass.POLICY,
            ErrorCode.INVALID_INPUT,
            f"{name!r} cannot name a build",
            hint="use letters, digits and - . _",
        )


def ids_tag(ids: IdRange | None) -> str:
    """Names the id mapping that files of a dependency layer are in."""
    return f"ids-{ids.first}" if ids else "ids-host"
