"""The loop of ``watch``: when the next round is due, and what brings it forward.

A round is an ordinary ``apply`` (or ``plan``): nothing here changes anything.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, assert_never

from msgspec import Struct, field

from reconciler.model import contract
from reconciler.model.errors import ApiError, Diagnostic, LockError, ReconcilerError
from reconciler.model.events import ApplyResult
from reconciler.model.plan import Plan, Replace
from reconciler.model.rounds import FAILED_ROUNDS_MAX, Round, Tally
from reconciler.planning.matching import RECREATE_ONCE_IN

BACKOFF_FIRST: Final = 10.0
BACKOFF_MAX: Final = 600.0
"""Seconds to wait at most after a failed round: doubled each time, from the first to the last (or the interval, if
that is longer)."""


class Pace(Struct, frozen=True, kw_only=True):
    """When rounds are due, in seconds. ``poll``: how soon to look again where steps wait for something."""

    interval: float
    poll: float = field(default_factory=lambda: contract.current().rule(contract.Status.RUNNING).poll_seconds)
    debounce: float = 5.0

    def rest(self, ended: Round, failures: int, *, chance: float) -> float:
        """How long to rest after a round; ``chance`` (0 to 1) spreads those who failed together."""
        match ended.outcome:
            case "converged" | "differs":
                return self.interval
            case "waiting" | "locked":
                return min(self.interval, self.poll)
            case "failed":
                ceiling = min(max(self.interval, BACKOFF_MAX), BACKOFF_FIRST * float(2 ** min(failures - 1, 20)))
                return max(ended.retry_after, ceiling * (1 + chance) / 2)
            case _:
                assert_never(ended.outcome)

    def silence(self, timeout: float) -> float:
        """For how long there may be no good round, where one round may take ``timeout``."""
        return timeout + FAILED_ROUNDS_MAX * max(self.interval, BACKOFF_MAX)


class Bell(Struct):
    """What brings the next round forward: a person at once, a webhook delivery after the debounce, so that others join."""

    stop: asyncio.Event
    _asked: bool = False
    _heard: bool = False
    _rung: asyncio.Event = field(default_factory=asyncio.Event)

    def ask(self) -> None:
        """A person wants a round now."""
        self._asked = True
        self._rung.set()

    def hear(self) -> None:
        """Something happened in the account; the round reads what."""
        self._heard = True
        self._rung.set()

    def forget(self) -> None:
        """A round begins: it serves all requests so far."""
        self._asked = self._heard = False

    async def rest(self, seconds: float, *, debounce: float | None) -> None:
        """Wait until the time is up, a round is asked for, or the loop is to stop. ``debounce`` ``None``: ignore deliveries."""
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        joined = debounce is None
        stopped = asyncio.ensure_future(self.stop.wait())
        while not (self._asked or self.stop.is_set()):
            if self._heard and not joined and debounce is not None:
                joined = True
                due = min(due, loop.time() + debounce)
            left = due - loop.time()
            if left <= 0:
                break
            self._rung.clear()
            rung = asyncio.ensure_future(self._rung.wait())
            await asyncio.wait({rung, stopped}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            rung.cancel()
        stopped.cancel()


async def watch(
    work: Callable[[], Awaitable[Round]],
    pace: Pace,
    bell: Bell,
    *,
    tell: Callable[[Tally], None],
    clock: Callable[[], float] = time.time,
    chance: Callable[[], float] = random.random,
) -> None:
    """Run rounds, one at a time, until the bell's ``stop`` is set. ``tell`` gets the tally after each.

    After a failed round deliveries do not bring the next one forward: that would undo the backoff.
    """
    tally = Tally(started=clock())
    while not bell.stop.is_set():
        bell.forget()
        began = clock()
        ended = await work()
        tally = tally.after(ended, began=began, at=clock())
        tell(tally)
        rest = pace.rest(ended, tally.failures, chance=chance())
        await bell.rest(rest, debounce=None if ended.outcome == "failed" else pace.debounce)


# ── the outcome of a round ──────────────────────────────────────────────────────────────────────────────────────────


def round_of_apply(result: ApplyResult) -> Round:
    """The outcome of an apply that ended."""
    counts = result.counts
    failed = bool(result.plan.errors) or bool({"failed", "unknown"} & set(counts))
    left = sum(count for outcome, count in counts.items() if outcome != "done")
    return Round(
        outcome="failed" if failed else "waiting" if left else "converged",
        steps=Counter((r.step.action, r.outcome) for r in result.results if not r.already),
        left=left,
        managed=result.plan.managed,
        attention=result.plan.summary["attention"],
        requests=result.requests,
    )


def round_of_plan(plan: Plan, refused: tuple[Diagnostic, ...]) -> Round:
    """The outcome of a plan that is not executed."""
    return Round(
        outcome="failed" if refused or plan.errors else "differs" if plan.steps else "converged",
        left=len(plan.steps),
        managed=plan.managed,
        attention=plan.summary["attention"],
        requests=plan.requests_used,
    )


def round_of_error(error: ReconcilerError) -> Round:
    """The outcome of a round that an error ended."""
    if isinstance(error, LockError):
        return Round(outcome="locked")
    wait = error.retry_after if isinstance(error, ApiError) else None
    return Round(outcome="failed", retry_after=wait or 0.0)


def replaced_lately(replaced: Mapping[str, float], now: float) -> frozenset[str]:
    """The addresses that are not replaced again yet. ``replaced``: when each was replaced last."""
    return frozenset(address for address, at in replaced.items() if now - at < RECREATE_ONCE_IN)


def replaced_addresses(result: ApplyResult) -> frozenset[str]:
    """The addresses whose project was replaced, for whatever reason."""
    done = (r.step for r in result.results if r.outcome == "done" and not r.already)
    return frozenset(step.address for step in done if isinstance(step, Replace))
