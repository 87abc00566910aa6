from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.adapters.api import limiter as limiter_module
from reconciler.adapters.api.limiter import RateLimiter
from tests.virtual_time import run


def now() -> float:
    return asyncio.get_running_loop().time()


async def departures(limiter: RateLimiter, count: int) -> list[float]:
    """When ``count`` requests leave that were asked for at once, each answered at once without headers."""
    times: list[float] = []

    async def one() -> None:
        await limiter.acquire()
        times.append(now())
        limiter.observe({})

    await asyncio.gather(*(one() for _ in range(count)))
    return times


def most_in_a_window(times: list[float]) -> int:
    """The most departures within any 60 seconds (less a rounding error)."""
    window: deque[float] = deque()
    most = 0
    for at in sorted(times):
        window.append(at)
        while window[0] <= at - 59.999_999:
            window.popleft()
        most = max(most, len(window))
    return most


def left(remaining: int, reset: float, limit: int = 120) -> dict[str, str]:
    return {
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": str(reset),
    }


def test_a_burst_up_to_the_limit_leaves_at_once_and_the_rest_a_minute_later():
    async def main() -> None:
        assert await departures(RateLimiter(30), 70) == [0.0] * 30 + [60.0] * 30 + [120.0] * 10

    run(main())


@given(
    per_minute=st.integers(1, 20),
    gaps=st.lists(st.floats(0, 30), max_size=60),
)
@settings(max_examples=100)
def test_no_window_of_a_minute_holds_more_than_the_limit_and_nobody_is_overtaken(per_minute, gaps):
    async def main() -> None:
        limiter, order, times = RateLimiter(per_minute), [], []

        async def one(number: int) -> None:
            await limiter.acquire()
            order.append(number)
            times.append(now())
            limiter.observe({})

        async with asyncio.TaskGroup() as group:
            for number, gap in enumerate(gaps):
                group.create_task(one(number))
                await asyncio.sleep(gap)
        assert order == list(range(len(gaps)))
        assert most_in_a_window(times) <= per_minute

    run(main())


def test_nothing_waits_while_plenty_remains():
    async def main() -> None:
        limiter = RateLimiter(1000)
        for _ in range(900):
            await limiter.acquire()
            limiter.observe(left(500, 60, 1000))
        assert now() == 0

    run(main())


def test_when_nothing_remains_requests_wait_for_the_reset():
    async def main() -> None:
        limiter = RateLimiter(120)
        limiter.observe(left(0, 17))
        assert await departures(limiter, 2) == [17, 17]

    run(main())


def test_what_remains_may_leave_and_no_more():
    async def main() -> None:
        limiter = RateLimiter(120)
        limiter.observe(left(3, 40))
        assert await departures(limiter, 4) == [0, 0, 0, 40]

    run(main())


def test_requests_on_their_way_are_taken_off_what_remains():
    async def main() -> None:
        limiter = RateLimiter(120)
        for _ in range(4):
            await limiter.acquire()
        limiter.observe(left(5, 40))  # three are still on their way: two may leave
        assert await departures(limiter, 3) == [0, 0, 40]

    run(main())


def test_a_waiting_request_leaves_early_when_an_answer_says_that_more_remains():
    async def main() -> None:
        limiter = RateLimiter(120)
        await limiter.acquire()
        limiter.observe(left(0, 50))
        waiting = asyncio.create_task(departures(limiter, 1))
        await asyncio.sleep(5)
        limiter.observe(left(10, 50))
        assert await waiting == [5]

    run(main())


@pytest.mark.parametrize("date", [None, "Sat, 15 Mar 2025 10:30:00 GMT"])
def test_the_reset_may_be_a_time_by_the_servers_clock_or_ours(date, monkeypatch):
    monkeypatch.setattr(limiter_module.time, "time", lambda: 1_742_034_600.0 if date is None else 0.0)

    async def main() -> None:
        limiter = RateLimiter(120)
        limiter.observe(left(0, 1_742_034_600 + 25) | ({} if date is None else {"Date": date}))
        assert await departures(limiter, 1) == [25]

    run(main())


def test_a_reset_far_away_is_not_waited_for_in_silence():
    async def main() -> None:
        limiter = RateLimiter(120)
        limiter.observe(left(0, 86_400))
        assert await departures(limiter, 1) == [120]

    run(main())


def test_a_reset_in_the_past_holds_nobody_back():
    async def main() -> None:
        limiter = RateLimiter(120)
        limiter.observe(left(0, 1_000_000_001))
        assert await departures(limiter, 1) == [0]

    run(main())


