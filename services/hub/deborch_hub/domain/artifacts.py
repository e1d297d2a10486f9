"""What a result file is, by its name."""

_KINDS = (
    (".deb", "deb"),
    (".udeb", "udeb"),
    (".ddeb", "ddeb"),
    (".changes", "changes"),
    (".buildinfo", "buildinfo"),
    (".dsc", "dsc"),
    (".log", "log"),
    (".build", "log"),
)
PACKAGE_KINDS = frozenset({"deb", "udeb", "ddeb"})


def kind_of(name: str) -> str:
    """The artifact kind of a file name; what is nothing else is part of a source package."""
    return next((kind for suffix, kind in _KINDS if name.endswith(suffix)), "source")
