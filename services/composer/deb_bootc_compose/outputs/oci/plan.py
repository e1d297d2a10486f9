"""Which components share a layer.

A pure function of names and sizes, so that the same tree has the same layers on every machine, and stable: a
package that grows a little stays where it is, and a package that comes or goes moves no other.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deb_bootc_compose.outputs.oci.owners import SPECIAL, Component

_MIXED_SHARE = 0.4
"""Part of the layers that many small packages share."""


@dataclass(frozen=True, slots=True)
class PlannedLayer:
    """One layer: its components, in the order of their names."""

    name: str
    components: tuple[str, ...]


def plan(components: Mapping[str, Component], max_layers: int) -> list[PlannedLayer]:
    """At most `max_layers`, those that change least first, as registries and clients like it.

    The largest packages have a layer each, the rest is spread over a fixed number of layers by the hash of its
    names; what changes in each compose (`SPECIAL`) is by itself at the end.
    """
    special = [name for name in SPECIAL if name in components]
    names = [name for name in components if name not in SPECIAL]
    room = max(max_layers - len(special), 1)
    mixed = max(1, round(room * _MIXED_SHARE))
    by_size = sorted(names, key=lambda name: (-_size_class(components[name].size_bytes), name))
    alone, rest = by_size[: room - mixed], by_size[room - mixed :]
    layers = [PlannedLayer(f"package {name}", (name,)) for name in sorted(alone)]
    layers += _mix(rest, mixed)
    layers += [PlannedLayer(name, (name,)) for name in special]
    return layers


def _mix(names: Sequence[str], count: int) -> list[PlannedLayer]:
    buckets: dict[int, list[str]] = {}
    for name in sorted(names):
        buckets.setdefault(int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % count, []).append(name)
    return [PlannedLayer(f"packages {number + 1} of {count}", tuple(buckets[number])) for number in sorted(buckets)]


def _size_class(size_bytes: int) -> int:
    """Sizes in steps of a quarter: who is among the largest does not change with each upload."""
    step, bound = 0, 4096.0
    while bound < size_bytes:
        bound *= 1.25
        step += 1
    return step
