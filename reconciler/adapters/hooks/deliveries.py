"""Webhook deliveries: whether one is signed with the secret, fresh, and new.

The header ``X-Eversince-Signature`` is ``sha256=`` and the hex HMAC-SHA256 of ``<timestamp>.<body>`` under the secret;
``X-Eversince-Timestamp`` is that timestamp.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from typing import Final, Literal

SIGNATURE: Final = "X-Eversince-Signature"
TIMESTAMP: Final = "X-Eversince-Timestamp"

WINDOW: Final = 300.0
"""Seconds that a delivery's time may be off, before or after ours."""

_MILLISECONDS_FROM: Final = 1e11
"""Whether timestamps are seconds or milliseconds since 1970 is not published: from here on (year 5138) the latter."""

Verdict = Literal["accepted", "unsigned", "stale", "repeated"]
VERDICTS: Final[tuple[Verdict, ...]] = ("accepted", "unsigned", "stale", "repeated")


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What the header says of a delivery that was signed with the secret."""
    signed = timestamp.encode("latin-1") + b"." + body
    return "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


class Deliveries:
    """Judges deliveries, and remembers those of the window, so that none counts twice."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._seen: dict[str, float] = {}
        """Signatures, with the time from which on the window refuses them anyway. Only the secret's holder adds any."""

    def judge(self, given: str, timestamp: str, body: bytes, *, now: float) -> Verdict:
        """``given`` and ``timestamp`` as the headers say (as HTTP gives them, latin-1); ``now`` in seconds since 1970."""
        right = signature(self._secret, timestamp, body)
        if not hmac.compare_digest(right.encode(), given.encode("latin-1")):
            return "unsigned"
        at = _seconds(timestamp)
        if not abs(now - at) <= WINDOW:  # also where it is no number
            return "stale"
        self._seen = {known: over for known, over in self._seen.items() if over >= now}
        if right in self._seen:
            return "repeated"
        self._seen[right] = at + WINDOW
        return "accepted"


def _seconds(timestamp: str) -> float:
    try:
        at = float(timestamp)
    except ValueError:
        return math.nan
    return at / 1000 if at >= _MILLISECONDS_FROM else at
