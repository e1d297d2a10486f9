"""One request can be followed through HTTP, PostgreSQL and AMQP."""

import asyncio
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.integration.hub.harness import ADMIN, StartBuilder, StartReplica
from tests.integration.hub.test_task_life import leading

from deborch_shared.contract.builds import TaskCreate
from deborch_shared.telemetry import request_span

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE_ID = 0x0AF7651916CD43DD8448EB211C80319C


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield exporter
    provider.shutdown()


async def test_a_request_leads_to_its_sql_its_assignment_and_the_report_of_its_end(
    spans: InMemorySpanExporter, start_replica: StartReplica, start_builder: StartBuilder
) -> None:
    replica = await leading(start_replica)
    with request_span("POST /api/v1/tasks", PARENT):
        task = await replica.hub.create_task(TaskCreate(cpu=1), ADMIN, None)
    builder = await start_builder(replica)
    order = await builder.orders.get()
    await builder.finish(order.data)  # type: ignore[arg-type]
    await replica.until(task.id, "completed")
    await asyncio.sleep(0.1)
    finished = spans.get_finished_spans()
    assert [span.name for span in finished if span.context.trace_id == TRACE_ID][-1] == "POST /api/v1/tasks"
    submission = next(span for span in finished if span.name == "hub.submit")
    assert [link.context.trace_id for link in submission.links] == [TRACE_ID]
    assignment = next(span for span in finished if span.name == "scheduler.assign")
    assert [link.context.trace_id for link in assignment.links] == [TRACE_ID]
    assert order.traceparent.split("-")[1] == f"{assignment.context.trace_id:032x}"
    inside = {span.name for span in finished if span.context.trace_id == assignment.context.trace_id}
    assert "postgresql assign_tasks" in inside
    reports = [span for span in finished if span.name == "hub.reports process"]
    assert reports
    sql = {span.name for span in finished if span.context.trace_id == reports[-1].context.trace_id}
    assert "postgresql complete_noops" in sql
