"""What is slipped into a guest for a test: a unit and a script as system credentials, so that the disk stays as it is.

systemd 256 and later take units from credentials (systemd-debug-generator(8)).
"""

import base64
import hashlib
from importlib import resources

_UNIT = "deborch-boot-test.service"
_SCRIPT = "deborch.boot-test"
_SERVICE = """\
[Unit]
Description=Boot test of a compose
After=multi-user.target

[Service]
Type=oneshot
LoadCredential={script}
StandardOutput=file:/dev/ttyS1
StandardError=journal+console
ExecStart=/bin/sh ${{CREDENTIALS_DIRECTORY}}/{script} {then}
"""
_WANTED = f"[Unit]\nWants={_UNIT}\n"
_SOURCE = resources.files(__package__).joinpath("guest.sh").read_bytes()
SCRIPT_DIGEST = hashlib.sha256(_SOURCE + _SERVICE.encode()).hexdigest()
"""Of all that decides what a test does in the guest."""


def credentials_of_test(*, then: str) -> dict[str, bytes]:
    """For a guest that reports, and then does what `then` says to guest.sh: `off` or `upgrade`."""
    service = _SERVICE.format(script=_SCRIPT, then=then)
    return {
        f"systemd.extra-unit.{_UNIT}": base64.b64encode(service.encode()),
        "systemd.unit-dropin.multi-user.target": base64.b64encode(_WANTED.encode()),
        _SCRIPT: base64.b64encode(_SOURCE),
    }
