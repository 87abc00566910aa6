"""What runs on one machine share about the rate limit, and what they make of a document that is no good. Virtual time."""

import asyncio
import json
import math
import random
from collections import Counter

import pytest

from reconciler.adapters.api import ledger
from reconciler.adapters.api.limiter import BUSY, RateLimiter
from tests.virtual_time import run

BOUNDS = {1: (0.02, 2), 2: (0.12, 3)}
"""By machines: the most requests that are refused, as a part, and how far a machine's part may be from the fair one."""


def now():
    return asyncio.get_running_loop().time()


class Document:
    """What a machine's runs share."""

    def __init__(self, data=b""):
        self.data, self.exchanges, self.held_until, self.broken = data, 0, -math.inf, None

    def exchange(self, change):
        if self.broken:
            raise self.broken
        if now() < self.held_until:
            return False
        self.exchanges += 1
        self.data = change(self.data)
        return True

    def close(self):
        pass


class Account:
    """A server's count, over a sliding or a fixed minute; it names whole seconds, as servers do."""

    def __init__(self, limit, *, sliding=True):
        self.limit, self.sliding = limit, sliding
        self.hits, self.asked = [], []

    def take(self, who):
        start = now() - 60 if self.sliding else now() // 60 * 60
        self.hits = [at for at in self.hits if at > start or (not self.sliding and at == start)]
        served = len(self.hits) < self.limit
        if served:
            self.hits.append(now())
        self.asked.append((who, served))
        seconds = max(1, math.ceil((self.hits[0] if self.sliding else start) + 60 - now()))
        headers = {"X-RateLimit-Limit": self.limit, "X-RateLimit-Remaining": self.limit - len(self.hits)}
        return served, {name: str(value) for name, value in (headers | {"X-RateLimit-Reset": seconds}).items()}


async def busy(account, who, document, *, until, pick, tasks=4):
    """A process that always has something to ask."""
    limiter = RateLimiter(1000, document)

    async def ask():
        while now() < until:
            await limiter.acquire()
            await asyncio.sleep(pick.uniform(0.02, 0.3))
            served, headers = account.take(who)
            await asyncio.sleep(pick.uniform(0.02, 0.3))
            limiter.observe(headers)
            if not served:
                limiter.pause(float(headers["X-RateLimit-Reset"]))
                await asyncio.sleep(float(headers["X-RateLimit-Reset"]))

    await asyncio.gather(*(ask() for _ in range(tasks)))
    limiter.close()


async def departures(limiter, count, seconds=0):
    times = []
    for _ in range(count):
        await limiter.acquire()
        times.append(now())
        await asyncio.sleep(seconds / 2)
        limiter.observe({})
        await asyncio.sleep(seconds / 2)
    return times


def told(remaining, reset, limit=120):
    return {"X-RateLimit-Limit": f"{limit}", "X-RateLimit-Remaining": f"{remaining}", "X-RateLimit-Reset": f"{reset}"}


@pytest.mark.sampled(6)
@pytest.mark.parametrize("sliding", [True, False])
@pytest.mark.parametrize("machines", [(8,), (4, 4)])
def test_eight_processes_use_the_whole_limit_without_a_storm_and_fairly(machines, sliding):
    async def main():
        account, pick = Account(120, sliding=sliding), random.Random(1)
        documents = [Document() for _ in machines]
        who = [(machine, n) for machine, count in enumerate(machines) for n in range(count)]
        await asyncio.gather(*(busy(account, each, documents[each[0]], until=300, pick=pick) for each in who))
        served = Counter(each for each, good in account.asked if good)
        refused, factor = BOUNDS[len(machines)]
        assert served.total() >= 0.85 * 120 * 5
        assert sum(not good for _, good in account.asked) <= refused * len(account.asked)
        assert all(served.total() / 8 / factor <= served[each] <= factor * served.total() / 8 for each in who), served

    run(main())


def test_who_comes_late_gets_its_share_at_the_next_minute():
    async def main():
        account, document, pick = Account(30), Document(), random.Random(2)
        first = asyncio.create_task(busy(account, "first", document, until=180, pick=pick))
        await asyncio.sleep(30)
        account.asked.clear()
        await asyncio.gather(first, busy(account, "late", document, until=180, pick=pick))
        served = Counter(who for who, good in account.asked if good)
        assert all(good for _, good in account.asked)
        assert served["late"] >= served["first"]

    run(main())


def test_a_process_alone_looks_once_for_each_request():
    async def main():
        document = Document()
        limiter = RateLimiter(120, document)
        for _ in range(50):
            await limiter.acquire()
            limiter.observe(told(70, 60))
        assert document.exchanges == 50
        limiter.close()
        assert document.exchanges == 51  # the last answer

    run(main())


def test_what_one_run_sent_counts_for_the_next_one():
    async def main():
        document = Document()
        first = RateLimiter(120, document)
        await first.acquire()
        first.observe(told(29, 60, 30))
        await departures(first, 29)
        first.close()
        assert (await departures(RateLimiter(120, document), 1))[0] == pytest.approx(60 + ledger.ROOM)

    run(main())


def test_where_the_server_tells_no_limit_each_run_has_its_own():
    async def main():
        document = Document()
        for _ in range(2):
            limiter = RateLimiter(10, document)
            assert await departures(limiter, 10) == [0] * 10
            limiter.close()
        assert await departures(RateLimiter(10, document), 11) == [0] * 10 + [60]

    run(main())


