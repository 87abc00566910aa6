"""Whether a run is traced: the standard variables of OpenTelemetry decide, which only the user's environment has."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from reconciler.adapters.tracing import RunTrace
    from reconciler.cli.console import Console
    from reconciler.cli.context import CommandContext
    from reconciler.model.events import ApplyResult

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
HEADERS: Final = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


@contextlib.contextmanager
def traced(context: CommandContext, name: str) -> Iterator[RunTrace | None]:
    """A trace of what follows, which the API client and events add to; ``None`` if the user asks for none."""
    console, config = context.console, context.config
    start_tracing(console)
    if console.tracing is None:
        yield None
        return
    about = {
        "reconciler.command": name,
        "reconciler.workspace": config.workspace,
        "reconciler.environment": config.environment,
        "server.address": context.where(0).api_url,
    }
    with console.tracing.run(name, about) as trace:
        console.trace = trace
        try:
            yield trace
        finally:
            console.trace = None


def run_attributes(result: ApplyResult) -> dict[str, str | int | float | bool | None]:
    """What a trace says of an apply that ended."""
    return {
        "reconciler.converged": result.converged,
        "reconciler.interrupted": result.interrupted,
        "reconciler.requests": result.requests,
        "reconciler.serial": result.serial,
        **{f"reconciler.steps.{outcome}": count for outcome, count in result.counts.items()},
    }


def start_tracing(console: Console) -> None:
    """Get ready to trace, once, if the environment asks for it. What keeps it from that is a note, never an error."""
    if console.tracing is not None or console.tracing_tried:
        return
    console.tracing_tried = True
    if not _is_asked_for():
        return
    protocol = next((os.environ[name] for name in _PROTOCOLS if os.environ.get(name)), "http/protobuf")
    if protocol != "http/protobuf":
        console.note("note: no traces are sent: only the protocol http/protobuf is supported.")
        return
    for name in HEADERS:
        parts = os.environ.get(name, "").split(",")
        console.learn(*(part.partition("=")[2].strip() for part in parts))
    try:
        from reconciler.adapters.tracing import Tracing  # noqa: PLC0415  the extra, and half a second
    except ImportError:
        console.note("note: no traces are sent: the extra `otel` is not installed (`eversince-reconciler[otel]`).")
        return

    def hide(text: str) -> str:
        return console.redact(text)  # `watch` makes another one with each round

    try:
        console.tracing = Tracing(os.environ, hide)
    except Exception as error:  # noqa: BLE001  of a variable that the library doesn't accept
        console.note(f"note: no traces are sent: {type(error).__name__} in the OTEL_ variables.")
        return
    console.finishing.append(lambda: _close(console))


def _is_asked_for() -> bool:
    exporters = os.environ.get("OTEL_TRACES_EXPORTER", "otlp").split(",")
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    return not disabled and "otlp" in map(str.strip, exporters) and any(os.environ.get(name) for name in ENDPOINTS)


def _close(console: Console) -> None:
    if console.tracing is not None:
        with contextlib.suppress(KeyboardInterrupt):
            console.tracing.close()
