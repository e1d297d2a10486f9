"""The console of a guest: passed on, its end kept, and ended where nothing good can follow."""

import re
from collections.abc import Callable

from deborch_shared.errors import bounded

_LINES_SHOWN = 15
_KEPT_BYTES = 64 << 10
_SEQUENCES = re.compile(rb"\x1b\[[0-9;?=]*[ -/]*[@-~]|\x1b[()][A-B0-2]|\x1bc|[\x00-\x08\x0b\x0c\x0e-\x1f]")
_KVM_GAVE_UP = b"KVM internal error"
_HOPELESS = (
    (_KVM_GAVE_UP, "KVM cannot run it on this host"),
    (b"Kernel panic", "the kernel panicked"),
    (b"You are in emergency mode", "the system came up in emergency mode"),
    (b"Entering emergency mode", "the initramfs came up in emergency mode"),
    (b"Failed to boot both default and fallback", "GRUB could not start what its menu says"),
    (b"grub rescue>", "GRUB did not find the root file system"),
    (b"No bootable device", "the firmware found nothing to start"),
    (b"BdsDxe: No bootable option", "the firmware found nothing to start"),
)


_STARVED = b"8254 timer not connected to IO-APIC"
"""Linux counts ticks of the emulated timer while a host with too much to do does not run the emulator."""


class Hopeless(Exception):  # noqa: N818 - ends the machine, and is never seen outside of `session`
    """The console shows that the guest will not come up."""


class Console:
    """Takes what the guest writes to its first serial line."""

    def __init__(self, on_output: Callable[[bytes], None]) -> None:
        self._on_output = on_output
        self._end = b""
        self.hopeless: str | None = None

    def take(self, chunk: bytes) -> None:
        """Raises Hopeless."""
        self._on_output(chunk)
        seen = self._end[-64:] + chunk
        self._end = (self._end + chunk)[-_KEPT_BYTES:]
        for sign, meaning in _HOPELESS:
            if sign in seen:
                self.hopeless = meaning
                raise Hopeless(meaning)

    @property
    def needs_tcg(self) -> bool:
        """Whether KVM gave up, where it is a pretence on a host that is virtual itself."""
        return self.hopeless is not None and _KVM_GAVE_UP in self._end

    @property
    def is_starved(self) -> bool:
        """Whether the guest gave up because the host had no time for it: the next start may go well."""
        return self.hopeless is not None and _STARVED in self._end

    def last_lines(self) -> str:
        """For people: no colours, no empty lines."""
        plain = _SEQUENCES.sub(b"", self._end).decode("utf-8", "replace")
        lines = [line.strip() for line in re.split(r"[\r\n]+", plain) if line.strip()]
        return bounded("\n".join(lines[-_LINES_SHOWN:]))
