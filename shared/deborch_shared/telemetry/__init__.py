"""What a process tells its operators: JSON logs, traces, metrics. No business rule belongs here."""

from deborch_shared.telemetry.logs import configure_logging
from deborch_shared.telemetry.traces import (
    batch_span,
    configure_tracing,
    current_traceparent,
    request_span,
    step_span,
)

__all__ = ["batch_span", "configure_logging", "configure_tracing", "current_traceparent", "request_span", "step_span"]
