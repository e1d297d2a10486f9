"""A treefile as it is written: partial, before includes, variants and variables are put in place."""

from typing import Any

from pydantic import Field

from deb_bootc_compose.treefile.base import Part
from deb_bootc_compose.treefile.contents import Contents

Names = str | tuple[str, ...]
"""One or several."""


class ConditionalInclude(Part):
    """Files that are included if something holds."""

    condition: Names = Field(alias="if")
    """`VARIABLE == VALUE`, or `!=`, `<`, `<=`, `>`, `>=`; of a list all have to hold."""
    include: Names
    """Treefiles, relative to this one."""


class Written(Contents):
    """What a treefile, a variant or a part for one architecture may say beside contents."""

    include: Names = ()
    """Treefiles that this one goes over, the later over the earlier; relative to this one."""
    arch_include: dict[str, Names] = {}
    """Treefiles that are included for one architecture."""
    conditional_include: tuple[ConditionalInclude, ...] = ()
    """Treefiles that are included if something holds."""
    variables: dict[str, str | bool | int | float] = {}
    """Put in place of `${NAME}`; those of the command line, then those of whoever includes, win."""
    replace: tuple[str, ...] = ()
    """Keys (`outputs`, `oci.tags`) of which what is below is forgotten before this part goes over it."""
    gpg_key: str | None = None
    """`ostree.sign` by the name that rpm-ostree has for it."""
    container_cmd: tuple[str, ...] = ()
    """`oci.cmd` by the name that rpm-ostree has for it."""
    external: dict[str, Any] = Field(default={}, alias="metadata")
    """For other programs: kept and exported."""


class Variant(Written):
    """One variant, or a pattern (`server-*`) for those whose names match."""

    inherits: Names = ()
    """Variants that this one goes over, the later over the earlier."""
    abstract: bool = False
    """True: only for others to inherit; not composed itself."""
    architectures: tuple[str, ...] = ()
    """Those of the treefile that it is for; none given: all."""
    per_architecture: dict[str, Written] = {}
    """What is different for one architecture: any key of a variant."""


class Treefile(Written):
    """A file."""

    name: str | None = None
    """Of what is composed; the file's, without suffix, if nothing is said."""
    architectures: tuple[str, ...] = ()
    """Composed if nothing else is asked for; none given: that of this machine."""
    per_architecture: dict[str, Written] = {}
    """What is different for one architecture: any key of contents."""
    variants: dict[str, Variant] = {}
    """By name or pattern; without any there is one, of the treefile's name."""
