import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from deborch_cli.output import Age, Duration, Identity, Sheet, Size, State, Table
from deborch_cli.output.cells import STATE_STYLES, harmless, plain, printable, rich
from deborch_cli.output.humanise import age, duration, size
from deborch_cli.output.tables import print_to
from deborch_shared.contract.states import BuildState, HostState, TaskState

NOON = datetime(2026, 11, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-1, "0.0 s"), (0.04, "0.0 s"), (3.21, "3.2 s"), (42.4, "42 s"), (59.7, "1 min"), (200, "3 min 20 s"),
        (3600, "1 h"), (7500, "2 h 5 min"), (90_000, "1 d 1 h"), (864_000, "10 d"),
    ],
)  # fmt: skip
def test_a_duration_is_said_in_two_units_at_most(seconds: float, said: str):
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("before_s", "said"),
    [
        (0, "just now"),
        (5, "5 s ago"),
        (119, "1 min ago"),
        (7200, "2 h ago"),
        (200_000, "2 d ago"),
        (-7300, "in 2 h"),
        (-2_591_990, "in 30 d"),
    ],
)
def test_an_age_is_said_in_one_unit(before_s: float, said: str):
    assert age(NOON - timedelta(seconds=before_s), NOON) == said


@pytest.mark.parametrize(
    ("size_bytes", "said"),
    [
        (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (10_189, "10 KiB"), (3_500_000, "3.3 MiB"),
        (1023 * 1024 + 900, "1.0 MiB"), (120 << 20, "120 MiB"), (5 << 40, "5.0 TiB"), (2000 << 50, "2000 PiB"),
    ],
)  # fmt: skip
def test_a_size_has_three_digits_or_so(size_bytes: int, said: str):
    assert size(size_bytes) == said


def test_a_pipe_gets_whole_numbers_and_iso_times_and_a_terminal_gets_short_ones():
    cells = (Size(3_500_000), Age(NOON), Duration(200.04), State("blocked", "archive"), None, "")
    assert [plain(cell) for cell in cells] == [
        "3500000", "2026-11-01T12:00:00+00:00", "200.0", "blocked (archive)", "-", "-",
    ]  # fmt: skip
    assert [rich(cell).plain for cell in cells[2:4]] == ["3 min 20 s", "blocked (archive)"]


def test_every_state_has_a_colour():
    for state in (*TaskState, *BuildState, *HostState):
        assert STATE_STYLES[state]


def test_foreign_text_in_a_cell_cannot_command_the_terminal_or_break_the_line():
    assert printable("a\x1b[2Jb\x1b]0;title\x07c\nd\te\x1b") == "abc d e"
    assert plain("evil\x1b[31m\r\nname") == "evil  name"
    assert rich(Identity("evil\x1b[31mname")).plain == "evilname"


def test_a_log_on_a_terminal_keeps_its_colours_and_lines_and_nothing_else_that_is_obeyed():
    assert harmless("\x1b[1;31mred\x1b[0m\n\ttab\r\x1b[2J\x1b]0;t\x1b\\\x07\x00end\x9b2J") == (
        "\x1b[1;31mred\x1b[0m\n\ttab\rend2J"
    )


def test_a_table_in_a_pipe_is_aligned_whole_and_has_every_column():
    table = Table(
        ("build", "last seen", "note"), [(Identity(7), Age(NOON), None), (Identity(123), Age(None), "x" * 300)], ""
    )
    assert table.plain().splitlines() == [
        "BUILD  LAST-SEEN                  NOTE",
        "7      2026-11-01T12:00:00+00:00  -",
        "123    -                          " + "x" * 300,
    ]


def test_a_table_on_a_terminal_leaves_out_columns_with_nothing_in_them():
    shown = on_terminal(Table(("build", "note"), [(Identity(7), None), (Identity(8), "")], ""))
    assert "build" in shown and "note" not in shown


def test_an_empty_table_says_what_to_do_on_a_terminal_and_nothing_in_a_pipe():
    table = Table(("build",), [], "no build yet")
    assert "no build yet" in on_terminal(table)
    assert table.plain() == ""


def test_a_sheet_leaves_out_what_is_not_known():
    sheet = Sheet("Host b1", (("load", "0.10"), ("tags", ""), ("seen", Age(None))), (Table(("a",), [], "", "Nothing"),))
    assert sheet.plain() == "Host b1\nload: 0.10"
    assert "tags" not in on_terminal(sheet) and "Nothing" not in on_terminal(sheet)


def on_terminal(shown: Table | Sheet) -> str:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    print_to(console, shown)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()
