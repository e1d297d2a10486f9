import json

import pytest

from deborch_cli.exit_codes import EXIT_CODES, MEANINGS, ExitCode
from deborch_cli.failures import from_bug, from_system, report
from deborch_shared.errors import ERRORS, DeborchError, ErrorCode


def test_every_error_has_an_exit_code_and_every_exit_code_a_meaning():
    assert set(EXIT_CODES) == set(ErrorCode)
    assert set(MEANINGS) == set(ExitCode)


def test_no_error_counts_as_success():
    assert ExitCode.OK not in EXIT_CODES.values()


def test_the_exit_code_fits_the_http_status():
    for code, spec in ERRORS.items():
        if spec.status in {401, 403}:
            assert EXIT_CODES[code] is ExitCode.DENIED
        if spec.status == 404:
            assert EXIT_CODES[code] is ExitCode.NOT_FOUND
        if spec.status == 503:
            assert EXIT_CODES[code] is ExitCode.UNAVAILABLE


def test_an_error_is_told_with_its_hint(capsys: pytest.CaptureFixture[str]):
    code = report(DeborchError(ErrorCode.NOT_FOUND, "there is no build 7", hint="list them"), as_json=False)
    assert code is ExitCode.NOT_FOUND
    assert capsys.readouterr().err == "error: there is no build 7\nhint: list them\n"


def test_an_error_message_is_not_read_as_markup(capsys: pytest.CaptureFixture[str]):
    report(DeborchError(ErrorCode.NOT_FOUND, "no [bold]x[/] \x1b[2J", hint="[red]"), as_json=False)
    assert capsys.readouterr().err == "error: no [bold]x[/] \nhint: [red]\n"


def test_as_json_an_error_is_one_problem_on_stderr(capsys: pytest.CaptureFixture[str]):
    report(DeborchError(ErrorCode.INVALID_SOURCE, "a file is missing", hint="fetch it", missing=["a"]), as_json=True)
    problem = json.loads(capsys.readouterr().err)
    assert problem["code"] == "invalid-source"
    assert (problem["detail"], problem["hint"], problem["missing"]) == ("a file is missing", "fetch it", ["a"])


def test_a_bug_is_one_line_that_says_how_to_get_the_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("DEBORCH_DEBUG", raising=False)
    error = from_bug(ZeroDivisionError("division by zero"))
    assert "ZeroDivisionError" in error.message and "DEBORCH_DEBUG=1" in error.hint
    assert "Traceback" not in capsys.readouterr().err
    monkeypatch.setenv("DEBORCH_DEBUG", "1")
    from_bug(ZeroDivisionError("division by zero"))
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_what_the_system_refuses_is_told_with_the_file():
    assert from_system(PermissionError(13, "Permission denied", "/x")).message == "/x: Permission denied"
    assert from_system(OSError(28, "No space left on device", "/x")).code is ErrorCode.DISK_FULL
