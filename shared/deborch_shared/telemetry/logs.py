"""Logs as one JSON object a line, with the trace they belong to. Secrets are taken out before a line is written."""

import json
import logging
import re
import sys
from datetime import UTC, datetime

import orjson
from opentelemetry import trace

_STANDARD = set(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_SECRETS = re.compile(
    r"(?P<keep>://[^:/@\s]+:)[^@\s]+(?=@)"  # the password of a URL
    r"|(?P<bearer>\b(?i:bearer) )[A-Za-z0-9._~+/=-]+"
    r"|(?P<key>deborch_[a-z]+_[0-9a-f]+_)[A-Za-z0-9_-]+"
)


def without_secrets(text: str) -> str:
    """`text` with passwords in URLs, bearer tokens and API keys replaced by asterisks."""
    return _SECRETS.sub(lambda m: (m["keep"] or m["bearer"] or m["key"] or "") + "***", text)


class JsonFormatter(logging.Formatter):
    """One line of JSON: at, level, logger, message, service, trace_id, and each `extra` field."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            line["trace_id"] = f"{context.trace_id:032x}"
            line["span_id"] = f"{context.span_id:016x}"
        line |= {key: value for key, value in record.__dict__.items() if key not in _STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return without_secrets(_json(line))


def _json(line: dict[str, object]) -> str:
    """One line of JSON whatever is in it: a log line is never lost to an odd value such as an undecodable file name."""
    try:
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError:
        text = json.dumps(line, default=str, skipkeys=True, ensure_ascii=False)
        return text.encode("utf-8", "replace").decode()


def configure_logging(service: str, level: str = "INFO") -> None:
    """Send the root logger's lines to stderr as JSON; called once, in `__main__`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(service))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("aio_pika", "aiormq", "aiohttp.access"):
        logging.getLogger(noisy).setLevel(max(root.level, logging.WARNING))
