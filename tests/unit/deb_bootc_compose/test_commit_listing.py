"""What `ostree ls` says, read."""

import pytest

from deb_bootc_compose.commits.listing import FileKind, parse_listing
from deborch_shared.errors import DeborchError

A, B = "a" * 64, "b" * 64


def test_files_directories_and_links_are_read_with_everything_that_a_comparison_needs():
    listing = (
        f"d00755 0 0      0 {A} {B} /\n"
        f"-04755 0 42  59704 {B} /usr/bin/su with spaces\n"
        f"l00777 0 0      0 {A} /bin -> usr/bin\n"
    ).encode()
    root, program, link = parse_listing(listing)
    assert (root.path, root.kind, root.object_name) == ("/", FileKind.DIRECTORY, f"aa/{A[2:]}.dirtree")
    assert (program.path, program.mode, program.gid, program.size_bytes) == (
        "/usr/bin/su with spaces",
        0o4755,
        42,
        59704,
    )
    assert program.object_name == f"bb/{B[2:]}.file"
    assert (link.path, link.kind, link.target) == ("/bin", FileKind.LINK, "usr/bin")


def test_a_line_that_is_not_understood_is_an_error_and_not_a_missing_file():
    with pytest.raises(DeborchError, match="not understood"):
        list(parse_listing(b"rest of a file name\n"))
