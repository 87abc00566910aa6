"""One serial of a state's history."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Version:
    """A snapshot that the store still has: when it was written (ISO 8601, the store's clock) and how large it is."""

    serial: int
    at: str
    size: int
