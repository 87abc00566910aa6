"""When rounds come, on virtual time: intervals, backing off, and what brings a round forward."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.errors import LockError, RateLimitedError, SpecError
from reconciler.model.events import ApplyResult, StepResult
from reconciler.model.rounds import OUTCOMES, Round, Tally
from reconciler.operations.watch_loop import (
    BACKOFF_FIRST,
    BACKOFF_MAX,
    Bell,
    Pace,
    replaced_lately,
    round_of_apply,
    round_of_error,
    watch,
)
from reconciler.planning.matching import RECREATE_ONCE_IN
from tests.cli.report_samples import PLAN, STEPS
from tests.virtual_time import run

PACE = Pace(interval=300, poll=30, debounce=5)
GOOD = Round(outcome="converged")
FAILED = Round(outcome="failed")


def began(*, outcomes=(), until, takes=0.0, pace=PACE, happens=(), chance=1.0):
    """When each round began, in seconds. ``happens``: pairs of a time and a method of the bell, or ``stop``."""
    times = []
    tallies = []

    async def main():
        loop = asyncio.get_running_loop()
        bell = Bell(asyncio.Event())
        coming = itertools.chain(outcomes, itertools.repeat(GOOD))

        async def work():
            times.append(loop.time())
            await asyncio.sleep(takes)
            return next(coming)

        for at, what in (*happens, (until, "stop")):
            loop.call_at(at, bell.stop.set if what == "stop" else getattr(bell, what))
        await watch(work, pace, bell, tell=tallies.append, clock=loop.time, chance=lambda: chance)
        return loop.time()

    ended = run(main())
    assert len(tallies) == len(times)
    return times, ended, tallies


def test_rounds_come_at_the_interval_from_the_end_of_the_one_before():
    times, ended, _ = began(until=1000, takes=20)
    assert times == [0, 320, 640, 960]
    assert ended == 1000


def test_steps_that_wait_and_a_lock_are_looked_at_again_soon():
    times, *_ = began(outcomes=[Round(outcome="waiting"), Round(outcome="locked")], until=400)
    assert times == [0, 30, 60, 360]


def test_a_poll_longer_than_the_interval_is_no_reason_to_wait_longer():
    times, *_ = began(outcomes=[Round(outcome="waiting")], until=15, pace=Pace(interval=10, poll=30))
    assert times == [0, 10]


def test_a_plan_that_nobody_executes_waits_for_its_interval():
    times, *_ = began(outcomes=[Round(outcome="differs")], until=400)
    assert times == [0, 300]


def test_failures_back_off_twofold_and_a_good_round_ends_that():
    times, *_ = began(outcomes=[*[FAILED] * 4, GOOD, FAILED], until=800)
    assert times == [0, 10, 30, 70, 150, 450, 460, 760]


@given(st.integers(1, 10_000), st.floats(0, 1), st.floats(1, 1e6), st.floats(0, 1e5))
def test_backing_off_stays_within_its_bounds(failures, chance, interval, asked):
    rest = Pace(interval=interval).rest(Round(outcome="failed", retry_after=asked), failures, chance=chance)
    assert rest >= max(asked, BACKOFF_FIRST / 2)
    assert rest <= max(asked, BACKOFF_MAX, interval)


def test_jitter_spreads_those_who_failed_together():
    rests = {PACE.rest(FAILED, 3, chance=chance) for chance in (0, 0.25, 0.5, 1)}
    assert rests == {20, 25, 30, 40}


def test_a_person_is_served_at_once_and_ends_a_backoff():
    times, *_ = began(outcomes=[FAILED] * 3, until=20, happens=[(1, "ask"), (2, "ask")])
    assert times == [0, 1, 2]


def test_deliveries_that_come_together_make_one_round():
    times, *_ = began(until=250, happens=[(100, "hear"), (101, "hear"), (104.9, "hear"), (200, "hear")])
    assert times == [0, 105, 205]


def test_a_delivery_never_puts_a_round_off():
    times, *_ = began(until=310, happens=[(298, "hear"), (299, "hear")])
    assert times == [0, 300]


def test_a_delivery_during_a_round_makes_another_one():
    # Intent: what it told of may have happened after the round had read the account.
    times, *_ = began(until=100, takes=20, happens=[(10, "hear")])
    assert times == [0, 25]


def test_deliveries_do_not_undo_the_backing_off():
    times, *_ = began(outcomes=[FAILED, FAILED], until=25, happens=[(at, "hear") for at in range(1, 25)])
    assert times == [0, 10]


def test_stopping_waits_for_nothing_but_the_round_under_way():
    times, ended, tallies = began(until=10, takes=20)
    assert (times, ended) == ([0], 20)
    assert tallies[-1].rounds == {"converged": 1}


def test_the_tally_is_unhealthy_after_three_failures_in_a_row_or_a_long_silence():
    silence = PACE.silence(100)
    assert silence == 100 + 3 * BACKOFF_MAX
    tally = Tally(started=1000)
    assert tally.unhealthy_because(1000, silence=silence) is None
    for number in range(1, 4):
        tally = tally.after(FAILED, began=1000, at=1001)
        assert tally.failures == number
        assert (tally.unhealthy_because(1001, silence=silence) is not None) == (number == 3)
    tally = tally.after(Round(outcome="locked"), began=1001, at=1002)
    assert tally.unhealthy_because(1002, silence=silence) == "3 rounds in a row failed"
    tally = tally.after(GOOD, began=1002, at=1003)
    assert tally.unhealthy_because(1003 + silence, silence=silence) is None
    assert tally.unhealthy_because(1005 + silence, silence=silence) == f"no good round for {silence + 2:.0f} s"
    for at in range(2000, 10_000, 30):
        tally = tally.after(Round(outcome="locked"), began=at, at=at)
    assert tally.unhealthy_because(10_000, silence=silence) is not None, "locked out for ever is not healthy either"


def test_a_loop_is_ready_once_a_round_went_well_or_found_another_run_at_work():
    # Intent: a replica that stands by is ready to take over; one that has never read the account is not.
    tally = Tally(started=1000)

    def after(*outcomes):
        made = tally
        for outcome in outcomes:
            made = made.after(Round(outcome=outcome), began=1000, at=1001)
        return made.unready_because(1002, silence=100) or made.role

    assert after() == after("failed") == "no round has ended well yet"
    assert after("converged") == after("locked", "waiting") == after("converged", "failed") == "ok"
    assert after("locked") == after("converged", "locked") == "standby: another run holds the state"
    assert after("converged", "failed", "failed", "failed") == "3 rounds in a row failed"


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_the_tally_adds_up(outcome):
    ended = Round(outcome=outcome, steps={("create", "done"): 2, ("message", "deferred"): 1}, requests=7, left=1)
    tally = Tally(started=0)
    for at in (10, 20):
        tally = tally.after(ended, began=at - 3, at=at)
    assert tally.rounds == {outcome: 2}
    assert tally.steps == {("create", "done"): 4, ("message", "deferred"): 2}
    assert (tally.requests, tally.seconds, tally.ended_at) == (14, 6, 20)
    assert (tally.last is ended) == ended.good == (tally.good_at == 20)


@pytest.mark.parametrize(
    ("outcomes", "outcome", "left"),
    [
        (["done", "done"], "converged", 0),
        ([], "converged", 0),
        (["done", "deferred"], "waiting", 1),
        (["failed", "deferred"], "failed", 2),
        (["done", "unknown"], "failed", 1),
    ],
)
def test_an_apply_makes_a_round(outcomes, outcome, left):
    results = tuple(StepResult(step=s, outcome=o) for s, o in zip(STEPS, outcomes, strict=False))
    round_ = round_of_apply(ApplyResult(plan=PLAN, results=results, requests=7))
    assert (round_.outcome, round_.left, round_.requests) == (outcome, left, 7)
    assert sum(round_.steps.values()) == len(outcomes)


def test_an_error_makes_a_round_that_says_how_long_the_api_wants_to_be_left_alone():
    limited = RateLimitedError("too many", method="GET", path="/projects", status=429, retry_after=90.0)
    assert round_of_error(limited) == Round(outcome="failed", retry_after=90)
    assert round_of_error(SpecError("no brief")) == Round(outcome="failed")
    assert round_of_error(LockError("held")) == Round(outcome="locked")


def test_a_failing_project_is_made_anew_once_a_day():
    assert replaced_lately({"a": 100.0, "b": 50_000.0}, 100 + RECREATE_ONCE_IN) == {"b"}
