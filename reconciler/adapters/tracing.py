"""Traces for OpenTelemetry: a span for a run, for each of its steps, for what they wait for, and for each request.

Only imported where the user's environment asks for traces. Spans are sent on a thread of the library's own; a collector
that hangs, fails or is not there holds up nothing.
"""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import requests
from opentelemetry import context as contexts
from opentelemetry import trace as api
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from reconciler.model.events import Event, Recovered, StepEnded, StepStarted, StepWaiting
from reconciler.model.plan import Step
from reconciler.model.traces import RequestMade, RequestNews
from reconciler.model.version import VERSION

Attributes = Mapping[str, str | int | float | bool | None]

FLUSH_SECONDS: Final = 5.0
"""How long a command that is done waits for its spans to be sent."""
TEXT_MAX: Final = 300
_ERRORS: Final = 400
"""Statuses from here on are errors."""
_PROJECT: Final = re.compile(r"^/projects/([^/]+)")


class Tracing:
    """Where spans go. ``env``: the variables of the OpenTelemetry standard; ``redact`` takes secrets out of every text."""

    def __init__(self, env: Mapping[str, str], redact: Callable[[str], str]) -> None:
        logging.getLogger("opentelemetry").addHandler(logging.NullHandler())
        logging.getLogger("opentelemetry").propagate = False  # it logs addresses and headers
        own: dict[str, str] = {"service.version": VERSION}
        if not env.get("OTEL_SERVICE_NAME") and "service.name=" not in env.get("OTEL_RESOURCE_ATTRIBUTES", ""):
            own["service.name"] = "reconciler"
        self._provider = TracerProvider(resource=Resource.create(own), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(session=_session())))
        self._tracer = self._provider.get_tracer("reconciler", VERSION)
        self._parent = TraceContextTextMapPropagator().extract(
            {name.lower(): env[name] for name in ("TRACEPARENT", "TRACESTATE") if env.get(name)}
        )
        self._redact = redact

    @contextlib.contextmanager
    def run(self, name: str, attributes: Attributes) -> Iterator[RunTrace]:
        """A trace of one run. An error that ends it is noted, and raised."""
        root = self._tracer.start_span(name, context=self._parent, attributes=self._clean(attributes))
        trace = RunTrace(self._tracer, root, self._clean)
        token = contexts.attach(api.set_span_in_context(root))
        try:
            yield trace
        except BaseException as error:
            root.set_status(api.StatusCode.ERROR, self._text(str(error) or type(error).__name__))
            raise
        finally:
            trace.end()
            with contextlib.suppress(ValueError):  # ended in another task than begun
                contexts.detach(token)
            root.end()

    def close(self) -> bool:
        """Send what is left, for so long at most; whether all of it was taken by the thread that sends."""
        done: list[bool] = []
        milliseconds = int(FLUSH_SECONDS * 1000)
        flush = threading.Thread(target=lambda: done.append(self._provider.force_flush(milliseconds)), daemon=True)
        flush.start()
        flush.join(FLUSH_SECONDS)
        return bool(done and done[0])

    def _text(self, text: str) -> str:
        return self._redact(text)[:TEXT_MAX]

    def _clean(self, attributes: Attributes) -> dict[str, Any]:
        return {
            name: self._text(value) if isinstance(value, str) else value
            for name, value in attributes.items()
            if value is not None
        }


class RunTrace:
    """The spans of one run."""

    def __init__(self, tracer: Any, root: Any, clean: Callable[[Attributes], dict[str, Any]]) -> None:
        self._tracer = tracer
        self._root = root
        self._clean = clean
        self._within = api.set_span_in_context(root)
        self._steps: dict[int, Any] = {}
        self._waits: dict[int, tuple[str, Any]] = {}

    def note(self, attributes: Attributes) -> None:
        """Say more about the run."""
        self._root.set_attributes(self._clean(attributes))

    def hear(self, event: Event) -> None:
        """Begin or end the spans of a step; what its task sends from then on belongs to it."""
        match event:
            case StepWaiting():
                self._wait(event.step, event.waits_for)
            case StepStarted():
                self._step(event.step)
                self._end_wait(event.step)
            case StepEnded():
                self._end_step(event)
            case Recovered():
                about = {"reconciler.address": event.address, "reconciler.call": event.kind}
                self._root.add_event("recovered", self._clean({**about, "reconciler.result": event.result}))
            case _:
                pass

    def hear_request(self, news: RequestNews) -> None:
        """A span for a request or for a wait, below the step whose task makes it."""
        about: Attributes
        if isinstance(news, RequestMade):
            found = _PROJECT.match(news.path)
            name = f"{news.method} {_PROJECT.sub('/projects/{id}', news.path)}"
            about = {
                "http.request.method": news.method,
                "url.path": news.path,
                "http.response.status_code": news.status,
                "http.request.resend_count": news.attempt or None,
                "error.type": news.error or (str(news.status) if news.status and news.status >= _ERRORS else None),
                "reconciler.project_id": found[1] if found else None,
            }
        else:
            name, about = "wait", {"reconciler.waits_for": news.why}
        span = self._tracer.start_span(name, start_time=_nanoseconds(news.began), attributes=self._clean(about))
        if about.get("error.type") is not None:
            span.set_status(api.StatusCode.ERROR)
        span.end(_nanoseconds(news.began + news.seconds))

    def end(self) -> None:
        """End what did not end by itself: the run was interrupted."""
        for _, span in self._waits.values():
            span.end()
        for span in self._steps.values():
            span.end()
        self._waits, self._steps = {}, {}

    def _step(self, step: Step) -> Any:
        span = self._steps.get(id(step))
        if span is None:
            about: Attributes = {
                "reconciler.address": step.address,
                "reconciler.action": step.action,
                "reconciler.project_id": step.project_id,
            }
            span = self._tracer.start_span(f"step {step.action}", context=self._within, attributes=self._clean(about))
            self._steps[id(step)] = span
        contexts.attach(api.set_span_in_context(span))
        return span

    def _wait(self, step: Step, what: str) -> None:
        span = self._step(step)
        known = self._waits.get(id(step))
        if known is not None and known[0] == what:
            return
        self._end_wait(step)
        about: Attributes = {"reconciler.address": step.address, "reconciler.waits_for": what}
        within = api.set_span_in_context(span)
        self._waits[id(step)] = what, self._tracer.start_span("wait", context=within, attributes=self._clean(about))

    def _end_wait(self, step: Step) -> None:
        if (known := self._waits.pop(id(step), None)) is not None:
            known[1].end()

    def _end_step(self, ended: StepEnded) -> None:
        span = self._step(ended.step)
        self._end_wait(ended.step)
        about: Attributes = {"reconciler.outcome": ended.outcome, "reconciler.project_id": ended.project_id}
        span.set_attributes(self._clean(about))
        if ended.error is not None:
            text = self._clean({"": ended.error.summary})[""]
            span.set_status(api.StatusCode.ERROR, text)
        span.end()
        del self._steps[id(ended.step)]
        contexts.attach(self._within)


def _session() -> requests.Session:
    """Follows no redirect, which could lead the headers with the collector's token elsewhere, and reads no netrc file."""
    session = requests.Session()
    session.max_redirects = 0
    session.auth = lambda request: request
    return session


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
