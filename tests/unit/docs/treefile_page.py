"""docs/reference/treefile.md, made from the models that check treefiles."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from deb_bootc_compose.treefile.contents import Contents
from deb_bootc_compose.treefile.nodes import WHOLE
from deb_bootc_compose.treefile.written import Treefile, Variant, Written

_BEFORE = """# Treefile

A treefile says what a tree is made of and what becomes of it. It is a map in YAML (or JSON, in a file `*.json`).
Keys of rpm-ostree that make sense on Debian are spelled as there.

```
deb-bootc-compose validate samples/minimal.yaml                      # every problem, with file, line and key
deb-bootc-compose show samples/edge.yaml --list                      # variants and architectures
deb-bootc-compose show samples/edge.yaml --variant edge --arch amd64 # everything merged, nothing left to decide
deb-bootc-compose schema > treefile.schema.json                      # for editors
```

The schema is also published: [treefile.schema.json](treefile.schema.json). An editor with the YAML language server
takes it by a first line `# yaml-language-server: $schema=treefile.schema.json`.

## How parts are merged

A treefile goes over what it includes, a variant over the treefile, and what is different for one architecture over the
part that it stands in. [Variants](../explanation/variants.md) tells the order. Of each key, by the column *merge*:

- **replaces**: the upper value alone counts.
- **adds**: both lists, the lower first. An entry with the same `name` as one below takes the place of that one.
- **by key**: maps merge, each key by its own rule.

`replace: [packages, oci.tags]` in a part forgets what is below for these keys before the part goes over it. Merging is
associative: how files are grouped by includes makes no difference, their order does. Where nothing is written, the
default counts; it is never added to.

## Includes

`include`, then `arch-include`, then `conditional-include` go over each other in this order, the later over the earlier;
the file itself goes over all of them. A file that is included twice, or that includes itself, is an error that shows
both chains. Conditions are `VARIABLE == VALUE`, `!=`, or for numbers `<`, `<=`, `>`, `>=`; those in a list must all
hold. They see the variables of the file, of what it has included up to there and of its includers, and `architecture`,
`suite` and, in a variant, `variant`.

## Variables

`${NAME}` in a text is replaced, but not in `postprocess`, where it is the shell's. `$${NAME}` is the text `${NAME}`.
There always are `name`, `variant`, `architecture` and `suite`; `${version}` is there in `output-name`, `oci`,
`mutate-os-release`, `add-commit-metadata` and `x-` keys. Others come from `variables`, where those of the command line
(`--variable NAME=VALUE`) win over the includer's, and those over the included file's.

## Files

Files that a treefile names (includes, scripts, `add-files`, `signed-by`, `.dsc`) are relative to the file that names
them. They have to be below the directory of the outermost treefile, also if they are links, or below a directory that
`--allow` names; keyrings may also be in /usr/share/keyrings and /etc/apt/keyrings. Their SHA-256 are part of what
decides whether something has to be composed again; comments in treefiles are not.

"""
_ANY_NAME = """## Keys with a name of one's own

| key | merge | meaning |
|---|---|---|
| `packages-ARCHITECTURE` | adds | Packages for one architecture, such as `packages-arm64`, beside `packages`. |
| `x-NAME` | by its kind | Anything: kept, and exported by `show` and in the metadata of a compose. |

"""
_SECTIONS: Mapping[str, tuple[type[BaseModel], type[BaseModel] | None, str]] = {
    "Of a treefile alone": (Treefile, Written, ""),
    "Of a variant alone": (Variant, Written, "Beside these, a variant may have every key below."),
    "Of every part": (Written, Contents, "In a treefile, in a variant and in a part for one architecture."),
    "Contents": (Contents, None, "In the same places."),
}


def treefile_page() -> str:
    """The whole page."""
    parts = [_BEFORE]
    for title, (model, without, text) in _SECTIONS.items():
        left_out = set(without.model_fields) if without else set()
        rows = [
            row
            for name, field in model.model_fields.items()
            if name not in left_out
            for row in _rows(field.alias or name, field, (), model)
        ]
        intro = f"{text}\n\n" if text else ""
        parts.append(f"## {title}\n\n{intro}| key | kind | default | merge | meaning |\n|---|---|---|---|---|\n")
        parts.append("\n".join(rows) + "\n\n")
    return "".join([*parts, _ANY_NAME]).rstrip() + "\n"


def _rows(key: str, field: FieldInfo, above: tuple[str, ...], owner: type[BaseModel]) -> Iterator[str]:
    path = (*above, key)
    description = " ".join((field.description or "").split()).replace("|", "\\|")
    cells = (f"`{'.'.join(path)}`", _kind(field.annotation), _default(field), _merge(path, field), description)
    yield f"| {' | '.join(cells)} |"
    section = _section(field.annotation)
    if section is None or issubclass(section, Written):
        return
    many = "[]" if _is_list(field.annotation) else ""
    for name, inner in section.model_fields.items():
        yield from _rows(inner.alias or name, inner, (*above, key + many), owner)


def _kind(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(arguments[0])
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_kind(one) for one in arguments if one is not NoneType))
    if origin is Literal:
        return ", ".join(f"`{one}`" for one in arguments)
    if origin is tuple:
        return f"list of {_kind(arguments[0])}" if Ellipsis in arguments else "pair"
    if origin is dict:
        return f"map to {_kind(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return ", ".join(f"`{one.value}`" for one in annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {"Written": "part", "Variant": "variant"}.get(annotation.__name__, "map")
    return {str: "text", bool: "true or false", int: "number", float: "number"}.get(annotation, "anything")


def _section(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _section(part)) is not None), None)


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is tuple or any(_is_list(one) for one in get_args(annotation))


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "needed"
    if value is None or value in ((), {}, "") or isinstance(value, BaseModel):
        return ""
    if isinstance(value, tuple):
        return f"`[{', '.join(str(one) for one in value)}]`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _merge(path: tuple[str, ...], field: FieldInfo) -> str:
    if any(step.endswith("[]") for step in path[:-1]) or path == ("replace",):
        return ""
    if path in WHOLE:
        return "replaces"
    if get_origin(field.annotation) is dict:
        return "by key"
    if _is_list(field.annotation):
        return "adds"
    return "by key" if _section(field.annotation) is not None else "replaces"
