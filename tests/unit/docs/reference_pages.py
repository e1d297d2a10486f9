"""The reference pages that are made from the code: `python -m tests.unit.docs.reference_pages` writes them again."""

import importlib
import pkgutil
from pathlib import Path

from prometheus_client import REGISTRY
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings
from tests.unit.docs.configuration_page import configuration_page
from tests.unit.docs.plugins_page import plugins_page
from tests.unit.docs.treefile_page import treefile_page

import deborch_auth
import deborch_builder
import deborch_composer
import deborch_hub
import deborch_shared
from deborch_auth.settings import AuthSettings
from deborch_builder.settings import BuilderSettings
from deborch_cli.exit_codes import EXIT_CODES
from deborch_composer.settings import ComposerSettings
from deborch_hub.settings import HubSettings
from deborch_shared.errors import ERRORS

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"
SERVICES: dict[str, type[BaseSettings]] = {
    "Hub": HubSettings,
    "Auth": AuthSettings,
    "Builder": BuilderSettings,
    "Composer": ComposerSettings,
}
LOCAL = """## Local stack and command line

`deborch up` and `deborch demo` pass the variables above on to the service that they are for, and start no server of
their own where the environment names one.

| variable | default | meaning |
|---|---|---|
| `DEBORCH_DATA` | `~/.local/share/deborch` | Data directory of `deborch up` and `deborch demo`; `--data` wins. |
| `DEBORCH_HUB_URL`, `DEBORCH_AUTH_URL` | of the login | Where the command line finds the services. |
| `DEBORCH_API_KEY` | of the login | API key of the command line; never printed. |
| `DEBORCH_CONFIG_DIR` | `~/.config/deborch` | Where the login is kept. |
| `DEBORCH_TARGET` | the only one | Target of `deborch build` when `--target` is not given. |
| `DEBORCH_DEBUG` | unset | Set to 1, an unexpected error shows its traceback. |
| `DEB_MOCK_STATE_DIR`, `DEB_MOCK_CACHE_DIR` | see `deb-mock --help` | Buildroots in use; base images and layers. |
| `DEB_MOCK_CONFIG`, `DEB_MOCK_KEY` | unset | A file, and any key, of the configuration of deb-mock. |
| `http_proxy`, `https_proxy`, `no_proxy` | unset | Handed to apt inside buildroots, and to nothing else of a build. |
"""


def settings_page() -> str:
    """docs/reference/settings.md"""
    parts = [
        "# Settings\n\nServices read the environment and nothing else. A wrong value stops the start with a line that "
        "names the variable\nand does not repeat the value. Durations end in `_S` and are seconds, sizes end in "
        "`_BYTES`.\n"
    ]
    for name, model in SERVICES.items():
        prefix = str(model.model_config.get("env_prefix", ""))
        rows = [_setting(prefix, field, info) for field, info in sorted(model.model_fields.items())]
        table = "\n".join(sorted(rows))
        parts.append(f"## {name}\n\n| variable | default | meaning |\n|---|---|---|\n{table}\n")
    return "\n".join([*parts, LOCAL])


def _setting(prefix: str, field: str, info: FieldInfo) -> str:
    alias = info.validation_alias
    names = [alias] if isinstance(alias, str) else [str(c) for c in alias.choices] if alias else []  # type: ignore[union-attr]
    shown = ", ".join(f"`{name}`" for name in names or [f"{prefix}{field}".upper()])
    return f"| {shown} | {_default(info)} | {' '.join((info.description or '').split())} |"


def _default(info: FieldInfo) -> str:
    if info.default is PydanticUndefined:
        return "required"
    if info.default in (None, "", ()):
        return "unset"
    return f"`{info.default}`"


def errors_page() -> str:
    """docs/reference/errors.md"""
    rows = [
        f"| `{code.value}` | {spec.status} | {int(EXIT_CODES[code])} "
        f"| {'yes' if spec.temporary else 'no'} | {spec.title} |"
        for code, spec in sorted(ERRORS.items())
    ]
    return (
        "# Errors\n\nOver HTTP an error is problem+json (RFC 9457): `code` is stable and what programs match on, "
        "`detail` says what happened,\n`hint` what to do next, `request_id` finds it in the logs. "
        "The command line prints the same and leaves with an exit code.\n"
        "Temporary ones may go away by themselves; over HTTP they carry `Retry-After`.\n\n"
        "| code | HTTP status | exit code | temporary | meaning |\n|---|---|---|---|---|\n" + "\n".join(rows) + "\n"
    )


def metrics_page() -> str:
    """docs/reference/metrics.md"""
    for package in (deborch_shared, deborch_hub, deborch_auth, deborch_builder, deborch_composer):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__") and ".sandbox.inside" not in module.name:
                importlib.import_module(module.name)
    ours = [metric for metric in REGISTRY.collect() if metric.name.startswith("deborch_")]
    rows = [
        f"| `{metric.name}{'_total' if metric.type == 'counter' else ''}` | {metric.type} | {metric.documentation} |"
        for metric in sorted(ours, key=lambda metric: metric.name)
    ]
    return (
        "# Metrics\n\nEach service serves Prometheus metrics at `/metrics`, beside those of the process itself. Watch "
        "`deborch_bus_dead_letters_total`\n(any growth is a bug or a version mismatch), "
        "`deborch_hub_outbox_queued` (grows while the broker is away) and that the sum of\n`deborch_hub_schedules` "
        "is 1.\n\n"
        "| metric | kind | meaning |\n|---|---|---|\n" + "\n".join(rows) + "\n"
    )


PAGES = {
    "settings.md": settings_page,
    "errors.md": errors_page,
    "metrics.md": metrics_page,
    "deb-mock-plugins.md": plugins_page,
    "deb-mock-configuration.md": configuration_page,
    "treefile.md": treefile_page,
}

if __name__ == "__main__":
    for name, make in PAGES.items():
        (REFERENCE / name).write_text(make())
