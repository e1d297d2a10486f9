"""What apt says of archives that it could not read, told of the one that it is about."""

from deb_bootc_compose.archives.archive import Archive
from deb_bootc_compose.archives.faults import unreadable

SAID = """\
Hit:2 http://deb.example.org/debian trixie InRelease
Get:1 file:/srv/own ./ InRelease [1 kB]
Err:1 file:/srv/own ./ InRelease
  The following signatures couldn't be verified because the public key is not available: NO_PUBKEY 4572962EC155DB58
W: GPG error: file:/srv/own ./ InRelease: The following signatures couldn't be verified
E: The repository 'file:/srv/own ./ InRelease' is not signed.
"""


def test_an_archive_with_a_wrong_key_is_named_and_those_that_were_read_are_not():
    suite = Archive("suite", "http://deb.example.org/debian", ("trixie",), ("main",), (), check_valid_until=True)
    own = Archive("own", "file:///srv/own", ("./",), (), (), check_valid_until=True)
    error = unreadable(SAID, [suite, own])
    assert error.fields["archives"] == ["own"]
    assert error.message.startswith("own: ")
    assert error.fields["failure_class"] == "signature"
