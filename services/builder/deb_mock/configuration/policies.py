"""What a configuration lets commands do that reaches out of a buildroot: the network, directories of the host."""

from pathlib import Path

from deb_mock.configuration.settings import Settings
from deb_mock.failures import FailureClass, failure
from deborch_shared.errors import ErrorCode
from deborch_shared.sandbox.spec import Bind

_READ_WRITE = "rw"


def allowed_network(settings: Settings) -> None:
    """Refuse the network if no command may have it.

    Raises:
        DeborchError: FORBIDDEN of class policy.
    """
    if settings.network.commands == "never":
        raise failure(
            FailureClass.POLICY,
            ErrorCode.FORBIDDEN,
            "the configuration gives commands in buildroots no network",
            hint="set network.commands to on-request; deb-mock config show says who set it",
        )


def allowed_bind(settings: Settings, text: str) -> Bind:
    """`DIR[:INSIDE[:rw]]` as a bind mount, with links of the host resolved before the rules are asked.

    Raises:
        DeborchError: FORBIDDEN or INVALID_INPUT, of class policy.
    """
    source, _, rest = text.partition(":")
    inside, _, how = rest.partition(":")
    target = inside or source
    if (
        not source.startswith("/")
        or not target.startswith("/")
        or ".." in Path(target).parts
        or how not in ("", "ro", "rw")
    ):
        raise failure(
            FailureClass.POLICY,
            ErrorCode.INVALID_INPUT,
            f"--bind {text}: DIR[:INSIDE[:rw]] with absolute paths is expected",
            hint="for example --bind /srv/data:/data",
        )
    path = Path(source).resolve()
    write = how == _READ_WRITE
    rules = [rule for rule in settings.binds if path.is_relative_to(rule.path)]
    if not any(rule.write or not write for rule in rules):
        key = f"{{path: {path}, write: true}}" if write else str(path)
        raise failure(
            FailureClass.POLICY,
            ErrorCode.FORBIDDEN,
            f"the configuration does not let {path} be seen in a buildroot" + (" and written to" if write else ""),
            hint=f"add it to binds in /etc/deb-mock/config.yaml, or give -o 'binds+=[{key}]'",
        )
    if not path.exists():
        raise failure(
            FailureClass.POLICY,
            ErrorCode.NOT_FOUND,
            f"{path} does not exist",
            hint="give a directory or file that is there",
        )
    return Bind(path, target, read_only=not write)
