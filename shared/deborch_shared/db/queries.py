"""Named queries: SQL is first class, lives in `.sql` files, and each query says what it is for.

-- name: claim_free_tasks
-- Take up to $2 FREE tasks ... (at least one line of description is required)
SELECT ...
"""

import re
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType

_HEADER = re.compile(r"^-- name: (?P<name>[a-z][a-z0-9_]*)\s*$", re.MULTILINE)


def parse_queries(text: str, origin: str) -> dict[str, str]:
    """`{name: SQL}` of one file; refuses a name given twice and a query without a description."""
    headers = list(_HEADER.finditer(text))
    queries: dict[str, str] = {}
    for header, following in zip(headers, [*headers[1:], None], strict=True):
        name = header["name"]
        body = text[header.end() : following.start() if following else None].strip()
        if not body.startswith("-- "):
            raise ValueError(f"{origin}: query {name} needs a comment that says what it is for")
        if name in queries:
            raise ValueError(f"{origin}: query {name} is there twice")
        queries[name] = f"-- {name}\n{body.rstrip(';')}"
    return queries


def load_queries(package: str) -> Mapping[str, str]:
    """All queries of the `.sql` files in `package` (an import name), by name."""
    queries: dict[str, str] = {}
    for entry in sorted(resources.files(package).iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".sql"):
            found = parse_queries(entry.read_text("utf-8"), entry.name)
            if doubled := queries.keys() & found.keys():
                raise ValueError(f"{entry.name}: {', '.join(sorted(doubled))} stands in another file too")
            queries |= found
    return MappingProxyType(queries)
