"""The version of a commit."""

import re
from datetime import UTC, datetime


def next_version(asked: str | None, prefix: str | None, before: str | None, epoch: int) -> str:
    """`asked`; or `prefix` and the number after that of `before`, as rpm-ostree counts: 13.0, 13.1; or the date."""
    if asked is not None:
        return asked
    if prefix is None:
        prefix = datetime.fromtimestamp(epoch, UTC).strftime("%Y%m%d")
    counted = re.fullmatch(re.escape(prefix) + r"\.(\d+)", before or "")
    return f"{prefix}.{int(counted[1]) + 1 if counted else 0}"
