"""All checks, in the order in which they are told."""

from collections.abc import Iterator

from deb_mock.doctor import archive, filesystems, kernel, privileges, sandboxes, tools
from deb_mock.doctor.finding import Check, Finding, Status, Subject
from deborch_shared.errors import DeborchError

ALWAYS: tuple[Check, ...] = (
    kernel.kernel,
    privileges.privileges,
    privileges.user_namespaces,
    kernel.seccomp,
    kernel.control_groups,
    tools.programs,
    tools.debian_suites,
    tools.ubuntu_suites,
    kernel.foreign_architectures,
    kernel.kvm,
    archive.archive,
    filesystems.space_for_state,
    filesystems.space_for_cache,
)
WITH_PRIVILEGES: tuple[Check, ...] = (
    privileges.namespaces,
    filesystems.overlay,
    filesystems.mapped_ids,
    filesystems.memory,
    sandboxes.sandbox,
    sandboxes.backends,
)
"""These would only tell again that there is no root."""


def examine(subject: Subject) -> Iterator[Finding]:
    """What each check found."""
    for check in ALWAYS if subject.refusal else (*ALWAYS, *WITH_PRIVILEGES):
        yield _outcome(check, subject)


def _outcome(check: Check, subject: Subject) -> Finding:
    """A check that cannot be made tells so; the others go on."""
    try:
        return check(subject)
    except DeborchError as error:
        return Finding(_name(check), Status.PROBLEM, error.message, error.hint)
    except OSError as error:
        return Finding(_name(check), Status.PROBLEM, str(error), "mend what the message names")


def _name(check: Check) -> str:
    return check.__name__.replace("_", " ")
