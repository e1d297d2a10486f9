"""Traces across HTTP, PostgreSQL and AMQP. A batch is one span that links to the spans it came from.

A span costs about 24 microseconds, so nothing is traced until an exporter is configured, and never per event.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

_MAX_LINKS = 64
_propagator = TraceContextTextMapPropagator()


def configure_tracing(service: str, otlp_endpoint: str | None, *, exporter: "SpanExporter | None" = None) -> None:
    """Export spans to `otlp_endpoint`; with neither endpoint nor exporter, tracing stays off and costs nothing."""
    if exporter is None and not otlp_endpoint:
        return
    from deborch_shared.telemetry import exporting  # noqa: PLC0415 - only who exports pays for what it imports

    exporting.export(service, exporter or exporting.to_collector(otlp_endpoint or ""))


def current_traceparent() -> str:
    """The W3C `traceparent` of the current span; empty if there is none."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent", "")


@contextmanager
def request_span(name: str, traceparent: str = "") -> Iterator[Span]:
    """A server span for one request: a child of the caller's span, or the root of a new trace."""
    context = _propagator.extract({"traceparent": traceparent}) if traceparent else None
    tracer = trace.get_tracer("deborch")
    with tracer.start_as_current_span(name, context=context, kind=SpanKind.SERVER) as span:
        yield span


@contextmanager
def step_span(name: str, *, kind: SpanKind = SpanKind.CLIENT) -> Iterator[None]:
    """A span for one step of what is being traced; nothing where nothing is, so that polls start no traces."""
    if not trace.get_current_span().is_recording():
        yield
        return
    with trace.get_tracer("deborch").start_as_current_span(name, kind=kind):
        yield


@contextmanager
def batch_span(name: str, traceparents: Iterable[str] = (), *, kind: SpanKind = SpanKind.INTERNAL) -> Iterator[Span]:
    """A span over one batch, with a link to each distinct span that an item of it came from."""
    links = [Link(context) for parent in dict.fromkeys(traceparents) if (context := _context(parent))][:_MAX_LINKS]
    tracer = trace.get_tracer("deborch")
    with tracer.start_as_current_span(name, links=links, kind=kind) as span:
        yield span


def _context(traceparent: str) -> SpanContext | None:
    parts = traceparent.split("-")
    if len(parts) != 4:
        return None
    try:
        context = SpanContext(int(parts[1], 16), int(parts[2], 16), True, TraceFlags(int(parts[3], 16)))
    except ValueError:
        return None
    return context if context.is_valid else None