@pytest.mark.parametrize(("said", "limit"), [("60", 60), ("5000", 120), ("0", 120), ("many", 120), ("nan", 120)])
def test_the_limit_is_the_lower_of_the_configured_one_and_the_servers(said, limit):
    async def main() -> None:
        limiter = RateLimiter(120)
        limiter.observe({"x-ratelimit-limit": said})
        assert limiter.limit == limit

    run(main())


def test_the_servers_limit_may_rise_again():
    async def main() -> None:
        limiter = RateLimiter(120)
        limiter.observe({"X-RateLimit-Limit": "30"})
        limiter.observe({"X-RateLimit-Limit": "90"})
        assert limiter.limit == 90

    run(main())


@pytest.mark.parametrize(
    "headers",
    [
        {"X-RateLimit-Remaining": "0"},
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "soon"},
        {"X-RateLimit-Remaining": "-1", "X-RateLimit-Reset": "50"},
        {"X-RateLimit-Remaining": "inf", "X-RateLimit-Reset": "50"},
        {"X-RateLimit-Remaining": "", "X-RateLimit-Reset": "50"},
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "-50"},
        {"X-RateLimit-Reset": "50"},
    ],
)
def test_headers_that_make_no_sense_hold_nobody_back(headers):
    async def main() -> None:
        limiter = RateLimiter(120)
        limiter.observe(headers)
        assert await departures(limiter, 1) == [0]

    run(main())


def test_after_a_pause_starts_nobody_leaves_before_it_ends():
    async def main() -> None:
        limiter = RateLimiter(120)
        limiter.pause(20)
        limiter.pause(5)
        assert await departures(limiter, 2) == [20, 20]

    run(main())


def test_a_reset_does_not_shorten_a_pause():
    async def main() -> None:
        limiter = RateLimiter(120)
        limiter.pause(30)
        limiter.observe(left(0, 10))
        assert await departures(limiter, 1) == [30]

    run(main())


def test_a_pause_that_starts_while_others_wait_holds_them_back_too():
    async def main() -> None:
        limiter = RateLimiter(2)
        waiting = asyncio.create_task(departures(limiter, 3))
        await asyncio.sleep(1)
        limiter.pause(100)
        assert await waiting == [0, 0, 101]

    run(main())


def test_a_cancelled_waiter_gives_its_turn_to_the_next():
    async def main() -> None:
        limiter = RateLimiter(1)
        await limiter.acquire()
        first, second = (asyncio.create_task(departures(limiter, 1)) for _ in range(2))
        await asyncio.sleep(1)
        first.cancel()
        assert await second == [60]
        with pytest.raises(asyncio.CancelledError):
            await first

    run(main())


class Account:
    """A rate-limited account as a server counts it: over a sliding or a fixed window."""

    def __init__(self, limit: int, *, sliding: bool) -> None:
        self.limit, self.sliding = limit, sliding
        self.hits: list[float] = []

    def take(self) -> tuple[bool, Mapping[str, str]]:
        start = now() - 60 if self.sliding else now() // 60 * 60
        self.hits = [at for at in self.hits if at > start or (not self.sliding and at == start)]
        accepted = len(self.hits) < self.limit
        if accepted:
            self.hits.append(now())
        ends = (self.hits[0] if self.sliding else start) + 60
        return accepted, left(self.limit - len(self.hits), ends - now(), self.limit)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("sliding", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_two_processes_sharing_an_account_finish_in_about_the_time_it_takes_and_no_request_starves(sliding, seed):
    pick = random.Random(seed)

    async def main() -> None:
        account = Account(60, sliding=sliding)
        done = worst = 0

        async def one(limiter: RateLimiter) -> None:
            nonlocal done, worst
            refused = 0
            while True:
                await limiter.acquire()
                await asyncio.sleep(pick.uniform(0.01, 0.3))
                accepted, headers = account.take()
                await asyncio.sleep(pick.uniform(0.01, 0.3))
                limiter.observe(headers)
                if accepted:
                    done += 1
                    return
                refused += 1
                worst = max(worst, refused)
                limiter.pause(float(headers["X-RateLimit-Reset"]))

        async def process() -> None:
            limiter, gate = RateLimiter(120), asyncio.Semaphore(10)

            async def gated() -> None:
                async with gate:
                    await one(limiter)

            await asyncio.gather(*(gated() for _ in range(150)))

        await asyncio.gather(process(), process())
        assert done == 300
        assert worst <= 2  # no request is refused again and again
        assert now() < 60 * 9  # 300 requests at 60 a minute are 5 minutes

    run(main())
