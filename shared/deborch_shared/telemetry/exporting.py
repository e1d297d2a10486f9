"""Where spans go. Apart from `traces`, since the exporter, the SDK and protobuf take a fifth of a command's start."""

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter


def export(service: str, exporter: SpanExporter) -> None:
    """Give the spans of this process to `exporter`, in batches."""
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)


def to_collector(otlp_endpoint: str) -> SpanExporter:
    """OTLP over HTTP."""
    return OTLPSpanExporter(endpoint=f"{otlp_endpoint.rstrip('/')}/v1/traces")
