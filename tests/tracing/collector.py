"""A collector for tests: takes OTLP over HTTP as the protocol says, in protobuf, and keeps the spans."""

from __future__ import annotations

import contextlib
import gzip
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Span:
    name: str
    trace: str
    id: str
    parent: str
    began: int
    ended: int
    failed: bool
    about: dict[str, Any]

    @property
    def seconds(self) -> float:
        return (self.ended - self.began) / 1e9


@dataclass
class Collector:
    url: str
    habit: str = "200"
    spans: list[Span] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    raw: bytes = b""

    @property
    def env(self) -> dict[str, str]:
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url}

    def named(self, start: str) -> list[Span]:
        return sorted((s for s in self.spans if s.name.startswith(start)), key=lambda s: s.began)

    def below(self, span: Span) -> list[Span]:
        """All spans that belong to one."""
        inner = [s for s in self.spans if s.parent == span.id]
        return inner + [deeper for s in inner for deeper in self.below(s)]

    def take(self, body: bytes) -> None:
        self.raw += body
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            self.resources.append(_attributes(resource.resource.attributes))
            for scope in resource.scope_spans:
                self.spans += [
                    Span(
                        name=span.name,
                        trace=span.trace_id.hex(),
                        id=span.span_id.hex(),
                        parent=span.parent_span_id.hex(),
                        began=span.start_time_unix_nano,
                        ended=span.end_time_unix_nano,
                        failed=span.status.code == 2,
                        about=_attributes(span.attributes),
                    )
                    for span in scope.spans
                ]


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


@contextlib.contextmanager
def collecting(habit: str = "200") -> Iterator[Collector]:
    """A collector on this machine. ``habit``: ``hang``, or the status (and a header) that it answers with."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            coding = self.headers.get("Content-Encoding")
            body = gzip.decompress(body) if coding == "gzip" else zlib.decompress(body) if coding == "deflate" else body
            collector.headers.append({**dict(self.headers), ":path": self.path})
            if habit == "hang":
                over.wait(60)
                return
            status, _, more = habit.partition(" ")
            if status == "200":
                collector.take(body)
            self.send_response(int(status))
            if more:
                self.send_header(*more.split(": ", 1))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with _Server(("127.0.0.1", 0), Handler) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_port}", habit)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield collector
        finally:
            over.set()
            server.shutdown()
