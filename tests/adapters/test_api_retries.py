from __future__ import annotations

import asyncio

import httpx
import pytest

from reconciler.adapters.api import sending
from reconciler.adapters.api.client import ApiClient
from reconciler.adapters.api.limiter import RateLimiter
from reconciler.model.errors import ApiError, ProjectLimitError, RateLimitedError, UnknownFateError, UnreachableError
from reconciler.model.values import WireBody
from tests.adapters.api_support import BRIEF, BY_NAME, ENDPOINTS, Script, ask, good, refusal, reply, script
from tests.virtual_time import run

DOWN = httpx.ConnectError("refused")
LIMITED = refusal(429, "rate_limited")


@pytest.fixture(autouse=True)
def _no_luck(monkeypatch):
    """Every backoff takes its longest."""
    monkeypatch.setattr(sending.random, "random", lambda: 1.0)


def waits(server: Script) -> list[float]:
    """Seconds between one request and the next."""
    return [later - earlier for earlier, later in zip(server.times, server.times[1:], strict=False)]


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: e.name)
def test_a_call_gets_through_once_the_server_is_there(endpoint):
    passing = [DOWN, DOWN, *([] if endpoint.doubled else [LIMITED])]
    server = script(*passing, good(endpoint))
    assert ask(server, endpoint.make) is not None
    assert len(server.requests) == len(passing) + 1


@pytest.mark.parametrize("endpoint", [e for e in ENDPOINTS if e.reads], ids=lambda e: e.name)
def test_a_read_outlives_every_passing_fault(endpoint):
    server = script(httpx.ReadTimeout(""), reply(502, b""), reply(endpoint.status, b'{"'), good(endpoint))
    assert ask(server, endpoint.make) is not None


def test_waits_double_up_to_a_ceiling_and_the_number_of_tries_is_bounded():
    server = script(DOWN)
    with pytest.raises(UnreachableError):
        ask(server, BY_NAME["project"].make, retries=9)
    assert waits(server) == pytest.approx([0.5, 1, 2, 4, 8, 16, 30, 30, 30])


def test_waits_are_drawn_from_the_whole_range_below_their_ceiling(monkeypatch):
    monkeypatch.setattr(sending.random, "random", lambda: 0.25)
    server = script(DOWN)
    with pytest.raises(UnreachableError):
        ask(server, BY_NAME["project"].make, retries=3)
    assert waits(server) == pytest.approx([0.125, 0.25, 0.5])


def test_no_retries_means_one_request():
    server = script(DOWN)
    with pytest.raises(UnreachableError):
        ask(server, BY_NAME["project"].make, retries=0)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7),
        ({"retry_after": "1.5"}, 1.5),
        ({"retry_after": "0"}, 0.5),
        ({"retry_after": "later"}, 0.5),
        ({"retry_after": "-3"}, 0.5),
        ({"retry_after": "Sat, 15 Mar 2025 10:30:20 GMT", "date": "Sat, 15 Mar 2025 10:30:00 GMT"}, 20),
        ({"retry_after": "Sat, 15 Mar 2025 10:29:00 GMT", "date": "Sat, 15 Mar 2025 10:30:00 GMT"}, 0.5),
        ({}, 0.5),
    ],
)
@pytest.mark.parametrize(
    ("answer", "least"), [(lambda h: refusal(429, "rate_limited", **h), 1.0), (lambda h: reply(503, b"", **h), 0.0)]
)
def test_the_server_says_how_long_to_wait_or_the_backoff_does(answer, least, headers, seconds):
    server = script(answer(headers), good(BY_NAME["project"]))
    ask(server, BY_NAME["project"].make)
    assert waits(server) == pytest.approx([max(seconds, least)])


@pytest.mark.parametrize("answer", [refusal(429, "rate_limited", retry_after="121"), reply(503, retry_after="121")])
def test_a_wait_of_more_than_two_minutes_is_raised_and_not_slept(answer):
    server = script(answer)

    async def main() -> None:
        async with server.client() as client:
            with pytest.raises(ApiError) as caught:
                await client.project("proj_1")
            assert caught.value.retry_after == 121
            assert len(server.requests) == 1
            with pytest.raises(ApiError):
                await client.project("proj_2")  # nor are others held back in silence
            assert asyncio.get_running_loop().time() == 0

    run(main())


