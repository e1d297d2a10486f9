import io
import logging
import sys

import orjson
import pytest

from deborch_shared.telemetry.logs import JsonFormatter, configure_logging, without_secrets

SECRETS = {
    "a password in a URL": ("amqp://deborch:hunter2@host/", "hunter2"),
    "a password with unusual characters": ("postgresql://u:p%40ss/w?rd@h/d", "p%40ss"),
    "a bearer token": ("Authorization: Bearer eyJhbGciOi.J9.abc-_def", "eyJhbGciOi"),
    "a bearer token in lower case": ("authorization: bearer eyJhbGciOi.J9.abc-_def", "eyJhbGciOi"),
    "an API key": ("deborch_key_0123456789abcdef_Zm9v-YmFy_x", "Zm9v"),
    "an enrolment token": ("got deborch_enrol_0123456789abcdef_Zm9v", "Zm9v"),
}


@pytest.fixture
def log():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter("trial"))
    logger = logging.getLogger("trial")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    yield logger, lambda: [orjson.loads(line) for line in stream.getvalue().splitlines()]
    logger.removeHandler(handler)


@pytest.mark.parametrize("what", SECRETS)
def test_secrets_never_reach_a_log_line(log, what):
    logger, lines = log
    text, secret = SECRETS[what]
    error = ValueError(text)
    logger.error("failed with %s", text, exc_info=error, extra={"detail": {"nested": [text]}})
    assert secret not in orjson.dumps(lines()).decode()
    assert secret not in without_secrets(text)


def test_what_is_no_secret_stays_readable():
    text = "host b1 at http://127.0.0.1:8080/x has key deborch_key_0123456789abcdef, mail a@b"
    assert without_secrets(text) == text


def test_a_line_is_one_json_object_with_its_extra_fields(log):
    logger, lines = log
    logger.warning("two\nlines %s", "x", extra={"task_id": 7})
    (line,) = lines()
    assert line["message"] == "two\nlines x"
    assert (line["task_id"], line["level"], line["service"], line["logger"]) == (7, "WARNING", "trial", "trial")
    assert line["at"].endswith("+00:00")


@pytest.mark.parametrize("odd", [{1: 2}, object(), b"\xff", "\ud800", 2**70, {"a": {1, 2}}], ids=type)
def test_an_extra_field_of_any_kind_does_not_lose_the_line(log, odd):
    logger, lines = log
    logger.info("kept", extra={"odd": odd})
    assert lines()[0]["message"] == "kept"


def test_lines_go_to_stderr_and_noisy_libraries_are_quiet(monkeypatch):
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    try:
        configure_logging("trial", "info")
        logging.getLogger("aio_pika").info("chatter")
        logging.getLogger("x").info("said")
    finally:
        root.handlers[:], root.level = before, level
    assert [orjson.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["said"]
