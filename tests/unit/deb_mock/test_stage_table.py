"""What the command line shows of stages and of the lines that matter."""

from io import StringIO

from rich.console import Console

from deb_mock.builds.report import stages_as_dicts
from deb_mock.cli.progress import COLUMNS, first_lines_text, stage_table
from deb_mock.model import Stage, StageTime
from deborch_shared.sandbox.usage import ResourceUse


def shown(what, width=200):
    console = Console(file=StringIO(), width=width)
    console.print(what)
    return console.file.getvalue()


def test_stages_are_shown_with_what_they_cost_and_nothing_that_is_not_known():
    use = ResourceUse(cpu_user_s=1.5, cpu_system_s=0.5, memory_peak_bytes=64 << 20)
    stages = stages_as_dicts([StageTime(Stage.BASE, 0.25, 0.0), StageTime(Stage.BUILD, 2.0, 2.0, use)])
    text = shown(stage_table(stages, failed="build"))
    assert all(word in text for word in ("memory", "peak", "MiB"))
    assert " 64.0" in text
    assert " 2.00" in text
    assert "read" not in text


def test_the_costs_of_a_large_build_fit_into_80_columns_with_nothing_cut_off():
    use = ResourceUse(
        memory_peak_bytes=12345 << 20, read_bytes=12345 << 20, written_bytes=23456 << 20,
        disk_bytes=34567 << 20, pids_peak=12345, oom_kills=3,
    )  # fmt: skip
    text = shown(stage_table(stages_as_dicts([StageTime(Stage.SOURCE, 12345.5, 9999.25, use)])), width=80)
    assert "…" not in text
    for cell in ("package", "12345.50", "9999.25", "12345.0", "23456.0", "34567.0", "12345", "3"):
        assert cell in text


def test_no_stage_is_broken_in_80_columns_when_the_costs_are_those_of_a_usual_build():
    use = ResourceUse(
        memory_peak_bytes=2345 << 20, read_bytes=345 << 20, written_bytes=3456 << 20, disk_bytes=567 << 20, pids_peak=99
    )
    text = shown(stage_table(stages_as_dicts([StageTime(Stage.SOURCE, 1345.5, 999.25, use)])), width=80)
    assert "checking the source package" in text


def test_every_column_is_a_field_of_the_report():
    assert set(COLUMNS) <= set(stages_as_dicts([StageTime(Stage.BUILD, 1.0, 1.0)])[0])


def test_markup_in_a_log_is_shown_as_it_is():
    assert "[bold]x[/bold]" in shown(first_lines_text([{"number": 7, "text": "[bold]x[/bold]"}]))