def test_a_rate_limit_that_one_call_meets_holds_back_all_of_them():
    server = script(refusal(429, "rate_limited", retry_after="10"), good(BY_NAME["project"]))

    async def main() -> None:
        async with server.client() as client:
            first = asyncio.create_task(client.project("a"))
            await asyncio.sleep(1)
            await asyncio.gather(first, client.project("b"))

    run(main())
    assert server.times == [0, 10, 10]


def test_the_last_rate_limited_try_holds_back_the_others_as_well():
    server = script(refusal(429, "rate_limited", retry_after="10"), good(BY_NAME["project"]))

    async def main() -> None:
        async with server.client(retries=0) as client:
            with pytest.raises(RateLimitedError):
                await client.project("a")
            await client.project("b")

    run(main())
    assert server.times == [0, 10]


def test_full_slots_are_for_the_engine_to_wait_for():
    server = script(refusal(429, "project_limit", retry_after="10"))

    async def main() -> None:
        async with server.client() as client:
            with pytest.raises(ProjectLimitError) as caught:
                await client.create(BRIEF)
            assert caught.value.retry_after == 10
            await asyncio.wait_for(_ignored(client), 1)  # and nobody else is held back

    async def _ignored(client: ApiClient) -> None:
        with pytest.raises(ProjectLimitError):
            await client.create(BRIEF)

    run(main())


def test_a_change_of_unknown_fate_is_not_sent_again_after_a_harmless_fault():
    server = script(DOWN, httpx.ReadTimeout(""), good(BY_NAME["send"]))
    with pytest.raises(UnknownFateError):
        ask(server, BY_NAME["send"].make)
    assert len(server.requests) == 2


def test_waits_of_more_than_a_second_are_told_to_people():
    server, told = script(DOWN, DOWN, DOWN, refusal(429, "rate_limited", retry_after="9"), good(BY_NAME["project"])), []
    ask(server, BY_NAME["project"].make, on_retry=told.append)
    assert [line.rsplit(";", 1)[-1] for line in told if line.startswith("GET")] == [
        " trying again in 2 s",
        " trying again in 9 s",
    ]
    assert told[0].startswith("GET /projects/proj_1: the API can't be reached: refused;")


def test_the_pace_is_told_once_and_not_by_every_task():
    server, told = script(good(BY_NAME["project"])), []

    async def main() -> None:
        async with server.client(limiter=RateLimiter(10), on_retry=told.append) as client:
            await asyncio.gather(*(client.project("p") for _ in range(10)))
            await asyncio.gather(*(client.project("p") for _ in range(10)))

    run(main())
    assert told == ["rate limit of 10 requests a minute: waiting 60 s"]
    assert server.times == [0] * 10 + [60] * 10


def test_the_servers_headers_set_the_pace():
    empty = {"x_ratelimit_limit": "60", "x_ratelimit_remaining": "0", "x_ratelimit_reset": "12"}
    server = script(reply(200, BY_NAME["project"].answer, **empty), good(BY_NAME["project"]))

    async def main() -> None:
        async with server.client() as client:
            await client.project("a")
            await client.project("b")

    run(main())
    assert server.times == [0, 12]


def test_a_cancelled_call_leaves_the_client_usable():
    async def slow(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(20 if request.url.path.endswith("slow") else 0)
        return good(BY_NAME["project"])

    async def main() -> None:
        limiter = RateLimiter(120)
        async with ApiClient(
            "http://sandbox/api/v1", "k", limiter=limiter, transport=httpx.MockTransport(slow)
        ) as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.project("slow"), 5)
            assert (await client.project("fast")).id == "proj_1"
            assert client.requests == 2

    run(main())


def test_a_call_that_never_ends_is_cut_off():
    async def never(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async def main() -> None:
        transport = httpx.MockTransport(never)
        async with ApiClient("http://sandbox", "k", limiter=RateLimiter(9), transport=transport, timeout=3) as client:
            with pytest.raises(UnknownFateError):
                await client.send_message("proj_1", WireBody({"message": "x"}))
            assert asyncio.get_running_loop().time() == 12

    run(main())
