"""The APT archives on disk: indices from the database, signed, switched to at once, and kept as snapshots.

What an archive holds is decided elsewhere and recorded in the database; everything here can be made again from
there and from the blobs. No HTTP belongs here: the API serves these files.
"""

from deborch_hub.archives.debfile import read_binary
from deborch_hub.archives.policy import ArchivePolicy
from deborch_hub.archives.publisher import Publisher
from deborch_hub.archives.release import sources_text
from deborch_hub.archives.signing import GpgSigner, Signatures, Signer

__all__ = [
    "ArchivePolicy",
    "GpgSigner",
    "Publisher",
    "Signatures",
    "Signer",
    "read_binary",
    "sources_text",
]
