"""What the runs of one account on one machine know together about its rate limit: one small JSON document.

All times are the machine's, in seconds since it started, so that a clock that is set has no effect on them. A document
that can't be read, or that speaks of a time no run could have written, counts as none: it is only about a minute.
"""

# Annotations are values here, not texts: msgspec would compile each at every start.

from bisect import bisect_right, insort
from typing import Final

import msgspec
from msgspec import Struct, field

WINDOW = 60.0
"""Seconds over which requests are counted."""
LONGEST_WAIT = 120.0
"""Seconds. If a server names a later time, it is asked again then, so that nobody waits in silence for hours."""
ROOM = 2.0
"""Seconds beyond the window before a full account is used again. It tells others by whole seconds when that is; if they
were always late, they would never get a turn.
"""
LOOK: Final = 2.0
"""Seconds after which a run that waits looks at the document again."""
LATE: Final = 1.0
"""Seconds that a waiting run may look later than it said before nothing is kept free for it any longer."""
MOST: Final = 2000
"""Requests that are written down; an account that allows more in two minutes is paced by its answers."""
_FASTER: Final = 0.98
"""By this the time between two requests shrinks with each answer, after a refusal."""
_MOST_APART: Final = 3
"""It is this many times that of the limit at most."""
_TURN: Final = 0.1
"""Seconds between the turns of waiting runs, where one request at a time may be sent."""
_LONG_AGO: Final = -1e9


class News(Struct, frozen=True):
    """What an answer told; ``remaining``: ``None`` if it did not tell what remains."""

    limit: int = 0
    """Requests a minute; 0: it did not tell."""
    used: int = 0
    """Requests that the server counted."""
    remaining: int | None = None
    """Requests that may still be sent until ``reset``, without those of this run that are under way."""
    reset: float = _LONG_AGO


class Waiting(Struct, array_like=True):
    """A run that waits ``since`` then, and looks again at ``until``."""

    since: float
    until: float


