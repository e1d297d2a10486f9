"""What apt said, as apt 2.6 says it."""

from deb_mock.apt_output import downloads, explain, unmet_relations
from deb_mock.failures import FailureClass
from deborch_shared.errors import ErrorCode

UNMET = """\
Reading package lists...
Building dependency tree...
Some packages could not be installed. This may mean that you have
requested an impossible situation or if you are using the unstable
distribution that some required packages have not yet been created
or been moved out of Incoming.
The following information may help to resolve the situation:

The following packages have unmet dependencies:
 builddeps:/build/x_1.dsc : Depends: no-such-package but it is not installable
                            Depends: debhelper (>= 9999) but 13.11.4 is to be installed
                            Depends: libfoo-dev but it is not going to be installed
                            Depends: mail-reader but it is a virtual package
                            Conflicts: make
E: Unable to correct problems, you have held broken packages.
"""


def test_every_unmet_relation_is_listed_once_in_order():
    assert unmet_relations(UNMET + UNMET) == (
        "no-such-package",
        "debhelper (>= 9999)",
        "libfoo-dev",
        "mail-reader",
        "!make",
    )


def test_unmet_relations_are_a_dep_wait_with_the_list():
    error = explain(UNMET, doing="resolving", otherwise=FailureClass.CHROOT)
    assert error.code is ErrorCode.DEPENDENCY_WAIT
    assert error.fields["missing"][0] == "no-such-package"


def test_an_unreachable_archive_is_a_fetch_fault():
    said = "E: Failed to fetch http://mirror.example.org/x.deb  Could not connect to mirror.example.org:80"
    assert explain(said, doing="x", otherwise=FailureClass.CHROOT).fields["failure_class"] == "fetch-fault"


def test_anything_else_is_what_the_caller_says():
    said = "dpkg: error processing package broken (--configure): postinst returned 3"
    assert explain(said, doing="x", otherwise=FailureClass.INSTALL).fields["failure_class"] == "install"


def test_downloads_are_sorted_and_free_of_addresses():
    printed = """\
Reading package lists...
'http://mirror.example.org/debian/pool/main/b/b_2_amd64.deb' b_2_amd64.deb 20 SHA256:bb
'http://mirror.example.org/debian/pool/main/a/a_1%3a1_amd64.deb' a_1%3a1_amd64.deb 10 SHA256:aa
"""
    assert downloads(printed) == (("a_1%3a1_amd64.deb", "10", "SHA256:aa"), ("b_2_amd64.deb", "20", "SHA256:bb"))
    assert downloads("Reading package lists...\n") == ()
