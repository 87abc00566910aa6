"""Webhook deliveries: checks that one is signed with the secret, recent and new.

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
"""Seconds that a delivery's time may differ from ours."""

_MILLISECONDS_FROM: Final = 1e11
"""Timestamps from here on are in milliseconds since 1970, others in seconds: the documentation does not say which."""

Verdict = Literal["accepted", "unsigned", "stale", "repeated"]
VERDICTS: Final[tuple[Verdict, ...]] = ("accepted", "unsigned", "stale", "repeated")


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """The signature header of a delivery signed with the secret."""
    signed = timestamp.encode("latin-1") + b"." + body
    return "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


class Deliveries:
    """Checks deliveries, and remembers those within the window, so that none counts twice."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._seen: dict[str, float] = {}
        """Signatures, with the time from which the window refuses them anyway. Only a holder of the secret can add one."""

    def check(self, given: str, timestamp: str, body: bytes, *, now: float) -> Verdict:
        """Check a delivery. ``given`` and ``timestamp`` are the headers (latin-1, as in HTTP), ``now`` is in seconds since 1970."""
        expected = signature(self._secret, timestamp, body)
        if not hmac.compare_digest(expected.encode(), given.encode("latin-1")):
            return "unsigned"
        at = _seconds(timestamp)
        if not abs(now - at) <= WINDOW:  # also if it is not a number
            return "stale"
        self._seen = {known: over for known, over in self._seen.items() if over >= now}
        if expected in self._seen:
            return "repeated"
        self._seen[expected] = at + WINDOW
        return "accepted"


def _seconds(timestamp: str) -> float:
    try:
        at = float(timestamp)
    except ValueError:
        return math.nan
    return at / 1000 if at >= _MILLISECONDS_FROM else at