def test_a_refusal_pauses_all_runs_of_the_account_at_once():
    async def main():
        document = Document()
        one, other = RateLimiter(120, document), RateLimiter(120, document)
        await departures(other, 1)
        await one.acquire()
        one.observe({})
        one.pause(20)
        assert await departures(other, 1) == [20]

    run(main())


def test_a_run_that_waits_hears_of_a_pause_and_of_a_new_limit():
    async def main():
        document = Document()
        one, other = RateLimiter(120, document), RateLimiter(120, document)
        await one.acquire()
        one.observe(told(0, 50))
        waiting = asyncio.create_task(departures(one, 1))
        await asyncio.sleep(5)
        other.pause(100)
        assert await waiting == [pytest.approx(105, abs=0.2)]

    run(main())


def test_a_killed_run_holds_nobody_up():
    async def main():
        document = Document()
        one = RateLimiter(120, document)
        await one.acquire()
        one.observe(told(0, 4, 10))
        killed = asyncio.create_task(RateLimiter(120, document).acquire())  # it sent nothing, so it comes first
        await asyncio.sleep(1)
        killed.cancel()
        assert (await departures(one, 1))[0] <= 4 + ledger.LOOK + ledger.LATE

    run(main())


def document_of(**changes):
    return json.dumps(json.loads(ledger.written(ledger.Ledger())) | changes).encode()


IMPOSSIBLE = {
    "empty": b"",
    "torn": ledger.written(ledger.Ledger())[:40],
    "longer than what was cut off": ledger.written(ledger.Ledger()) + b'":[1]}}',
    "not text": b"\xff\xfe\x00",
    "deep": b"[" * 100_000,
    "another shape": b'{"limit": "many"}',
    "a pause until 2099": document_of(limit=30, paused=4_070_908_800.0),
    "a reset until 2099": document_of(limit=30, remaining=0, reset=4_070_908_800.0),
    "requests of tomorrow": document_of(limit=1, sent={"a": [86_400.0]}),
    "a clock that went back": document_of(limit=2, sent={"a": [900.0, 905.0, 910.0]}, heard=910.0, latest=910.0),
    "requests in no order": document_of(limit=1, sent={"a": [5.0, 1.0]}),
    "no requests": document_of(sent={"a": []}),
    "no limit": document_of(limit=-5),
    "a long gap": document_of(gap=1e9),
    "a run that waits for ever": document_of(limit=1, waiting={"a": [0.0, 1e12]}),
    "a limit beyond all numbers": document_of(limit=10**400),
    "no number": b'{"paused": NaN}',
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_no_run_can_have_written_is_thrown_away(name):
    async def main():
        document = Document(IMPOSSIBLE[name])
        assert await departures(RateLimiter(5, document), 5) == [0] * 5
        assert ledger.read(document.data, now()) is not None

    run(main())


@pytest.mark.parametrize(
    ("data", "most"),
    [
        (document_of(limit=30, paused=119.0), 120),
        (document_of(limit=30, remaining=0, reset=120.0), 120),
        (document_of(limit=1, sent={"a": [1.0]}), 61 + ledger.ROOM),
        (document_of(limit=1, waiting={f"{n}": [-9.0, 2.0] for n in range(100)}), 60),
        (document_of(limit=120, waiting={f"{n}": [-9.0, 2.0] for n in range(200)}), 4),
        (document_of(limit=10, sent={f"{n}": [0.0] for n in range(100)}), 60 + ledger.ROOM),
    ],
)
def test_what_a_run_could_have_written_holds_back_for_two_minutes_at_most(data, most):
    async def main():
        await asyncio.sleep(1)
        assert (await departures(RateLimiter(120, Document(data)), 1))[0] <= most

    run(main())


@pytest.mark.sweep
def test_a_document_stays_small():
    async def main():
        document = Document()
        limiters = [RateLimiter(10**6, document) for _ in range(20)]
        for _ in range(120):
            for limiter in limiters:
                await limiter.acquire()
                limiter.observe({})
        assert len(document.data) < 100_000

    run(main())


def test_a_stopped_process_that_holds_the_file_delays_one_request_by_a_second():
    async def main():
        document = Document()
        limiter = RateLimiter(120, document)
        await departures(limiter, 1, 0.01)
        document.held_until = 30
        first, *others = await departures(limiter, 8, 0.01)
        assert BUSY <= first <= BUSY + 0.1
        assert others[-1] == pytest.approx(first + 0.07)
        await asyncio.sleep(40)
        await departures(limiter, 1, 0.01)
        assert len(next(iter(json.loads(document.data)["sent"].values()))) == 10  # what it sent meanwhile is told

    run(main())


def test_a_wait_for_the_file_ends_at_once_when_the_run_is_stopped():
    async def main():
        document = Document()
        document.held_until = 100
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await RateLimiter(120, document).acquire()
        assert now() == pytest.approx(0.1)

    run(main())


@pytest.mark.parametrize("number", range(3))
def test_where_the_file_can_not_be_used_a_run_counts_by_itself_and_says_so_once(number):
    async def main():
        document, said = Document(), []
        limiter = RateLimiter(4, document, said.append)
        await departures(limiter, number)
        document.broken = OSError(28, "No space left on device")
        times = await departures(limiter, 5 - number)
        assert times == [0] * (4 - number) + [60]
        assert said == ["this run counts its requests by itself: No space left on device"]

    run(main())
