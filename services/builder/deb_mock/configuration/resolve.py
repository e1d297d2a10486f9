"""All layers of a configuration, from what is built in up to the options of a command.

built in < template of the suite < template of the architecture < /etc/deb-mock < ~/.config/deb-mock < --config
< DEB_MOCK_* variables < -o and the command's own options.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from deb_mock.configuration.documents import SUFFIXES, parse_yaml, refused
from deb_mock.configuration.layers import Layer
from deb_mock.configuration.problems import explained
from deb_mock.configuration.settings import Settings
from deb_mock.configuration.templates import SHIPPED, Templates
from deborch_shared.apt.host import host_codename
from deborch_shared.documents.positions import Origin

_VARIABLES = "DEB_MOCK_"
_CONFIG_VARIABLE = "DEB_MOCK_CONFIG"


@dataclass(frozen=True, slots=True)
class Places:
    """Where files are looked for."""

    system: Path = Path("/etc/deb-mock")
    user: Path | None = None
    shipped: Path = SHIPPED
    os_etc: Path = Path("/etc")
    state: Path | None = None
    """Where buildroots are unless a file says otherwise; None: where the system keeps them."""
    cache: Path | None = None

    @classmethod
    def of_user(cls, environment: Mapping[str, str], *, without_root: bool = False) -> "Places":
        """Those of whoever has `environment`; under sudo that is root. Only root may use the system's directories."""
        user = _of_home(environment, "XDG_CONFIG_HOME", ".config")
        if not without_root:
            return cls(user=user)
        state = _of_home(environment, "XDG_DATA_HOME", ".local/share")
        return cls(user=user, state=state, cache=_of_home(environment, "XDG_CACHE_HOME", ".cache"))

    def templates(self) -> Templates:
        """Those of the user hide the system's, and those hide the shipped ones."""
        own = [self.user / "templates"] if self.user else []
        return Templates([*own, self.system / "templates", self.shipped])

    def files(self) -> Iterable[Path]:
        """Configuration files that are there, lowest first."""
        for directory in filter(None, (self.system, self.user)):
            yield from (path for suffix in SUFFIXES if (path := directory / f"config{suffix}").is_file())
            yield from sorted(path for path in (directory / "conf.d").glob("*") if path.suffix in SUFFIXES)


@dataclass(frozen=True, slots=True)
class Asked:
    """What one command was given."""

    file: Path | None = None
    options: Sequence[str] = ()
    """KEY=VALUE each, values in YAML."""
    given: Mapping[str, str] = field(default_factory=dict)
    """By options of their own: key to value."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """Settings, and where each was written."""

    settings: Settings
    layer: Layer

    def origin(self, *path: str | int) -> str:
        """Where the value at `path` comes from."""
        return str(self.layer.origin(path) or "built-in")


def _of_home(environment: Mapping[str, str], variable: str, default: str) -> Path | None:
    """Our directory in one of the XDG base directories."""
    place = environment.get(variable) or (f"{home}/{default}" if (home := environment.get("HOME")) else "")
    return Path(place) / "deb-mock" if place.startswith("/") else None


def resolve(asked: Asked, environment: Mapping[str, str], places: Places, *, native: str = "") -> Configuration:
    """Read every layer and check the result. `native` is the host's architecture.

    Raises:
        DeborchError: INVALID_SETTING, naming file, line and key.
    """
    templates = places.templates()
    upper = _upper(asked, environment, places, templates)
    host = Layer()
    _host_value(host, upper, "suite", host_codename(places.os_etc))
    _host_value(host, upper, "architecture", native)
    for key, place in (("state_dir", places.state), ("cache_dir", places.cache)):
        _host_value(host, upper, key, str(place or ""))
    result = host
    suite, architecture = (upper.values.get(key) or host.values.get(key) for key in ("suite", "architecture"))
    for name in (suite, architecture):
        if isinstance(name, str) and (path := templates.find(name)) is not None:
            result = templates.read(path).put_over(result)
    result = upper.put_over(result)
    if isinstance(suite, str):
        result.values.update(suite=suite)
        _refuse_misspelt(suite, result, templates)
    return _checked(result)


def _upper(asked: Asked, environment: Mapping[str, str], places: Places, templates: Templates) -> Layer:
    result = Layer()
    for path in places.files():
        result = templates.read(path).put_over(result)
    file = asked.file or (Path(environment[_CONFIG_VARIABLE]) if environment.get(_CONFIG_VARIABLE) else None)
    if file is not None:
        result = templates.read(file).put_over(result)
    result = _variables(environment).put_over(result)
    for option in asked.options:
        result = _option(option).put_over(result)
    for key, value in asked.given.items():
        result = _nested(key, value, Origin("option")).put_over(result)
    return result


def check_file(file: Path, places: Places) -> Configuration:
    """`file` alone with its templates, as `resolve` would take it.

    Raises:
        DeborchError: INVALID_SETTING
    """
    return resolve(Asked(file=file), {}, Places(system=Path("/nonexistent"), shipped=places.shipped))


def require_architecture(settings: Settings, architecture: str | None) -> None:
    """Refuse an architecture that the suite has not; none, or a suite of which that is not known, is fine.

    Raises:
        DeborchError: INVALID_SETTING
    """
    if settings.architectures and architecture and architecture not in settings.architectures:
        raise refused(
            f"{settings.suite} has no architecture {architecture}",
            hint=f"it has {', '.join(settings.architectures)}; -o 'architectures+=[{architecture}]' adds one",
        )


def _checked(written: Layer) -> Configuration:
    layer = written.settled(Settings().model_dump())
    try:
        settings = Settings.model_validate(layer.values)
    except ValidationError as error:
        raise explained(error, layer, Settings) from error
    require_architecture(settings, settings.architecture)
    return Configuration(settings, layer)


def _host_value(host: Layer, upper: Layer, key: str, value: str) -> None:
    if value and not upper.values.get(key):
        host.values[key] = value
        host.origins[key,] = Origin("host")
        upper.values.pop(key, None)


def _refuse_misspelt(suite: str, layer: Layer, templates: Templates) -> None:
    """A suite that no template knows is anybody's own, unless it is nearly the name of one."""
    if templates.find(suite) is not None or layer.values.get("mirror"):
        return
    close = difflib.get_close_matches(suite, templates.names(), n=1, cutoff=0.8)
    if close:
        raise refused(
            f"there is no suite {suite!r} in the templates",
            hint=f"do you mean {close[0]}? For a suite of your own set mirror and keyring",
        )


def _option(text: str) -> Layer:
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise refused(f"-o {text}: KEY=VALUE is expected", hint="for example -o tmpfs=off or -o components=[main]")
    return _nested(key.strip(), parse_yaml(f"value: {value}", f"-o {text}").values["value"], Origin(f"-o {key}"))


def _variables(environment: Mapping[str, str]) -> Layer:
    """DEB_MOCK_KEY and DEB_MOCK_SECTION__KEY; what is no key is left to whoever it is for."""
    result = Layer()
    for name in sorted(environment):
        key = name.removeprefix(_VARIABLES).lower().replace("__", ".")
        if name.startswith(_VARIABLES) and environment[name] and key.partition(".")[0] in Settings.model_fields:
            value = parse_yaml(f"value: {environment[name]}", name).values["value"]
            result = _nested(key, value, Origin(name)).put_over(result)
    return result


def _nested(key: str, value: object, origin: Origin) -> Layer:
    *sections, last = key.split(".")
    values: dict[str, object] = {last: value}
    for section in reversed(sections):
        values = {section: values}
    return Layer(values, {tuple(key.split(".")): origin})
