"""Finding plug-ins, by the table of shipped ones and by entry points, and checking that one can be used."""

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any

import pluggy
from pydantic import ValidationError

from deb_mock.engine_config import PluginSetting
from deb_mock.failures import FailureClass, failure
from deb_mock.plugins.api import API_VERSION, ENTRY_POINT_GROUP, Check, Hooks, Plugin, PluginOptions
from deborch_shared.errors import DeborchError, ErrorCode, bounded

SHIPPED: Mapping[str, str] = MappingProxyType(
    {
        "ccache": "deb_mock.plugins.shipped.ccache:Ccache",
        "sccache": "deb_mock.plugins.shipped.sccache:Sccache",
        "eatmydata": "deb_mock.plugins.shipped.eatmydata:EatMyData",
        "tmpfs": "deb_mock.plugins.shipped.tmpfs:Tmpfs",
        "mount": "deb_mock.plugins.shipped.mount:Mount",
        "apt-proxy": "deb_mock.plugins.shipped.apt_proxy:AptProxy",
        "hw-info": "deb_mock.plugins.shipped.hw_info:HwInfo",
        "procenv": "deb_mock.plugins.shipped.procenv:Procenv",
        "package-state": "deb_mock.plugins.shipped.package_state:PackageState",
        "compress-logs": "deb_mock.plugins.shipped.compress_logs:CompressLogs",
        "lintian": "deb_mock.plugins.shipped.lintian:Lintian",
        "contents": "deb_mock.plugins.shipped.contents:Contents",
        "debdiff": "deb_mock.plugins.shipped.debdiff:Debdiff",
        "blhc": "deb_mock.plugins.shipped.blhc:Blhc",
        "autopkgtest": "deb_mock.plugins.shipped.autopkgtest:Autopkgtest",
        "piuparts": "deb_mock.plugins.shipped.piuparts:Piuparts",
        "sign": "deb_mock.plugins.shipped.sign:Sign",
        "sbom": "deb_mock.plugins.shipped.sbom:Sbom",
        "provenance": "deb_mock.plugins.shipped.provenance:Provenance",
    }
)
"""Name and where its class is; a module is imported only if its plug-in is asked for."""
_offered: dict[str, str] = {}
_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+){0,9}\Z")
_VERSION = re.compile(r"(\d+)\.(\d+)\Z")
_PROJECT = "deb_mock"


@dataclass(frozen=True, slots=True)
class Configured:
    """A plug-in that the configuration enables, checked, and its options."""

    name: str
    plugin: type[Plugin]
    options: PluginOptions
    required: bool

    def new(self) -> Plugin:
        """An instance for one build, command or cleaning."""
        return self.plugin(self.options)


def available() -> Iterator[EntryPoint]:
    """Every plug-in that could be enabled: shipped ones, then installed ones by name."""
    for name, place in {**SHIPPED, **_offered}.items():
        yield EntryPoint(name, place, ENTRY_POINT_GROUP)
    yield from sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda entry: entry.name)


@contextmanager
def offered(places: Mapping[str, str]) -> Iterator[None]:
    """Within this, plug-ins can be enabled that are not installed: names, and where their classes are."""
    _offered.update(places)
    try:
        yield
    finally:
        for name in places:
            _offered.pop(name, None)


def configured(settings: Sequence[PluginSetting]) -> tuple[Configured, ...]:
    """Load what `settings` enable, in their order; a later setting of the same name replaces an earlier one.

    Raises:
        DeborchError: PLUGIN_FAILED or INVALID_SETTING, naming the plug-in.
    """
    effective = {setting.name: setting for setting in settings}
    return tuple(_configure(setting) for setting in effective.values() if setting.enabled)


def load(name: str) -> type[Plugin]:
    """The class of the plug-in `name`, known to fit this version of the interface.

    Raises:
        DeborchError: INVALID_SETTING if there is none of that name, or two; PLUGIN_FAILED if it does not fit.
    """
    found = [entry for entry in available() if entry.name == name]
    found = [entry for entry in found if entry.value == _offered.get(name, entry.value)]
    if not found:
        raise _unknown(name)
    if len(found) > 1:
        raise refused(name, f"is given by {' and '.join(entry.value for entry in found)}", "uninstall one of them")
    try:
        module, _, attribute = found[0].value.partition(":")
        loaded = getattr(import_module(module), attribute)
    except Exception as error:
        raise refused(name, f"cannot be imported: {_brief(error)}", "reinstall it, or disable it") from error
    return check_class(name, loaded)


def check_class(name: str, loaded: object) -> type[Plugin]:
    """`loaded`, if it is a plug-in of that name that fits.

    Raises:
        DeborchError: PLUGIN_FAILED
    """
    if not (isinstance(loaded, type) and issubclass(loaded, Plugin)):
        raise refused(name, "is no subclass of deb_mock.plugins.api.Plugin", "see docs/howto/write-a-plugin.md")
    if getattr(loaded, "name", None) != name or _NAME.match(name) is None:
        raise refused(name, f"calls itself {getattr(loaded, 'name', None)!r}", "give class and entry point one name")
    _check_version(name, str(loaded.api_version))
    _check_hooks(name, loaded)
    return loaded