class Ledger(Struct):
    """``paused``: nothing is sent before that time. ``remaining``: requests that may be sent until ``reset``, where the
    server counts more than those written down here, since somebody elsewhere uses the account; otherwise ``None``.
    """

    limit: int = 0
    """Requests a minute as the server told; 0: it told none."""
    paused: float = _LONG_AGO
    remaining: int | None = None
    reset: float = _LONG_AGO
    asking: bool = False
    """Whether requests go one by one, since what remains after the reset is not known yet."""
    heard: float = _LONG_AGO
    """When the request was sent whose answer told the latest."""
    gap: float = 0.0
    """Seconds from one request to the next, where somebody elsewhere uses the account and there were refusals."""
    latest: float = _LONG_AGO
    """When the latest request was sent."""
    sent: dict[str, list[float]] = field(default_factory=dict)
    """By run, when it sent requests; once one is answered, when that was, since the server counted it by then."""
    waiting: dict[str, Waiting] = field(default_factory=dict)

    def ready_at(self, run: str, now: float, most: int) -> float:
        """When a run may send the next request, as far as known; ``most``: how many it may send a minute."""
        at, own, start = max(self.paused, self.latest + self.gap), self.sent.get(run, []), now - WINDOW
        mine = _since(own, start)
        if mine >= most:
            at = max(at, own[-most] + WINDOW)
        ahead = self._ahead(run, now, mine)
        if self.limit:
            start -= ROOM
            used = sum(_since(times, start) for times in self.sent.values())
            if self.limit - used <= ahead:
                counted = sorted(time for times in self.sent.values() for time in times if time > start)
                last = counted[min(ahead + used - self.limit, used - 1)] + WINDOW + ROOM if counted else now + LOOK
                at = max(at, last)
        if self.remaining is not None and self.remaining <= ahead:
            soon = now + WINDOW / (self.limit or most)
            at = max(at, self.reset if self.remaining <= 0 else min(self.reset, soon))
        if ahead and (self.gap or self.asking or self.paused > now - WINDOW):
            at += ahead * _TURN
        return at

    def used(self, now: float) -> int:
        """Requests in the last minute, of all runs."""
        return sum(_since(times, now - WINDOW) for times in self.sent.values())

    def _ahead(self, run: str, now: float, mine: int) -> int:
        """Waiting runs that come first: those with fewer requests in the last minute, then those that wait longer."""
        if not self.waiting:
            return 0
        place = (mine, self.waiting.get(run, Waiting(now, now)).since)
        others = ((self.count(name, now), each) for name, each in self.waiting.items() if name != run)
        return sum((count, each.since) < place for count, each in others if each.until + LATE > now)

    def count(self, run: str, now: float) -> int:
        """Requests of a run in the last minute."""
        return _since(self.sent.get(run, []), now - WINDOW)

    def wait(self, run: str, now: float, until: float) -> None:
        """Note that a run waits, and looks again at ``until``."""
        me = self.waiting.setdefault(run, Waiting(now, until))
        me.until = until

    def take(self, run: str, now: float, most: int) -> None:
        """Note that a run sends a request now; ``most`` as in :meth:`ready_at`."""
        self.waiting.pop(run, None)
        self.latest = now
        insort(self.sent.setdefault(run, []), now)
        if self.remaining is None:
            return
        if now < self.reset:
            self.remaining -= 1
        elif self.remaining > 0 and not self.asking:
            self.remaining = None
        else:  # the answer tells what others left
            self.remaining, self.asking = 0, True
            self.reset = now + WINDOW / (self.limit or most)

    def answered(self, run: str, sent: float, now: float, news: News) -> None:
        """Note that a request was answered, and what that told."""
        times = self.sent.setdefault(run, [])
        place = bisect_right(times, sent) - 1
        if place >= 0 and times[place] == sent:
            del times[place]
        insort(times, now)
        self.limit = news.limit or self.limit
        if news.remaining is None:
            if self.asking:
                self.remaining, self.asking, self.gap = None, False, 0.0
        elif sent >= self.heard:  # else a later request told already
            self.heard, self.asking = sent, False
            self._learn(run, sent, news, news.remaining)

    def _learn(self, run: str, sent: float, news: News, remaining: int) -> None:
        """Compare what the server counted with what is written down here: the rest is somebody's elsewhere."""
        known = sum(_since(times, sent - WINDOW) for times in self.sent.values())
        least = WINDOW / max(1, news.used + remaining)
        self.gap *= _FASTER
        if self.gap < least / 4 or known >= news.used < remaining:
            self.gap = 0.0
        if known >= news.used:
            self.remaining = None
            return
        if not remaining:
            self.gap = max(self.gap, least)  # as fast as the others that do so, not as fast as possible
        later = sum(_since(times, sent) for name, times in self.sent.items() if name != run)
        left = max(0, remaining - later)
        self.remaining = -(-left * known // news.used) if self.gap else left
        self.reset = news.reset

    def pause(self, now: float, until: float, most: int) -> None:
        """Send nothing before ``until``, since a request was refused. A shorter pause does not end a longer one."""
        if now >= self.paused and self.heard > now - WINDOW:
            least = WINDOW / (self.limit or most)
            self.gap = min(max(2 * self.gap, least), _MOST_APART * least)
        self.paused = max(self.paused, until)

    def forget(self, now: float) -> None:
        """Drop what is over."""
        old = now - 2 * WINDOW
        for run, times in [*self.sent.items()]:
            if times[0] <= old:
                del times[: bisect_right(times, old)]
            if not times:
                del self.sent[run]
        for run, each in [*self.waiting.items()]:
            if each.until + LATE <= now:
                del self.waiting[run]

    def is_possible(self, now: float) -> bool:
        """Whether runs of this program can have written this by now."""
        latest = now + LONGEST_WAIT + LATE
        times = [self.paused, self.reset, *(each.until for each in self.waiting.values())]
        past = [self.heard, self.latest, *(each.since for each in self.waiting.values())]
        return (
            self.limit >= 0
            and 0 <= self.gap <= WINDOW
            and max(times) <= latest
            and max(past) <= now + LATE
            and all(times and times == sorted(times) and times[-1] <= now + LATE for times in self.sent.values())
        )


def read(data: bytes, now: float) -> Ledger | None:
    """The document; ``None`` for what is none."""
    try:
        ledger = msgspec.json.decode(data, type=Ledger)
    except (msgspec.DecodeError, UnicodeDecodeError):  # torn, empty, or of another version
        return None
    return ledger if ledger.is_possible(now) else None


def written(ledger: Ledger) -> bytes:
    each = MOST // max(1, len(ledger.sent))
    if any(len(times) > each for times in ledger.sent.values()):
        ledger.sent = {run: times[-max(1, each) :] for run, times in ledger.sent.items()}
    return msgspec.json.encode(ledger)


def _since(times: list[float], start: float) -> int:
    """How many of these sorted times are after ``start``."""
    return len(times) - bisect_right(times, start)
