"""The pace of requests: as fast as the account's rate limit allows, never faster.

The limit is per account and minute (published: 30 to 120) and shared with other processes and people, so this side's
own count is only half of the truth: each answer's ``X-RateLimit-*`` headers tell what is left for everybody.
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
"""Seconds. A server that names a later time is asked again then, so that nobody waits in silence for hours."""

_EPOCH_FROM = 1_000_000_000
"""``X-RateLimit-Reset`` from here on is a time (seconds since 1970), below it a number of seconds to wait."""
_MILLISECONDS_FROM = 100_000_000_000
"""From here on a time is in milliseconds: in seconds it would be in the year 5138."""


def server_time(headers: Mapping[str, str]) -> float:
    """Seconds since 1970 by the server's clock (``Date``), by ours where it does not say.

    ``headers`` have lower-case names.
    """
    with contextlib.suppress(ValueError, OverflowError, KeyError):
        return parsedate_to_datetime(headers["date"]).timestamp()
    return time.time()


def number(text: str | None) -> float | None:
    """A header's number, zero or more; anything else is ``None``."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


class RateLimiter:
    """Lets requests out in the order in which they were asked for; shared by all tasks of one event loop.

    Three things hold a request back: this side has sent the limit within the last 60 seconds; the server has said
    that nothing remains (``Remaining: 0``) until ``Reset``; the server has answered 429 (``pause``). With none of
    them a request leaves at once, so a burst costs no waiting. (Sending one ahead after a reset, to learn what others
    leave of the new minute, was tried: refusals stayed the same, as they come from what is on its way at the end.)

    Every ``acquire`` is followed by one ``observe``, with empty headers when no answer came: what is on its way has to
    be taken off what the server says remains.
    """

    def __init__(self, per_minute: int) -> None:
        self._configured = max(1, per_minute)
        self._limit = self._configured
        self._sent: deque[float] = deque()
        self._on_their_way = 0
        self._remaining = math.inf
        self._reset_at = -math.inf
        self._not_before = -math.inf
        self._order = asyncio.Lock()
        self._news = asyncio.Event()

    @property
    def limit(self) -> int:
        """Requests a minute: what is configured, or less if the server says so."""
        return self._limit

    def wait(self) -> float:
        """Seconds until the next request may leave, as known now; 0 when it may leave at once."""
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

    async def acquire(self) -> None:
        """Wait until a request may leave. First come, first served."""
        async with self._order:
            while (seconds := self.wait()) > 0:
                self._news.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await self._news.wait()
            self._sent.append(asyncio.get_running_loop().time())
            self._on_their_way += 1
            self._remaining -= 1

    def observe(self, headers: Mapping[str, str]) -> None:
        """Learn from an answer's headers; other names and unreadable values are passed over.

        ``X-RateLimit-Limit`` is taken as requests a minute. ``X-RateLimit-Reset`` may be a time or a number of
        seconds. Without a readable ``Reset`` what ``Remaining`` says is not believed: nobody would know until when.
        """
        self._on_their_way = max(0, self._on_their_way - 1)
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
            self._remaining = max(0, int(remaining) - self._on_their_way)
        self._news.set()

    def pause(self, seconds: float) -> None:
        """Send nothing for so many seconds (a 429 with ``Retry-After``); a shorter pause never ends a longer one."""
        self._not_before = max(self._not_before, asyncio.get_running_loop().time() + seconds)
        self._news.set()
