"""What the system calls itself and how it speaks: locale, time zone, host name, os-release, machine id."""

import re
from collections.abc import Mapping

from deb_bootc_compose.ostree.tree import Tree, tree_failure
from deb_bootc_compose.treefile.resolved import ResolvedTreefile

_ALWAYS_THERE = frozenset({"C", "POSIX", "C.UTF-8", "C.utf8"})
_UTC = frozenset({"UTC", "Etc/UTC"})
_ZONES = "/usr/share/zoneinfo"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+/@.-]*\Z")
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9._-]+\Z")


def set_identity(tree: Tree, treefile: ResolvedTreefile) -> None:
    """Locale, time zone and host name, and nothing of the machine that the tree was made on.

    Raises:
        DeborchError: CHECK_FAILED of class TREE if the packages do not have the zone or the locale.
    """
    _set_timezone(tree, treefile.timezone)
    tree.write("/etc/locale.conf", f"LANG={_checked('locale', treefile.locale)}\n")
    tree.link("/etc/default/locale", "../locale.conf")
    tree.write("/etc/hostname", f"{treefile.hostname}\n")
    for name in ("resolv.conf", ".pwd.lock", "passwd-", "group-", "shadow-", "gshadow-", "subuid-", "subgid-"):
        if name != "resolv.conf" or not tree.where("/etc/resolv.conf", follow=False).is_symlink():
            tree.remove(f"/etc/{name}")
    if treefile.machineid_compat:
        tree.write("/etc/machine-id", "", 0o444)
    else:
        tree.remove("/etc/machine-id")
    tree.remove("/var/lib/dbus/machine-id")


def locale_to_generate(tree: Tree, locale: str) -> str | None:
    """The line of locale.gen that is needed for `locale`; None: it is there.

    Raises:
        DeborchError: CHECK_FAILED of class TREE if no package can make it.
    """
    if locale in _ALWAYS_THERE or tree.exists(f"/usr/lib/locale/{locale}"):
        return None
    if not tree.exists("/usr/sbin/locale-gen"):
        raise tree_failure(
            f"the locale {locale} is not in the tree", hint="add the package `locales` (or `locales-all`)"
        )
    charset = locale.partition("@")[0].partition(".")[2] or "UTF-8"
    return f"{locale} {charset}\n"


def _set_timezone(tree: Tree, zone: str) -> None:
    _checked("time zone", zone)
    if not tree.exists(f"{_ZONES}/{zone}"):
        if zone in _UTC:
            tree.remove("/etc/localtime")
            tree.remove("/etc/timezone")
            return
        raise tree_failure(
            f"there is no time zone {zone} in the tree", hint="add the package tzdata (or tzdata-legacy for old names)"
        )
    tree.link("/etc/localtime", f"{_ZONES}/{zone}")
    tree.write("/etc/timezone", f"{zone}\n")


def _checked(what: str, name: str) -> str:
    if _NAME.match(name) is None or ".." in name:
        raise tree_failure(f"{name!r} is no name of a {what}", hint=f"see the {what}s of Debian")
    return name


def set_os_release(tree: Tree, fields: Mapping[str, str], version: str) -> None:
    """Set fields of os-release, `${version}` being the version of the commit, which is OSTREE_VERSION too.

    After the initramfs, which has a copy, is made: else it would change with each version.
    """
    if not fields:
        return
    wanted = {name: value.replace("${version}", version) for name, value in fields.items()}
    wanted.setdefault("OSTREE_VERSION", version)
    lines = (tree.read("/usr/lib/os-release") or "").splitlines()
    kept = [line for line in lines if line.partition("=")[0] not in wanted]
    added = [f"{name}={_quoted(value)}" for name, value in wanted.items()]
    tree.write("/usr/lib/os-release", "".join(f"{line}\n" for line in (*kept, *added)))


def _quoted(value: str) -> str:
    """As os-release(5) quotes for shells."""
    if _PLAIN_VALUE.match(value):
        return value
    return '"' + re.sub(r'([\\"$`])', r"\\\1", value) + '"'
