"""An OpenAPI document as the page shows it: operations by resource, fields as rows, types in few words."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

TypePart = tuple[str, str]
"""A piece of a type's text, and the shape that it names, or nothing."""
_LIMITS = (("minimum", "from"), ("maximum", "to"), ("maxLength", "characters at most:"), ("pattern", "matches"))


class DocumentReader:
    """Reads one document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._paths = document["paths"]
        self._schemas = document["components"]["schemas"]
        self._named: set[str] = set()

    def groups(self) -> list[dict[str, Any]]:
        """The operations, by the resource that they are tagged with."""
        groups: dict[str, list[dict[str, Any]]] = {}
        for path, methods in self._paths.items():
            for method, operation in methods.items():
                groups.setdefault(operation["tags"][0], []).append(self._operation(path, method, operation))
        return [{"name": name, "operations": operations} for name, operations in groups.items()]

    def shapes(self) -> list[dict[str, Any]]:
        """The models that types on the page name, and those that these name; call it after `groups`."""
        shown: dict[str, dict[str, Any]] = {}
        while missing := sorted(self._named - shown.keys()):
            shown |= {name: self._shape(name) for name in missing}
        return [shown[name] for name in sorted(shown)]

    def _operation(self, path: str, method: str, operation: Mapping[str, Any]) -> dict[str, Any]:
        status, good = next((code, answer) for code, answer in operation["responses"].items() if code.startswith("2"))
        media, content = next(iter(good.get("content", {"": {}}).items()))
        body = operation.get("requestBody", {}).get("content", {})
        return {
            "id": operation["operationId"],
            "method": method.upper(),
            "path": path,
            "summary": operation["summary"],
            "permission": operation.get("x-permission", ""),
            "parameters": [
                {
                    "name": parameter["name"],
                    "place": parameter["in"],
                    "type": self._type(parameter["schema"]),
                    "required": parameter["required"],
                    "about": parameter.get("description") or _about(parameter["schema"]),
                }
                for parameter in operation["parameters"]
            ],
            "body": self._fields(body.get("application/json", {}).get("schema")),
            "raw_body": "application/octet-stream" in body,
            "status": status,
            "media": media,
            "answer": self._fields(content.get("schema")),
            "problems": [
                (code, problem["description"])
                for code, problem in sorted(operation["responses"].items())
                if code.startswith(("4", "5"))
            ],
        }

    def _fields(self, schema: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """A model's name and fields; of a page, those of its items."""
        if schema is None or "$ref" not in schema:
            return None
        name = _name_in(schema)
        if name.startswith("Page_"):
            items = self._schemas[name]["properties"]["items"]["items"]
            return {**self._shape(_name_in(items)), "page": True}
        return {**self._shape(name), "page": False}

    def _shape(self, name: str) -> dict[str, Any]:
        model = self._schemas[name]
        required = set(model.get("required", ()))
        rows = [
            {"name": field, "type": self._type(part), "required": field in required, "about": _about(part)}
            for field, part in model.get("properties", {}).items()
        ]
        return {"name": name, "about": model.get("description", ""), "rows": rows}

    def _type(self, schema: Mapping[str, Any]) -> list[TypePart]:
        """Such as `integer`, `string?`, `list of TaskSummary`, `enabled | disabled`."""
        if "$ref" in schema:
            name = _name_in(schema)
            if "enum" in self._schemas[name]:
                return self._type(self._schemas[name])
            self._named.add(name)
            return [(name, name)]
        if "anyOf" in schema:
            kinds = [self._type(part) for part in schema["anyOf"] if part.get("type") != "null"]
            optional = [("?", "")] if len(kinds) < len(schema["anyOf"]) else []
            return [*_joined(kinds, " or "), *optional]
        if "enum" in schema:
            return [(" | ".join(map(str, schema["enum"])), "")]
        if schema.get("type") == "array":
            return [("list of ", ""), *self._type(schema.get("items", {}))]
        return [(str(schema.get("format") or schema.get("type") or "any"), "")]


def _name_in(reference: Mapping[str, Any]) -> str:
    return str(reference["$ref"].rpartition("/")[2])


def _joined(kinds: Iterable[list[TypePart]], word: str) -> list[TypePart]:
    parts: list[TypePart] = []
    for kind in kinds:
        parts += [(word, ""), *kind] if parts else kind
    return parts


def _about(schema: Mapping[str, Any]) -> str:
    """Description, limits and default in few words."""
    parts = [schema["description"]] if "description" in schema else []
    for key, word in _LIMITS:
        given = next((part[key] for part in (schema, *schema.get("anyOf", ())) if key in part), None)
        if given is not None:
            parts.append(f"{word} `{given}`")
    if schema.get("default") not in (None, [], {}, ""):
        parts.append(f"default `{orjson.dumps(schema['default']).decode()}`")
    return ", ".join(parts)
