"""Where the services are and who we are: a private file, over which the environment wins."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from deborch_cli.private_files import write_private
from deborch_shared.errors import DeborchError, ErrorCode

LOGIN_HINT = "run `deborch login`, or set DEBORCH_HUB_URL, DEBORCH_AUTH_URL and DEBORCH_API_KEY"
_VARIABLES = {"hub_url": "DEBORCH_HUB_URL", "auth_url": "DEBORCH_AUTH_URL", "api_key": "DEBORCH_API_KEY"}


@dataclass(frozen=True, slots=True)
class Credentials:
    """The base URLs of hub and auth, and the API key that buys access tokens."""

    hub_url: str
    auth_url: str
    api_key: str = field(repr=False)


def config_directory() -> Path:
    """$DEBORCH_CONFIG_DIR, else `deborch` in $XDG_CONFIG_HOME, else ~/.config/deborch."""
    if own := os.environ.get("DEBORCH_CONFIG_DIR"):
        return Path(own)
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "deborch"


def credentials_file() -> Path:
    return config_directory() / "credentials.json"


def token_file() -> Path:
    """Where the access token of minutes is kept between commands."""
    return config_directory() / "token.json"


def known_credentials() -> Mapping[str, str]:
    """What file and environment say of `hub_url`, `auth_url` and `api_key`; what is not known is left out.

    Raises:
        DeborchError: INVALID_INPUT if the file is damaged.
    """
    from_environment = {name: os.environ[variable] for name, variable in _VARIABLES.items() if os.environ.get(variable)}
    return {**_read(credentials_file()), **from_environment}


def load_credentials() -> Credentials:
    """The credentials to use.

    Raises:
        DeborchError: UNAUTHENTICATED if one is missing, INVALID_INPUT if the file is damaged.
    """
    known = known_credentials()
    if not known:
        raise DeborchError(ErrorCode.UNAUTHENTICATED, "you are not logged in", hint=LOGIN_HINT)
    missing = [name.replace("_", " ") for name in _VARIABLES if name not in known]
    if missing:
        raise DeborchError(
            ErrorCode.UNAUTHENTICATED, f"the login is not complete: no {' and no '.join(missing)}", hint=LOGIN_HINT
        )
    return Credentials(checked_url(known["hub_url"]), checked_url(known["auth_url"]), known["api_key"])


def save_login(hub_url: str, auth_url: str, api_key: str, *, directory: Path | None = None) -> Path:
    """Log the command line in: keep the credentials in a file that only this user can read; its path is returned.

    Raises:
        DeborchError: INVALID_INPUT if an address is not an http(s) URL.
    """
    path = (directory or config_directory()) / "credentials.json"
    credentials = Credentials(checked_url(hub_url), checked_url(auth_url), api_key)
    write_private(path, json.dumps(asdict(credentials), indent=1) + "\n")
    return path


def remove_login() -> bool:
    """Forget credentials and token; False if there were none."""
    there = credentials_file().exists()
    for path in (token_file(), credentials_file()):
        path.unlink(missing_ok=True)
    return there


def checked_url(url: str) -> str:
    """`url` without a trailing slash.

    Raises:
        DeborchError: INVALID_INPUT if it is not an http(s) URL with a host.
    """
    parts = urlsplit(url.strip())
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise DeborchError(
            ErrorCode.INVALID_INPUT, f"{url!r} is not the URL of a service", hint="it looks like https://hub.example"
        )
    return url.strip().rstrip("/")


def _read(path: Path) -> Mapping[str, str]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise DeborchError(
            ErrorCode.INVALID_INPUT, f"{path} is damaged", hint="remove it and run `deborch login` again"
        )
    return {name: str(found[name]) for name in _VARIABLES if found.get(name)}
