"""What apt 2.6 and mmdebstrap say of archives that cannot be read, and what is made of it."""

import pytest

from deb_mock.archives.apt_output import archive_failure, ending, explain
from deb_mock.failures import FailureClass
from deborch_shared.errors import ErrorCode

UNSIGNED = """\
E: The repository 'http://mirror.example.org/debian bookworm Release' is not signed.
"""
UNKNOWN_KEY = """\
W: GPG error: http://mirror.example.org bookworm InRelease: The following signatures couldn't be verified because \
the public key is not available: NO_PUBKEY 0E98404D386FA1D9
E: The repository 'http://mirror.example.org bookworm InRelease' is not signed.
"""
NO_SUITE = """\
Err:1 http://mirror.example.org/debian none Release
  404  Not Found [IP: 192.0.2.1 80]
E: The repository 'http://mirror.example.org/debian none Release' does not have a Release file.
"""
EXPIRED = """\
E: Release file for http://mirror.example.org/debian/dists/bookworm/InRelease is expired (invalid since 3d 2h). \
Updates for this repository will not be applied.
"""
FUTURE = """\
E: Release file for http://mirror.example.org/debian/dists/bookworm/InRelease is not valid yet (invalid for another 3h \
1min 0s). Updates for this repository will not be applied.
"""
HALF_UPDATED = """\
E: Failed to fetch http://mirror.example.org/dists/bookworm-security/main/binary-i386/Packages.xz  File has unexpected \
size (346968 != 368052). Mirror sync in progress? [IP: 192.0.2.1 80]
   Hashes of expected file:
    - Filesize:368052 [weak]
E: Some index files failed to download. They have been ignored, or old ones used instead.
"""
NO_NAME = """\
W: Failed to fetch http://none.example.org/dists/bookworm/InRelease  Temporary failure resolving 'none.example.org'
"""
FULL = """\
E: Failed to fetch http://mirror.example.org/pool/x.deb  Error writing to file - write (28: No space left on device)
"""


@pytest.mark.parametrize(
    ("output", "what", "hint"),
    [
        (UNSIGNED, "not signed by a key that is trusted", "Signed-By"),
        (UNKNOWN_KEY, "not signed by a key that is trusted", "Signed-By"),
        (NO_SUITE, "has no such suite", "--suite"),
        (EXPIRED, "has expired", "clock"),
        (FUTURE, "of the future", "clock"),
        (HALF_UPDATED, "half updated", "try again"),
        (NO_NAME, "cannot be reached", "network"),
    ],
)
def test_each_fault_of_an_archive_is_a_fetch_fault_with_a_hint_that_fits(output, what, hint):
    error = explain(output, doing="reading package lists", otherwise=FailureClass.CHROOT)
    assert (error.code, error.fields["failure_class"]) == (ErrorCode.FETCH_FAILED, "fetch-fault")
    assert what in error.message
    assert hint in error.hint


def test_a_suite_that_the_archive_lacks_is_told_in_one_line():
    error = archive_failure(f"{'noise ' * 200}\n{NO_SUITE}", doing="making the base of none")
    assert error is not None
    assert error.message.endswith("component or file: http://mirror.example.org/debian has no none")


def test_what_is_shown_of_long_output_begins_with_a_whole_word():
    lines = "".join(f"E: line{number} of the archive\n" for number in range(100))
    assert ending(lines).startswith("E: line")
    assert ending("word " * 500).startswith("word ")
    assert len(ending("x" * 2000)) == 800


def test_a_full_disk_is_no_fault_of_the_archive():
    error = explain(FULL, doing="downloading", otherwise=FailureClass.INSTALL)
    assert (error.code, error.fields["failure_class"]) == (ErrorCode.DISK_FULL, "chroot-fault")
    assert "free space" in error.hint


def test_what_is_about_no_archive_is_none_of_them():
    assert archive_failure("dpkg: error processing package x (--configure)", doing="x") is None
