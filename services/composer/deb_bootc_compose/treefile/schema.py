"""The JSON Schema of a treefile, for editors. docs/reference/treefile.schema.json is this text."""

import json
from typing import Any

from deb_bootc_compose.treefile.checking import ARCHITECTURES
from deb_bootc_compose.treefile.written import Treefile

_PARTS = ("Written", "Variant")
_TEXT = {"type": "string"}


def json_schema() -> dict[str, Any]:
    """All keys, also those whose name has an architecture in it or is one's own (`x-`)."""
    schema = Treefile.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "deb-bootc-compose treefile"
    patterns = {
        f"^packages-({'|'.join(ARCHITECTURES)})$": {
            "type": "array",
            "items": _TEXT,
            "description": "Packages for one architecture, beside `packages`.",
        },
        "^x-": {"description": "One's own: kept and exported."},
    }
    for part in (schema, *(schema["$defs"][name] for name in _PARTS)):
        part["patternProperties"] = patterns
        repositories = part["properties"]["repositories"]
        repositories["items"] = {"anyOf": [repositories["items"], _TEXT]}
    for name, minimum in (("AddedFile", 2), ("RemovedFromPackage", 2)):
        as_list = {"type": "array", "items": _TEXT, "minItems": minimum}
        schema["$defs"][name] = {"anyOf": [schema["$defs"][name], as_list]}
    _allow_variables(schema)
    return schema


def _allow_variables(node: Any) -> None:  # noqa: ANN401 - whatever a schema holds
    """Numbers, truth values and choices may also be a text with `${NAME}` in it."""
    if isinstance(node, list):
        for one in node:
            _allow_variables(one)
    if not isinstance(node, dict):
        return
    for one in list(node.values()):
        _allow_variables(one)
    if isinstance(node.get("type"), str) and node["type"] in ("integer", "number", "boolean"):
        kind = node.pop("type")
        limits = {key: node.pop(key) for key in ("minimum", "maximum", "exclusiveMinimum") if key in node}
        node["anyOf"] = [{"type": kind, **limits}, {"type": "string", "pattern": r"\$\{"}]


def schema_text() -> str:
    """As it is published."""
    return json.dumps(json_schema(), indent=2) + "\n"
