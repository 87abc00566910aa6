"""The pace of requests: as fast as the account's rate limit allows, never faster.

The limit is per account and minute (published: 30 to 120) and shared with other processes and people. Besides its own
count, the limiter uses the ``X-RateLimit-*`` headers of each answer, which say what is left for everybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

WINDOW = 60.0
"""Seconds over which requests are counted."""

LONGEST_WAIT = 120.0
"""Seconds. If a server names a later time, it is asked again then, so that nobody waits in silence for hours."""

_EPOCH_FROM = 1_000_000_000
"""``X-RateLimit-Reset`` from here on is a time (seconds since 1970), below it a number of seconds to wait."""
_MILLISECONDS_FROM = 100_000_000_000
"""From here on a time is in milliseconds: in seconds it would be in the year 5138."""


def server_time(headers: Mapping[str, str]) -> float:
    """Seconds since 1970 by the server's clock (``Date``), or by ours if there is none.

    ``headers`` have lower-case names.
    """
    with contextlib.suppress(ValueError, OverflowError, KeyError):
        return parsedate_to_datetime(headers["date"]).timestamp()
    return time.time()


def number(text: str | None) -> float | None:
    """The number in a header, from 0 up; ``None`` for anything else."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


class RateLimiter:
    """Lets requests through in the order in which they asked; shared by all tasks of one event loop.

    Three things hold a request back: this side sent as many as the limit within the last 60 seconds; the server said
    that nothing remains (``Remaining: 0``) until ``Reset``; the server answered 429 (``pause``). Otherwise it is sent at
    once, so a burst does not wait. (Sending one request ahead after a reset, to learn what others leave of the new minute,
    was tried: there were as many refusals, since these come from the requests under way at the end of a minute.)

    Each ``acquire`` needs one ``observe``, with empty headers if no answer came: requests under way are subtracted from
    what the server says remains.
    """

    def __init__(self, per_minute: int) -> None:
        self._configured = max(1, per_minute)
        self._limit = self._configured
        self._sent: deque[float] = deque()
        self._under_way = 0
        self._remaining = math.inf
        self._reset_at = -math.inf
        self._not_before = -math.inf
        self._order = asyncio.Lock()
        self._news = asyncio.Event()

    @property
    def limit(self) -> int:
        """Requests a minute: as configured, or fewer if the server says so."""
        return self._limit

    def wait(self) -> float:
        """Seconds until the next request may be sent, as known now."""
        now = asyncio.get_running_loop().time()
        sent = self._sent
        while sent and sent[0] <= now - WINDOW:
            sent.popleft()
        until = self._not_before
        if len(sent) >= self._limit:
            until = max(until, sent[-self._limit] + WINDOW)
        if self._remaining <= 0:
            until = max(until, self._reset_at)
        return max(0.0, until - now)

    def spare(self) -> float:
        """Requests a second that the account has left: as many as its limit allows while half of them or more remain, of
        this side's count and of what the last answer told, then fewer; none in the minute after a refusal.
        """
        if self.wait() > 0 or asyncio.get_running_loop().time() < self._not_before + WINDOW:
            return 0.0
        return max(0.0, min(self._limit, 2 * (self._limit - len(self._sent)), 2 * self._remaining)) / WINDOW

    async def acquire(self) -> None:
        """Wait until a request may be sent. First come, first served."""
        async with self._order:
            while (seconds := self.wait()) > 0:
                self._news.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await self._news.wait()
            self._sent.append(asyncio.get_running_loop().time())
            self._under_way += 1
            self._remaining -= 1

    def observe(self, headers: Mapping[str, str]) -> None:
        """Learn from an answer's headers; unreadable values are ignored.

        ``X-RateLimit-Limit`` is in requests a minute. ``X-RateLimit-Reset`` may be a time or a number of seconds. Without
        a readable ``Reset``, ``Remaining`` is ignored: it would not say until when.
        """
        self._under_way = max(0, self._under_way - 1)
        headers = {name.lower(): value for name, value in headers.items()}
        limit = number(headers.get("x-ratelimit-limit"))
        if limit is not None and limit >= 1:
            self._limit = min(self._configured, int(limit))
        remaining = number(headers.get("x-ratelimit-remaining"))
        reset = number(headers.get("x-ratelimit-reset"))
        if remaining is not None and reset is not None:
            reset = reset / 1000 if reset >= _MILLISECONDS_FROM else reset
            seconds = reset - server_time(headers) if reset >= _EPOCH_FROM else reset
            self._reset_at = asyncio.get_running_loop().time() + min(seconds, LONGEST_WAIT)
            self._remaining = max(0, int(remaining) - self._under_way)
        self._news.set()

    def pause(self, seconds: float) -> None:
        """Send nothing for some seconds (a 429 with ``Retry-After``). A shorter pause does not end a longer one."""
        self._not_before = max(self._not_before, asyncio.get_running_loop().time() + seconds)
        self._news.set()
