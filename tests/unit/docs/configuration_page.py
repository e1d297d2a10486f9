"""docs/reference/deb-mock-configuration.md, made from the model that checks configurations."""

from collections.abc import Iterator
from typing import get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from deb_mock.configuration.settings import Settings
from deb_mock.configuration.templates import SHIPPED

_BEFORE = """# Configuration of deb-mock

`deb-mock` reads its settings in layers. Each goes over those before it:

1. what is built in
2. the template of the suite, then the template of the architecture, if there is one
3. `/etc/deb-mock/config.yaml` (or `.toml`), then `/etc/deb-mock/conf.d/*` in the order of their names
4. `~/.config/deb-mock/config.yaml` and `conf.d/*` in the same way; with sudo that is root's
5. the file of `--config FILE` or `DEB_MOCK_CONFIG`
6. variables: `DEB_MOCK_SUITE=trixie`, `DEB_MOCK_LIMITS__MEMORY=4GiB`
7. `-o KEY=VALUE` (`-o tmpfs=off`, `-o 'build.options+=[nocheck]'`), and the options of the command itself

Scalars and lists replace what is below, maps merge, and a list whose key ends in `+` is added to the list below
(`components+: [contrib]`). Relative paths are relative to the file that they are in. Files are YAML or TOML; an unknown
key, a key that is there twice or a value of the wrong kind is an error with file, line, key and the nearest key.

```
deb-mock config show --suite trixie     # every value, and where it comes from
deb-mock config check deb-mock.yaml     # is this file right?
deb-mock config schema > deb-mock.schema.json   # for editors
```

## Templates

A template is a file of settings with a name. That of the suite and that of the architecture are used by themselves,
others by `include: NAME` (or a list of names, or of files relative to the includer). There are: %s.
Your own are in `/etc/deb-mock/templates` and `~/.config/deb-mock/templates`; one of the same name hides the shipped
one, and may include it:

```yaml
# /etc/deb-mock/templates/ubuntu.yaml: a mirror for all suites of Ubuntu, and for nothing else
include: ubuntu
mirror: http://mirror.example.org/ubuntu
```

No template names a mirror. Debian is read from the host's own apt sources, with the suites beside it that the
template names (`pockets`). For Ubuntu, `mirror` must be set unless the host is Ubuntu or has sources of it, and its
keys must be installed (`keyring`, `keyring_package`). A suite without a template works too: set `mirror`, `keyring`.

## Keys

Sizes are bytes or `512 MiB`, `4G` (powers of 1024); durations are seconds or `15 min`, `6 h`, `30 d`.

| key | default | meaning |
|---|---|---|
"""


def configuration_page() -> str:
    """The whole page."""
    names = ", ".join(f"`{path.stem}`" for path in sorted(SHIPPED.glob("*.yaml")))
    rows = "\n".join(f"| `{key}` | {default} | {meaning} |" for key, default, meaning in _keys(Settings, ""))
    return _BEFORE % names + rows + "\n"


def _keys(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, field in model.model_fields.items():
        key = f"{prefix}{name}"
        section = _section(field.annotation)
        meaning = (field.description or (section.__doc__ if section else "") or "").replace("|", "\\|")
        if section is None or field.description:
            yield key, _default(field), meaning
        if section is not None:
            many = "[]" if str(field.annotation).startswith("tuple") else ""
            yield from _keys(section, f"{key}{many}.")


def _section(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _section(part)) is not None), None)


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "required"
    if value is None or value in ("", (), {}) or isinstance(value, BaseModel):
        return "unset" if value is None or value == "" else ""
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{value}`"
