"""The log can be taken apart by its headings, and by what the report says of it."""

from deb_mock.model import Stage
from deb_mock.stages import log_sections
from deb_mock.stages.steps import Steps


def test_headings_are_found_again_and_agree_with_what_was_recorded():
    log = bytearray()
    steps = Steps(log.extend, None)
    steps.head("tiny_1.0 (amd64)", "2026-01-01T00:00:00Z")
    with steps.stage(Stage.SOURCE):
        steps.say("hello")
    steps.section(log_sections.SUMMARY)
    steps.note([("Status", "successful"), ("Nothing", "")])
    found = log_sections.sections(bytes(log))
    assert [section.title for section in found] == ["Source package", "Summary"]
    for section, recorded in zip(found, steps.sections, strict=True):
        assert section.title == recorded.title
        assert recorded.offset_bytes <= section.offset_bytes <= recorded.offset_bytes + 1
    last = steps.sections[-1]
    assert bytes(log)[last.offset_bytes : last.offset_bytes + last.size_bytes].endswith(b"Status: successful\n")
    assert b"Nothing" not in log


def test_a_box_is_as_wide_as_a_terminal_whatever_it_says():
    for box in (log_sections.head("x" * 200, "date"), log_sections.heading("y" * 200)):
        assert {len(line) for line in box.decode().splitlines() if line} == {80}
