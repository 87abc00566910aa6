"""Metrics of ``watch`` in Prometheus' text exposition format, version 0.0.4.

Written by hand: these are numbers under fixed names, which need nothing of the client library's registry.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from reconciler.model.rounds import OUTCOMES, Tally

Sample = tuple[Mapping[str, str], float]


def metrics_text(tally: Tally, *, deliveries: Mapping[str, int], healthy: bool, version: str) -> str:
    """The page of ``/metrics``. Labels are names that this program defines, never untrusted text."""
    last = tally.last
    families = [
        _family("build_info", "gauge", "1; the label says which version runs.", [({"version": version}, 1)]),
        _family("healthy", "gauge", "Whether /healthz answers 200.", [({}, healthy)]),
        _family(
            "rounds_total",
            "counter",
            "Rounds by outcome.",
            [({"outcome": outcome}, tally.rounds.get(outcome, 0)) for outcome in OUTCOMES],
        ),
        _family("round_seconds_total", "counter", "Time spent in rounds.", [({}, tally.seconds)]),
        _family("failures", "gauge", "Failed rounds in a row.", [({}, tally.failures)]),
        _family(
            "last_round_timestamp_seconds",
            "gauge",
            "When the last round ended (0: none yet).",
            [({}, tally.ended_at or 0)],
        ),
        _family(
            "last_good_round_timestamp_seconds",
            "gauge",
            "When the last round ended that neither failed nor was locked out (0: none yet).",
            [({}, tally.good_at or 0)],
        ),
        _family("requests_total", "counter", "API calls, including retries.", [({}, tally.requests)]),
        _family(
            "steps_total",
            "counter",
            "Steps by action and outcome.",
            [({"action": a, "outcome": o}, count) for (a, o), count in sorted(tally.steps.items())],
        ),
        _family(
            "deliveries_total",
            "counter",
            "Webhook deliveries by verdict.",
            [({"verdict": verdict}, count) for verdict, count in deliveries.items()],
        ),
    ]
    if last is not None:
        families += [
            _family("managed_projects", "gauge", "Managed projects.", [({}, last.managed)]),
            _family("steps_left", "gauge", "Steps that the last good round left undone.", [({}, last.left)]),
            _family("attention", "gauge", "Findings that no step can fix.", [({}, last.attention)]),
        ]
    return "".join(families)


def _family(name: str, kind: Literal["counter", "gauge"], help_: str, samples: Iterable[Sample]) -> str:
    name = f"reconciler_{name}"
    lines = [f"# HELP {name} {help_}", f"# TYPE {name} {kind}"]
    for labels, value in samples:
        named = ",".join(f'{label}="{text}"' for label, text in labels.items())
        lines.append(f"{name}{f'{{{named}}}' if named else ''} {float(value):.15g}")
    return "\n".join(lines) + "\n"
