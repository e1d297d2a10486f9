"""The JSON Schema of a configuration file, for editors that complete and check while one types."""

from typing import Any

from deb_mock.configuration.layers import APPEND
from deb_mock.configuration.settings import Settings
from deb_mock.configuration.templates import INCLUDE


def json_schema() -> dict[str, Any]:
    """Of YAML and TOML files alike: all keys, `include`, and `KEY+` for lists that are added to."""
    schema = Settings.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "deb-mock configuration"
    texts = {"type": "array", "items": {"type": "string"}}
    for part in (schema, *schema.get("$defs", {}).values()):
        properties = part.get("properties", {})
        lists = {f"{key}{APPEND}": value for key, value in properties.items() if value.get("type") == "array"}
        properties.update(lists)
    schema["properties"][INCLUDE] = {
        "anyOf": [{"type": "string"}, texts],
        "description": "Templates by name, or files relative to this one, that this file goes over.",
    }
    return schema
