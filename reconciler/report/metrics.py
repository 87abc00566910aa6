"""What a loop has come to, for Prometheus: its text exposition format, version 0.0.4.

By hand, because it is numbers under fixed names: nothing in it needs the registry that the client library brings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from reconciler.model.rounds import OUTCOMES, Tally

Sample = tuple[Mapping[str, str], float]


def metrics_text(tally: Tally, *, deliveries: Mapping[str, int], healthy: bool, version: str) -> str:
    """The page. Labels are names of this program's, never foreign text."""
    last = tally.last
    families = [
        _family("build_info", "gauge", "1; the label says which version runs.", [({"version": version}, 1)]),
        _family("healthy", "gauge", "Whether /healthz says 200.", [({}, healthy)]),
        _family(
            "rounds_total",
            "counter",
            "Rounds by what they came to.",
            [({"outcome": outcome}, tally.rounds.get(outcome, 0)) for outcome in OUTCOMES],
        ),
        _family("round_seconds_total", "counter", "Time spent in rounds.", [({}, tally.seconds)]),
        _family("failures", "gauge", "Failed rounds in a row.", [({}, tally.failures)]),
        _family(
            "last_round_timestamp_seconds",
            "gauge",
            "When the last round ended (0: none did).",
            [({}, tally.ended_at or 0)],
        ),
        _family(
            "last_good_round_timestamp_seconds",
            "gauge",
            "When the last round ended that was neither failed nor locked (0: none did).",
            [({}, tally.good_at or 0)],
        ),
        _family("requests_total", "counter", "API calls, repeated ones included.", [({}, tally.requests)]),
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
            _family("managed_projects", "gauge", "Projects under management.", [({}, last.managed)]),
            _family("steps_left", "gauge", "Steps that the last good round left to do.", [({}, last.left)]),
            _family("attention", "gauge", "Findings that no step can mend.", [({}, last.attention)]),
        ]
    return "".join(families)


def _family(name: str, kind: Literal["counter", "gauge"], help_: str, samples: Iterable[Sample]) -> str:
    name = f"reconciler_{name}"
    lines = [f"# HELP {name} {help_}", f"# TYPE {name} {kind}"]
    for labels, value in samples:
        named = ",".join(f'{label}="{text}"' for label, text in labels.items())
        lines.append(f"{name}{f'{{{named}}}' if named else ''} {float(value):.15g}")
    return "\n".join(lines) + "\n"
