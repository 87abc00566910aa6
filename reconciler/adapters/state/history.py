"""One serial of a state's history."""

from __future__ import annotations

from msgspec import Struct


class Version(Struct, frozen=True):
    """A snapshot that the store still has: when it was written (ISO 8601, the store's clock) and how large it is."""

    serial: int
    at: str
    size: int
