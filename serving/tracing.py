"""OpenTelemetry spans of a request in both servers, joined by `traceparent`; off unless asked for.

The variables are OpenTelemetry's own: OTEL_TRACES_EXPORTER=otlp turns it on, OTEL_EXPORTER_OTLP_ENDPOINT says where to
(HTTP), OTEL_TRACES_SAMPLER how many. Spans hold names, codes and durations, nothing of pictures or callers.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from forgery.errors import InvalidConfig

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

EXPORTERS = ("none", "otlp", "console")
_provider: "TracerProvider | None" = None


def configure(service: str, environment: Mapping[str, str] = os.environ) -> None:
    """Read the environment once, at start.

    Args:
        service: `forgery-transformer` or `forgery-predictor`, unless OTEL_SERVICE_NAME says otherwise.
        environment: With OTEL_TRACES_EXPORTER.

    Raises:
        InvalidConfig: Another exporter, or OpenTelemetry is not installed.
    """
    kind = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower() or "none"
    if kind not in EXPORTERS:
        raise InvalidConfig(f"OTEL_TRACES_EXPORTER={kind} is not known; known are {', '.join(EXPORTERS)}")
    if kind != "none" and environment.get("OTEL_SDK_DISABLED", "").lower() != "true":
        turn_on(environment.get("OTEL_SERVICE_NAME", service), _processor(kind))


def turn_on(service: str, processor: "SpanProcessor") -> None:
    """Trace from now on, as that service."""
    global _provider
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider

    _provider = TracerProvider(resource=Resource.create({SERVICE_NAME: service}), shutdown_on_exit=False)
    _provider.add_span_processor(processor)


def turn_off() -> None:
    """Send what is left and trace no more."""
    global _provider
    provider, _provider = _provider, None
    if provider is not None:
        provider.shutdown()


def _processor(kind: str) -> "SpanProcessor":
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor
    except ImportError as error:
        raise InvalidConfig("OTEL_TRACES_EXPORTER needs OpenTelemetry: pip install 'forgery[tracing]'") from error
    return BatchSpanProcessor(OTLPSpanExporter()) if kind == "otlp" else SimpleSpanProcessor(ConsoleSpanExporter())


@contextmanager
def request(protocol: str, route: str, headers: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The span of one request, continuing its caller's trace; what is put into the dictionary becomes attributes."""
    attributes: dict[str, Any] = {}
    if _provider is None:
        yield attributes
        return
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    parent = TraceContextTextMapPropagator().extract(headers)
    tracer = _provider.get_tracer("forgery")
    with tracer.start_as_current_span(f"{protocol} {route}", parent, SpanKind.SERVER, record_exception=False) as span:
        try:
            yield attributes
        finally:
            span.set_attributes(attributes)


@contextmanager
def span(name: str) -> Iterator[None]:
    """A part of the request; `hop` is what the predictor's own span hangs from."""
    if _provider is None:
        yield
        return
    from opentelemetry.trace import SpanKind

    kind = SpanKind.CLIENT if name == "hop" else SpanKind.INTERNAL
    with _provider.get_tracer("forgery").start_as_current_span(name, kind=kind, record_exception=False):
        yield


def outgoing(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers to pass on: the caller's `traceparent` as it came, or where traces are on that of the span here."""
    passed = dict(headers)
    if _provider is not None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        TraceContextTextMapPropagator().inject(passed)
    return passed
