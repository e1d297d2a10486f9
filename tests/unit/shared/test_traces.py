import logging
import subprocess
import sys

import orjson
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.util._once import Once

from deborch_shared.telemetry import batch_span, configure_tracing, current_traceparent
from deborch_shared.telemetry.logs import JsonFormatter

PARENTS = [f"00-{number:032x}-{number:016x}-01" for number in range(1, 100)]


@pytest.fixture
def spans(monkeypatch):
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", Once())
    exporter = InMemorySpanExporter()
    configure_tracing("trial", None, exporter=exporter)
    provider = trace.get_tracer_provider()

    def finished():
        provider.force_flush()
        return exporter.get_finished_spans()

    yield finished
    provider.shutdown()


def test_without_an_exporter_nothing_is_traced():
    configure_tracing("trial", None)
    with batch_span("batch", PARENTS):
        assert current_traceparent() == ""


def test_who_exports_nothing_does_not_pay_for_an_exporter_at_its_start():
    program = "import deborch_shared.telemetry, sys; print(*(name for name in sys.modules if '.sdk' in name))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "\n"


def test_a_batch_is_one_span_linked_to_each_distinct_span_that_it_came_from(spans):
    with batch_span("batch", [*PARENTS[:3], PARENTS[0], "", "nonsense", "00-zz-1-01", f"00-{0:032x}-{0:016x}-01"]):
        pass
    (span,) = spans()
    assert [link.context.trace_id for link in span.links] == [1, 2, 3]


def test_links_are_bounded(spans):
    with batch_span("batch", PARENTS):
        pass
    assert len(spans()[0].links) == 64


def test_the_current_span_travels_as_a_traceparent_and_shows_in_the_log(spans):
    with batch_span("batch") as span:
        sent = current_traceparent()
        line = orjson.loads(JsonFormatter("trial").format(logging.makeLogRecord({"msg": "x"})))
    assert sent.split("-")[1] == f"{span.get_span_context().trace_id:032x}" == line["trace_id"]
