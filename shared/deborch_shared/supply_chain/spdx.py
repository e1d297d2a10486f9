"""SPDX 2.3 documents (https://spdx.github.io/spdx-spec/v2.3/) of Debian packages."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

UNKNOWN = "NOASSERTION"
DOCUMENT = "SPDXRef-DOCUMENT"
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9.-]")


def package_url(name: str, version: str, qualifiers: Mapping[str, str]) -> str:
    """A package URL of type deb (https://github.com/package-url/purl-spec)."""
    tail = "&".join(f"{key}={quote(value, safe='')}" for key, value in sorted(qualifiers.items()))
    return f"pkg:deb/debian/{quote(name, safe='')}@{quote(version, safe='')}?{tail}"


def spdx_package(
    identity: str, name: str, version: str, qualifiers: Mapping[str, str], *, sha256: str | None = None
) -> dict[str, Any]:
    """A package, named `identity` in the document; `qualifiers` are those of its package URL."""
    entry: dict[str, Any] = {
        "SPDXID": f"SPDXRef-{_NOT_IN_IDS.sub('-', identity)}",
        "name": name,
        "versionInfo": version,
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": False,
        "licenseConcluded": UNKNOWN,
        "licenseDeclared": UNKNOWN,
        "copyrightText": UNKNOWN,
        "externalRefs": [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": package_url(name, version, qualifiers),
            }
        ],
    }
    if sha256:
        entry["checksums"] = [{"algorithm": "SHA256", "checksumValue": sha256}]
    return entry


def spdx_relation(left: str, kind: str, right: str) -> dict[str, str]:
    """`left` stands in relation `kind` to `right`; both are SPDXIDs."""
    return {"spdxElementId": left, "relationshipType": kind, "relatedSpdxElement": right}


def spdx_document(
    name: str,
    *,
    namespace: str,
    created_at: datetime,
    tool: str,
    packages: Sequence[Mapping[str, Any]],
    relations: Sequence[Mapping[str, str]],
) -> dict[str, Any]:
    """The document. Its namespace is unique to what is in it."""
    unique = hashlib.sha256(json.dumps(list(packages), sort_keys=True).encode()).hexdigest()[:32]
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": DOCUMENT,
        "name": name,
        "documentNamespace": f"{namespace}:{quote(name)}:{unique}",
        "creationInfo": {"created": created_at.strftime("%Y-%m-%dT%H:%M:%SZ"), "creators": [f"Tool: {tool}"]},
        "packages": list(packages),
        "relationships": list(relations),
    }
