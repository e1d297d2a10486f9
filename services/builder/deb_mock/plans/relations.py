"""Build dependencies as apt is asked for them: those of the source, and those of the request."""

from collections.abc import Mapping

from deb_mock.model import BuildRequest
from deborch_shared.sources import SourceDescription

_DEPENDS, _CONFLICTS = "Build-Depends", "Build-Conflicts"
NAME_INSIDE = "build-dependencies.dsc"


def wanted(source: SourceDescription, request: BuildRequest, also: tuple[str, ...] = ()) -> Mapping[str, str]:
    """Each field with its relations; `also` are more build dependencies."""
    relations = dict(source.relations)
    if request.first_alternative:
        relations = {field: _first_alternatives(value) for field, value in relations.items()}
    for field, added in ((_DEPENDS, (*request.add_depends, *also)), (_CONFLICTS, request.add_conflicts)):
        if added:
            relations[field] = ", ".join((*split(relations.get(field, "")), *added))
    if request.mode == "source":
        return {field: value for field, value in relations.items() if field in (_DEPENDS, _CONFLICTS)}
    return relations


def split(relations: str) -> list[str]:
    """The relations of a field, alternatives together."""
    return [part.strip() for part in relations.split(",") if part.strip()]


def as_dsc(source: SourceDescription, relations: Mapping[str, str]) -> bytes:
    """A .dsc of no files that says what is needed, for `apt-get build-dep`."""
    fields = {
        "Format": "1.0",
        "Source": source.name,
        "Binary": ", ".join(source.binaries) or source.name,
        "Architecture": " ".join(source.architectures),
        "Version": source.version,
        **relations,
    }
    return "".join(f"{name}: {value}\n" for name, value in fields.items()).encode()


def _first_alternatives(relations: str) -> str:
    return ", ".join(relation.partition("|")[0].strip() for relation in split(relations))
