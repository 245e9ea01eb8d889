"""One trace through both servers, joined to the caller's; off unless asked for."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from serving_harness import HOST, Pair

from forgery.errors import InvalidConfig
from serving import tracing

TRACE, CALLER = "1" * 32, "2" * 16
SERVERS = {"rest /v1/detect", "grpc /inference.GRPCInferenceService/ModelInfer"}


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    tracing.turn_on("forgery", SimpleSpanProcessor(exporter))
    yield exporter
    tracing.turn_off()


def traced(spans: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    """The spans by name, once both servers have ended theirs."""
    deadline = time.monotonic() + 10
    while not {span.name for span in spans.get_finished_spans()} >= SERVERS and time.monotonic() < deadline:
        time.sleep(0.02)
    return {span.name: span for span in spans.get_finished_spans() if "Metadata" not in span.name}


def test_a_request_is_one_trace_through_both_servers(pair: Pair, jpeg: bytes, spans: InMemorySpanExporter) -> None:
    headers = {"traceparent": f"00-{TRACE}-{CALLER}-01", "x-request-id": "id-7"}
    assert httpx.post(f"{pair.transformer.url}/v1/detect", content=jpeg, headers=headers).status_code == 200
    found = traced(spans)
    assert set(found) == SERVERS | {"read", "decode", "evidence", "hop", "inference"}
    assert {f"{span.context.trace_id:032x}" for span in found.values()} == {TRACE}
    parents = {name: span.parent.span_id for name, span in found.items() if span.parent}
    ids = {name: span.context.span_id for name, span in found.items()}
    front, behind = ids["rest /v1/detect"], ids["grpc /inference.GRPCInferenceService/ModelInfer"]
    assert f"{parents['rest /v1/detect']:016x}" == CALLER
    assert [parents[name] for name in ("read", "decode", "evidence", "hop")] == [front] * 4
    assert parents["grpc /inference.GRPCInferenceService/ModelInfer"] == ids["hop"]
    assert parents["inference"] == behind
    assert found["rest /v1/detect"].attributes == {"forgery.code": "200", "forgery.request_id": "id-7"}


def test_a_refused_picture_is_traced_with_its_code(pair: Pair, spans: InMemorySpanExporter) -> None:
    httpx.post(f"{pair.transformer.url}/v1/detect", content=b"no picture")
    deadline = time.monotonic() + 10
    while not (found := {s.name: s for s in spans.get_finished_spans()}).get("rest /v1/detect"):
        assert time.monotonic() < deadline
    assert (found["rest /v1/detect"].attributes or {})["forgery.code"] == "400"
    assert not any(event for span in found.values() for event in span.events), "exceptions would quote the input"


def test_the_callers_trace_is_passed_on_untouched_where_traces_are_off() -> None:
    headers = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
    assert tracing.outgoing(headers) == headers
    with tracing.request("rest", "/", headers) as attributes, tracing.span("hop"):
        assert tracing.outgoing(headers) == headers
    assert attributes == {}


def test_spans_reach_a_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with HTTPServer((HOST, 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://{HOST}:{server.server_port}")
        tracing.configure("forgery-transformer", {"OTEL_TRACES_EXPORTER": "otlp"})
        with tracing.request("rest", "/v1/detect", {}), tracing.span("decode"):
            pass
        tracing.turn_off()
        server.shutdown()
    ((path, spans),) = received
    assert path == "/v1/traces"
    assert all(word in spans for word in (b"forgery-transformer", b"rest /v1/detect", b"decode"))


def test_the_environment_decides() -> None:
    tracing.configure("forgery", {})
    tracing.configure("forgery", {"OTEL_TRACES_EXPORTER": "none"})
    assert tracing._provider is None
    with pytest.raises(InvalidConfig, match="known are none, otlp, console"):
        tracing.configure("forgery", {"OTEL_TRACES_EXPORTER": "zipkin"})
    try:
        tracing.configure("forgery", {"OTEL_TRACES_EXPORTER": "otlp"})
        assert tracing._provider is not None
    finally:
        tracing.turn_off()


def test_a_server_loads_neither_tracer_nor_exporter_unless_asked() -> None:
    script = "import sys, serving.transformer; print([n for n in sys.modules if n[14:] in ('sdk', 'exporter')])"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
