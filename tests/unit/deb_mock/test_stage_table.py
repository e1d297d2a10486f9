"""What the command line shows of stages and of the lines that matter."""

from io import StringIO

from rich.console import Console

from deb_mock.builds.report import stages_as_dicts
from deb_mock.cli.progress import COLUMNS, first_lines_text, stage_table
from deb_mock.model import Stage, StageTime
from deborch_shared.sandbox.usage import ResourceUse


def shown(what):
    console = Console(file=StringIO(), width=200)
    console.print(what)
    return console.file.getvalue()


def test_stages_are_shown_with_what_they_cost_and_nothing_that_is_not_known():
    use = ResourceUse(cpu_user_s=1.5, cpu_system_s=0.5, memory_peak_bytes=64 << 20)
    stages = stages_as_dicts([StageTime(Stage.BASE, 0.25, 0.0), StageTime(Stage.BUILD, 2.0, 2.0, use)])
    text = shown(stage_table(stages, failed="build"))
    assert "memory peak" in text
    assert "64.0 MiB" in text
    assert "2.00 s" in text
    assert "read" not in text


def test_every_column_is_a_field_of_the_report():
    assert set(COLUMNS) <= set(stages_as_dicts([StageTime(Stage.BUILD, 1.0, 1.0)])[0])


def test_markup_in_a_log_is_shown_as_it_is():
    assert "[bold]x[/bold]" in shown(first_lines_text([{"number": 7, "text": "[bold]x[/bold]"}]))
