"""What a compose says of itself: productmd's files, checksums, SBOMs and provenance.

Facts of finished phases in, documents out. What does not belong here: making or checking what is described.
"""
