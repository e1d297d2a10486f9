"""What is written beside each base, and how bases are named."""

import hashlib
import json
import secrets
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from deb_mock.bases.recipe import BaseRecipe
from deb_mock.model import MAIN_ONLY, Base

DESCRIPTION = "base.json"
HALF_MADE = ".new-"
_NAME_DIGITS = 16


def base_name(recipe: BaseRecipe, release: str, made_at_s: float) -> str:
    """SUITE-ARCH-DIGEST; where the archive does not say its state, the time stands for it."""
    inputs = f"{recipe.digest()} {release or made_at_s}"
    digest = hashlib.sha256(inputs.encode()).hexdigest()[:_NAME_DIGITS]
    return f"{recipe.suite}-{recipe.architecture}-{digest}"


def half_made_name(name: str) -> str:
    """For a directory that is, or no longer is, the base `name`."""
    return f"{HALF_MADE}{name}-{int(time.time())}-{secrets.token_hex(4)}"


def suite_and_architecture(half_made: str) -> str:
    """Whose lock a half-made directory belongs to."""
    return half_made.removeprefix(HALF_MADE).rsplit("-", 3)[0]


def write_description(base: Base, directory: Path) -> None:
    """Also before the rename that makes the base visible."""
    content = {name: value for name, value in asdict(base).items() if name not in ("name", "directory")}
    temporary = directory / f".{DESCRIPTION}.{secrets.token_hex(4)}"
    temporary.write_text(json.dumps(content))
    temporary.rename(directory / DESCRIPTION)


def read_bases(directory: Path) -> list[Base]:
    """Every complete base, oldest first."""
    found = (_read(path) for path in directory.glob(f"[!.]*/{DESCRIPTION}"))
    return sorted((base for base in found if base is not None), key=lambda base: base.made_at_s)


def _read(path: Path) -> Base | None:
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
    known = {name: content[name] for name in Base.__dataclass_fields__ if name in content}
    known["components"] = tuple(content.get("components", MAIN_ONLY))
    base = Base(name=path.parent.name, directory=path.parent, **known)
    return base if base.root.is_dir() else None


def age_s(since_s: float) -> float:
    """Seconds since then, never negative."""
    return max(0.0, time.time() - since_s)
