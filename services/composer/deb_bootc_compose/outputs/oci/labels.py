"""Labels of an image that is booted with bootc."""

from deb_bootc_compose.phases.facts import OstreeFacts
from deb_bootc_compose.treefile.resolved import ResolvedTreefile


def image_labels(treefile: ResolvedTreefile, ostree: OstreeFacts) -> dict[str, str]:
    """What bootc, rpm-ostree and registries look for; nothing that differs between two composes of the same tree."""
    labels = {
        "org.opencontainers.image.title": f"{treefile.name}-{treefile.variant}",
        "org.opencontainers.image.version": ostree.version,
        "ostree.commit": ostree.commit,
        "ostree.ref": ostree.ref,
    }
    if ostree.kernel_version is not None:
        labels |= {"containers.bootc": "1", "ostree.bootable": "true", "ostree.linux": ostree.kernel_version}
    return labels
