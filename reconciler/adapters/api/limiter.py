"""The pace of requests: as fast as the account's rate limit allows, never faster.

The limit is per account and minute (published: 30 to 120) and shared with other processes and people. All runs on one
machine count together (:mod:`reconciler.adapters.api.ledger`). Of others, the ``X-RateLimit-*`` headers of each answer tell.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from secrets import token_hex
from typing import Final, Protocol

from reconciler.adapters.api import ledger
from reconciler.adapters.api.ledger import LONGEST_WAIT, Ledger, News

BUSY: Final = 1.0
"""Seconds that the shared document is tried for, before a request goes by what is known of it."""
LEAVE: Final = 10.0
"""Seconds after that before it is tried again: a stopped process may hold it."""
_TURN: Final = 0.002
"""Seconds between two attempts."""

_EPOCH_FROM = 1_000_000_000
"""``X-RateLimit-Reset`` from here on is a time (seconds since 1970), below it a number of seconds to wait."""
_MILLISECONDS_FROM = 100_000_000_000
"""From here on a time is in milliseconds: in seconds it would be in the year 5138."""


class Shared(Protocol):
    """A small document that all runs of an account on this machine share."""

    def exchange(self, change: Callable[[bytes], bytes]) -> bool:
        """Replace it by what ``change`` makes of it, while nobody else does; ``False``: somebody else does just now.

        Raises:
            OSError: it can't be used, and won't be asked for again.

        """

    def close(self) -> None: ...


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
    """Lets requests through in the order in which they asked; shared by all tasks of one event loop, and through
    ``shared`` by all runs of the account on this machine. Where that can't be used, this run counts its own.

    Four things hold a request back: as many as the limit were sent within the last 60 seconds; the server said that
    nothing remains (``Remaining: 0``) until ``Reset``; the server answered 429 (``pause``); another run waits that sent
    fewer. Otherwise it is sent at once, so a burst does not wait. After a reset one request goes ahead, and others follow
    at the pace of the limit until its answer tells what remains.

    Each ``acquire`` needs one ``observe``, with empty headers if no answer came: requests under way are subtracted from
    what the server says remains.
    """

    def __init__(
        self, per_minute: int, shared: Shared | None = None, note: Callable[[str], None] = lambda _: None
    ) -> None:
        self._most = max(1, per_minute)
        self._shared = shared
        self._note = note
        self._left_until = -math.inf
        self._run = token_hex(4)
        self._ledger = Ledger()
        """As it was when this run looked last."""
        self._left = b""
        """The shared document as this run left it."""
        self._unsaid: list[Callable[[Ledger], None]] = []
        """What the shared document does not have yet."""
        self._under_way: deque[float] = deque()
        self._order = asyncio.Lock()
        self._news = asyncio.Event()

    @property
    def limit(self) -> int:
        """Requests a minute: as configured, or fewer if the server says so."""
        return min(self._most, self._ledger.limit or self._most)

    def wait(self) -> float:
        """Seconds until the next request may be sent, as known now."""
        now = asyncio.get_running_loop().time()
        return max(0.0, self._ledger.ready_at(self._run, now, self.limit) - now)

    def spare(self) -> float:
        """Requests a second that the account has left: as many as its limit allows while half of them or more remain, of
        those counted here and of what the last answer told, then fewer; none in the minute after a refusal.
        """
        now, known = asyncio.get_running_loop().time(), self._ledger
        if self.wait() > 0 or now < known.paused + ledger.WINDOW:
            return 0.0
        used = known.used(now) if known.limit else known.count(self._run, now)
        remaining = math.inf if known.remaining is None else known.remaining
        return max(0.0, min(self.limit, 2 * (self.limit - used), 2 * remaining)) / ledger.WINDOW

    async def acquire(self, report: Callable[[float], None] = lambda _: None) -> None:
        """Wait until a request may be sent. First come, first served. ``report`` is told the seconds that it waits."""
        loop = asyncio.get_running_loop()
        async with self._order:
            while (at := await self._turn()) > (now := loop.time()):
                report(at - now)
                self._news.clear()
                look = at if self._shared is None else min(at, now + ledger.LOOK)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(look - now):
                        await self._news.wait()

    async def _turn(self) -> float:
        """Take a request if one may be sent; when to try again, or a time that is over."""
        loop = asyncio.get_running_loop()
        end = loop.time() + BUSY
        result = -math.inf

        def look(known: Ledger) -> None:
            nonlocal result
            now = loop.time()
            result = known.ready_at(self._run, now, self.limit)
            if result > now:
                known.wait(self._run, now, min(result, now + ledger.LOOK))
            else:
                known.take(self._run, now, self.limit)
                self._under_way.append(now)

        while not self._meet(look):
            if loop.time() >= end:
                self._left_until = loop.time() + LEAVE
            await asyncio.sleep(_TURN)
        return result

    def _meet(self, act: Callable[[Ledger], None]) -> bool:
        """Do something with the newest ledger; ``False`` if another run has it just now."""
        now, done = asyncio.get_running_loop().time(), False

        def change(data: bytes) -> bytes:
            nonlocal done
            known = self._ledger  # as good where no other run was there, or where the document was thrown away
            if data != self._left and (found := ledger.read(data, now)) is not None:
                known = self._ledger = found
                for said in self._unsaid:
                    said(known)
            known.forget(now)
            act(known)
            done = True
            self._left = ledger.written(known)
            return self._left

        if self._shared is not None and now >= self._left_until:
            try:
                if not self._shared.exchange(change):
                    return False
            except OSError as error:
                self._shared.close()
                self._shared = None
                self._note(f"this run counts its requests by itself: {error.strerror or error}")
                return done or self._meet(act)
            self._unsaid.clear()
            return True
        self._ledger.forget(now)
        act(self._ledger)
        return True

    def _say(self, change: Callable[[Ledger], None]) -> None:
        """Do something now as far as this run is concerned, and for all others when they are met next."""
        change(self._ledger)
        if self._shared is not None:
            self._unsaid.append(change)

    def observe(self, headers: Mapping[str, str]) -> None:
        """Learn from an answer's headers; unreadable values are ignored.

        ``X-RateLimit-Limit`` is in requests a minute. ``X-RateLimit-Reset`` may be a time or a number of seconds. Without
        a readable ``Reset``, ``Remaining`` is ignored: it would not say until when.
        """
        now, run = asyncio.get_running_loop().time(), self._run
        sent = self._under_way.popleft() if self._under_way else now
        news = self._read({name.lower(): value for name, value in headers.items()}, now)
        self._say(lambda known: known.answered(run, sent, now, news))
        self._news.set()

    def _read(self, headers: Mapping[str, str], now: float) -> News:
        told = number(headers.get("x-ratelimit-limit"))
        limit = int(told) if told is not None and told >= 1 else 0
        remaining = number(headers.get("x-ratelimit-remaining"))
        reset = number(headers.get("x-ratelimit-reset"))
        if remaining is None or reset is None:
            return News(limit)
        reset = reset / 1000 if reset >= _MILLISECONDS_FROM else reset
        seconds = reset - server_time(headers) if reset >= _EPOCH_FROM else reset
        used = (limit or self._ledger.limit or self._most) - int(remaining)
        left = max(0, int(remaining) - len(self._under_way))
        return News(limit, used, left, now + min(seconds, LONGEST_WAIT))

    def pause(self, seconds: float) -> None:
        """Send nothing for some seconds (a 429 with ``Retry-After``), in no run of the account on this machine. A shorter
        pause does not end a longer one.
        """
        now, most = asyncio.get_running_loop().time(), self._most

        def stop(known: Ledger) -> None:
            known.pause(now, now + seconds, most)
            known.limit = known.limit or most  # there is a limit, though the server does not tell it

        self._say(stop)
        if self._shared is not None:
            self._meet(lambda _: None)
        self._news.set()

    def close(self) -> None:
        """Tell other runs what they do not know yet. Nothing may be sent afterwards."""
        if self._shared is not None:
            if self._unsaid:
                self._meet(lambda _: None)
            if self._shared is not None:
                self._shared.close()
