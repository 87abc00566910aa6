"""The rounds of `watch` and their outcomes, as values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final, Literal

from msgspec import Struct, field
from msgspec.structs import replace

Outcome = Literal["converged", "waiting", "differs", "locked", "failed"]
"""``waiting``: steps are left for later. ``differs``: steps are left that must not be done. ``locked``: another run
holds the state. ``failed``: an error, or a step that failed."""

OUTCOMES: Final[tuple[Outcome, ...]] = ("converged", "waiting", "differs", "locked", "failed")

FAILED_ROUNDS_MAX: Final = 3
"""A loop with so many failed rounds in a row is unhealthy."""


class Round(Struct, frozen=True, kw_only=True):
    """One round. ``steps`` counts by action and outcome; ``left`` counts steps still to do; ``retry_after`` are the seconds
    that the API asked to wait.
    """

    outcome: Outcome
    steps: Mapping[tuple[str, str], int] = field(default_factory=dict)
    left: int = 0
    managed: int = 0
    attention: int = 0
    requests: int = 0
    retry_after: float = 0.0

    @property
    def good(self) -> bool:
        """Whether the account was read and everything possible was done."""
        return self.outcome in ("converged", "waiting", "differs")


class Tally(Struct, frozen=True, kw_only=True):
    """All rounds since ``started``. Times are seconds since 1970; ``good_at`` is the end of the last good round.

    ``failures`` counts failed rounds in a row; ``last`` is the last round in which the account was read.
    """

    started: float
    good_at: float | None = None
    ended_at: float | None = None
    failures: int = 0
    seconds: float = 0.0
    requests: int = 0
    rounds: Mapping[Outcome, int] = field(default_factory=dict)
    steps: Mapping[tuple[str, str], int] = field(default_factory=dict)
    last: Round | None = None
    latest: Outcome | None = None
    """The outcome of the last round, whatever it was."""

    def after(self, ended: Round, *, began: float, at: float) -> Tally:
        """The tally with another round, which took from ``began`` to ``at``."""
        failed = ended.outcome == "failed"
        return replace(
            self,
            good_at=at if ended.good else self.good_at,
            ended_at=at,
            failures=self.failures + 1 if failed else self.failures if ended.outcome == "locked" else 0,
            seconds=self.seconds + max(0.0, at - began),
            requests=self.requests + ended.requests,
            rounds={**self.rounds, ended.outcome: self.rounds.get(ended.outcome, 0) + 1},
            steps=Counter(self.steps) + Counter(ended.steps),
            last=ended if ended.good else self.last,
            latest=ended.outcome,
        )

    def unhealthy_because(self, now: float, *, silence: float) -> str | None:
        """Why the loop is unhealthy, or ``None``. ``silence``: the most seconds allowed without a good round."""
        if self.failures >= FAILED_ROUNDS_MAX:
            return f"{self.failures} rounds in a row failed"
        quiet = now - (self.good_at or self.started)
        return f"no good round for {quiet:.0f} s" if quiet > silence else None

    def unready_because(self, now: float, *, silence: float) -> str | None:
        """Why the loop can't take work yet, or no longer, or ``None``. One that found the state locked is ready to take over."""
        if self.good_at is None and "locked" not in self.rounds:
            return "no round has ended well yet"
        return self.unhealthy_because(now, silence=silence)

    @property
    def role(self) -> str:
        """What a ready loop is: at work, or waiting for another run that holds the state."""
        return "standby: another run holds the state" if self.latest == "locked" else "ok"