def check_name(name: str) -> None:
    """Refuse what cannot name a plug-in.

    Raises:
        DeborchError: INVALID_INPUT
    """
    if _NAME.match(name) is None:
        raise failure(
            FailureClass.POLICY,
            ErrorCode.INVALID_INPUT,
            f"{bounded(name, 60)!r} cannot name a plug-in",
            hint="use lower case letters, digits and '-', beginning with a letter",
        )


def check_options(name: str, plugin: type[Plugin], options: Mapping[str, Any]) -> PluginOptions:
    """The options of `plugin`.

    Raises:
        DeborchError: INVALID_SETTING, naming each wrong one and the nearest known.
    """
    try:
        return plugin.options_model.model_validate(dict(options))
    except ValidationError as error:
        known = list(plugin.options_model.model_fields)
        problems = "; ".join(_option_problem(entry["loc"], entry["msg"], known) for entry in error.errors())
        raise failure(
            FailureClass.POLICY,
            ErrorCode.INVALID_SETTING,
            f"the options of the plug-in {name} are wrong: {bounded(problems, 600)}",
            hint=f"it has {', '.join(known) or 'no options'}; deb-mock plugin list --options {name} explains them",
            plugin=name,
        ) from None


def hook_names(plugin: type[Plugin]) -> tuple[str, ...]:
    """The hooks that `plugin` implements, in the order of a build."""
    return tuple(name for name in HOOK_ARGUMENTS if _marks(getattr(plugin, name, None)) is not None)


def accepted_arguments(function: Any) -> tuple[str, ...]:  # noqa: ANN401 - any function or bound method
    """Names of what a hook implementation takes, without `self`."""
    return tuple(name for name in inspect.signature(function).parameters if name != "self")


def _hook_arguments() -> dict[str, tuple[str, ...]]:
    functions = vars(Hooks).items()
    return {name: accepted_arguments(function) for name, function in functions if not name.startswith("_")}


HOOK_ARGUMENTS: Mapping[str, tuple[str, ...]] = MappingProxyType(_hook_arguments())


def refused(name: str, problem: str, hint: str, **fields: object) -> DeborchError:
    """An error that names the plug-in."""
    message = f"the plug-in {name} {bounded(problem, 600)}"
    return failure(FailureClass.CHROOT, ErrorCode.PLUGIN_FAILED, message, hint=hint, plugin=name, **fields)


def _configure(setting: PluginSetting) -> Configured:
    plugin = load(setting.name)
    options = check_options(setting.name, plugin, setting.options)
    return Configured(setting.name, plugin, options, setting.required)


def _check_version(name: str, wanted: str) -> None:
    has, needs = _VERSION.match(API_VERSION), _VERSION.match(wanted)
    if has is None or needs is None or has[1] != needs[1] or int(needs[2]) > int(has[2]):
        raise refused(
            name,
            f"was written for version {bounded(wanted, 20)} of the plug-in interface, and this is {API_VERSION}",
            "install a version of the plug-in for this deb-mock",
        )


def _check_hooks(name: str, plugin: type[Plugin]) -> None:
    """As pluggy checks them, before anything runs; wrappers are refused, because hooks may be async."""
    manager = pluggy.PluginManager(_PROJECT)
    manager.add_hookspecs(Hooks)
    try:
        manager.register(plugin, name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise refused(name, f"does not fit: {_brief(error)}", "compare its hooks with deb_mock.plugins.api") from error
    if hasattr(plugin, "check") and not issubclass(plugin, Check):
        raise refused(name, "has a hook check and is no Check", "derive it from deb_mock.plugins.api.Check")
    for hook in hook_names(plugin):
        marks = _marks(getattr(plugin, hook)) or {}
        if marks.get("wrapper") or marks.get("hookwrapper"):
            raise refused(name, f"wraps the hook {hook}", "use the hooks before and after it")


def _marks(function: object) -> dict[str, Any] | None:
    return getattr(function, f"{_PROJECT}_impl", None)


def _unknown(name: str) -> DeborchError:
    names = sorted({entry.name for entry in available()})
    near = get_close_matches(name, names, 1)
    return failure(
        FailureClass.POLICY,
        ErrorCode.INVALID_SETTING,
        f"there is no plug-in {bounded(name, 60)!r}" + (f"; did you mean {near[0]}?" if near else ""),
        hint="deb-mock plugin list shows what is there; others are Python packages to install beside deb-mock",
        plugin=bounded(name, 60),
    )


def _option_problem(location: Iterable[int | str], message: str, known: list[str]) -> str:
    name = ".".join(str(part) for part in location)
    near = get_close_matches(name, known, 1) if name not in known else []
    return f"{name}: {message}" + (f" (did you mean {near[0]}?)" if near else "")


def _brief(error: BaseException) -> str:
    return bounded(f"{type(error).__name__}: {error}", 400)
