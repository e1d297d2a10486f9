"""What was installed, and what a .buildinfo says was."""

import pytest
from debian.deb822 import Deb822

from deb_mock.installed import (
    ExactVersion,
    InstalledPackage,
    check_record,
    digest_of,
    installed_packages,
    recorded_packages,
)
from deborch_shared.errors import DeborchError, ErrorCode

QUERIED = "installed make 4.3-4.1 amd64\nconfig-files old 1 amd64\ninstalled base-files 12.4 amd64\n"


def buildinfo(depends):
    return Deb822(f"Format: 1.0\nInstalled-Build-Depends:\n {depends}\n")


def test_only_what_is_installed_counts_and_its_order_does_not():
    packages = installed_packages(QUERIED)
    assert packages == (InstalledPackage("base-files", "12.4", "amd64"), InstalledPackage("make", "4.3-4.1", "amd64"))
    backwards = "".join(reversed(QUERIED.splitlines(keepends=True)))
    assert digest_of(installed_packages(backwards)) == digest_of(packages)


def test_the_versions_of_a_buildinfo_are_read():
    found = recorded_packages(buildinfo("make (= 4.3-4.1),\n libc6:arm64 (= 2:2.36-9+deb12u1)"))
    assert found == (ExactVersion("make", "4.3-4.1"), ExactVersion("libc6", "2:2.36-9+deb12u1", "arm64"))
    assert [each.for_apt() for each in found] == ["make=4.3-4.1", "libc6:arm64=2:2.36-9+deb12u1"]


@pytest.mark.parametrize("relation", ["make", "make (>= 1)", "-o=Dpkg::x (= 1)", "make (= 1 2)", "Make (= 1)"])
def test_what_is_no_exact_version_is_refused(relation):
    with pytest.raises(DeborchError) as caught:
        recorded_packages(buildinfo(relation))
    assert caught.value.code is ErrorCode.INVALID_SOURCE


def test_a_buildinfo_that_names_what_was_not_there_is_refused():
    check_record(buildinfo("make (= 4.3-4.1)"), installed_packages(QUERIED))
    with pytest.raises(DeborchError) as caught:
        check_record(buildinfo("make (= 4.4),\n old (= 1)"), installed_packages(QUERIED))
    assert "make=4.4, old=1" in caught.value.message
    assert caught.value.fields["failure_class"] == "policy"
