"""An OCI layout as one file, as podman, skopeo and bootc take it (`oci-archive:`), the same bytes each time."""

import tarfile
from pathlib import Path


def write_archive(layout: Path, path: Path) -> None:
    """Write the files of `layout` to the tar `path`. Blocks: call it in a thread."""
    with tarfile.open(path, "x", format=tarfile.USTAR_FORMAT) as archive:
        for file in sorted(layout.rglob("*")):
            info = tarfile.TarInfo(str(file.relative_to(layout)))
            if file.is_dir():
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(info)
                continue
            info.mode, info.size = 0o644, file.stat().st_size
            with file.open("rb") as content:
                archive.addfile(info, content)
