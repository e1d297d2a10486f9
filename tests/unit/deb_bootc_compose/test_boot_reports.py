"""What a guest says of itself, and what is wrong with it."""

import pytest

from deb_bootc_compose.boot.report import Expected, parse_report, problems, what_held

COMMIT, OTHER = "a" * 64, "b" * 64
GOOD = f"""\
begin boot
cmdline BOOT_IMAGE=/vmlinuz root=UUID=1 rw ostree=/ostree/boot.1/debian/x/0
status * debian {COMMIT}.0
status Version: 13.1
status debian {OTHER}.0 (rollback)
usr read-only
etc writable
var writable
packages 169
end boot
"""
EXPECTED = Expected(COMMIT, 169)


def wrong(text, expected=EXPECTED):
    return list(problems(parse_report(text.encode()).get("boot"), expected))


def test_a_disk_that_is_as_it_should_be_has_no_problems():
    assert wrong(GOOD) == []
    report = parse_report(GOOD.encode())["boot"]
    assert report.others == [OTHER]
    assert f"boot: booted {COMMIT}" in what_held(report, EXPECTED)


@pytest.mark.parametrize(
    ("right", "bad", "told"),
    [
        (" ostree=/ostree/boot.1/debian/x/0", "", "started without ostree="),
        (f"* debian {COMMIT}.0", f"debian {COMMIT}.0", "stars nothing"),
        (f"* debian {COMMIT}.0", f"* debian {OTHER}.0", f"stars {OTHER} instead of {COMMIT}"),
        ("usr read-only", "usr writable", "/usr is writable instead of read-only"),
        ("etc writable", "etc read-only", "/etc is read-only"),
        ("var writable\n", "", "/var is not there"),
        ("packages 169", "packages 168", "168 packages installed instead of 169"),
        ("packages 169", "packages 169\nfailed ssh.service", "units failed: ssh.service"),
        ("packages 169", "packages 169\nbroken ostree admin upgrade: no remote", "ostree admin upgrade: no remote"),
        ("end boot\n", "", "ended within its report"),
    ],
)
def test_everything_that_is_not_as_it_should_be_is_told(right, bad, told):
    text = GOOD.replace(right, bad)
    assert text != GOOD
    (problem,) = wrong(text)
    assert told in problem


def test_a_machine_that_said_nothing_is_told():
    assert wrong("") == ["the machine ended before it reported"]


def test_several_starts_are_told_apart():
    again = GOOD.replace("begin boot", "begin upgraded").replace("end boot", "end upgraded")
    assert list(parse_report((GOOD + again).encode())) == ["boot", "upgraded"]


def test_nonsense_of_a_broken_guest_is_passed_over():
    assert parse_report(b"\xff\xfe\x00 packages many\nbegin boot\npackages many\n")["boot"].packages is None
