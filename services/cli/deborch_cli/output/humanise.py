"""Durations, ages and sizes for people."""

from datetime import UTC, datetime

_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB")
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400


def duration(seconds: float) -> str:
    """`0.4 s`, `42 s`, `3 min 20 s`, `2 h 5 min`, `4 d 1 h`: never more than two units."""
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < _MINUTE_S:
        return f"{whole} s"
    for unit_s, unit, part_s, part in (
        (_DAY_S, "d", _HOUR_S, "h"),
        (_HOUR_S, "h", _MINUTE_S, "min"),
        (_MINUTE_S, "min", 1, "s"),
    ):
        if whole >= unit_s:
            rest = whole % unit_s // part_s
            return f"{whole // unit_s} {unit} {rest} {part}" if rest else f"{whole // unit_s} {unit}"
    raise AssertionError("a minute is the smallest of the units")


def age(then: datetime, now: datetime | None = None) -> str:
    """`just now`, `5 min ago`, `in 3 h`: one unit, since more would not be read."""
    seconds = ((now or datetime.now(UTC)) - then).total_seconds()
    # What was asked to last 30 days has seconds less when it is shown, and is still to be called 30 days.
    distance = abs(seconds) if seconds > 0 else abs(seconds) * 1.01
    if distance < 2:
        return "just now"
    for unit_s, unit in ((_DAY_S, "d"), (_HOUR_S, "h"), (_MINUTE_S, "min"), (1, "s")):
        if distance >= unit_s:
            amount = f"{int(distance // unit_s)} {unit}"
            break
    return f"{amount} ago" if seconds > 0 else f"in {amount}"


def size(size_bytes: int) -> str:
    """`812 B`, `3.4 KiB`, `120 MiB`: three digits at most."""
    if size_bytes < 1024:
        return f"{size_bytes} B"
    amount = float(size_bytes)
    for unit in _UNITS:
        amount /= 1024
        if amount < 1023.5 or unit == _UNITS[-1]:
            break
    return f"{amount:.1f} {unit}" if amount < 9.95 else f"{amount:.0f} {unit}"
