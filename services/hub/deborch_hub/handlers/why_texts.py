"""The words of `why`: amounts, lists that stay short, and what a host is short of."""

from collections.abc import Iterable

from deborch_hub.domain.matching import Demand, HostSlot

_SHOWN = 5
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


class Shortage:
    """What a host has too little of for a demand."""

    @staticmethod
    def total(slot: HostSlot, demand: Demand) -> str:
        """Against all that the host has."""
        return _short("has", slot.cpu, slot.memory_bytes, slot.disk_bytes, demand)

    @staticmethod
    def free(slot: HostSlot, demand: Demand) -> str:
        """Against what is not taken."""
        return _short(
            "has free",
            slot.cpu - slot.used_cpu,
            slot.memory_bytes - slot.used_memory_bytes,
            slot.disk_bytes - slot.used_disk_bytes,
            demand,
        )


def _short(has: str, cpu: int, memory_bytes: int, disk_bytes: int, demand: Demand) -> str:
    parts = []
    if demand.cpu > cpu:
        parts.append(f"{has} {max(cpu, 0)} cpu of the {demand.cpu} needed")
    for name, there, needed in (
        ("memory", memory_bytes, demand.memory_bytes),
        ("disk", disk_bytes, demand.disk_bytes),
    ):
        if needed > there:
            parts.append(f"{has} {bytes_text(max(there, 0))} {name} of the {bytes_text(needed)} needed")
    return ", ".join(parts)


def bytes_text(size_bytes: int) -> str:
    """Such as `1.5 GiB`."""
    size, steps = float(size_bytes), 0
    while size >= 1024 and steps < len(_UNITS) - 1:
        size, steps = size / 1024, steps + 1
    return f"{size:.0f} {_UNITS[steps]}" if size == int(size) else f"{size:.1f} {_UNITS[steps]}"


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def some_of(things: Iterable[object]) -> str:
    """The first few, and how many more there are."""
    shown = [str(thing) for thing in things]
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(shown[:_SHOWN]) + more
