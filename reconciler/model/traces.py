"""What the API client tells of its requests, for traces."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Reason = Literal["rate limit", "retry", "lost call"]
"""What is waited for, besides agents and slots: events tell of those. ``lost call``: until it is known what became of it."""


class RequestMade(Struct, frozen=True, kw_only=True):
    """A request that was sent. ``began`` is in seconds since 1970; ``attempt`` is 0 for the first. ``status`` is ``None`` if
    no answer came; ``error`` is the kind of failure, if it was one.
    """

    method: str
    path: str
    began: float
    seconds: float
    attempt: int
    status: int | None = None
    error: str | None = None


class Waited(Struct, frozen=True, kw_only=True):
    """A wait that is over."""

    why: Reason
    began: float
    seconds: float


RequestNews = RequestMade | Waited
