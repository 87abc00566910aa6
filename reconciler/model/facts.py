"""What people want to hear of: facts about a workspace, each told once."""

from __future__ import annotations

from typing import Final, Literal, get_args

from msgspec import Struct

FactKind = Literal["applied", "apply_failed", "waits", "project_failed", "drift", "credits"]
KINDS: Final[tuple[FactKind, ...]] = get_args(FactKind)


class Fact(Struct, frozen=True, kw_only=True):
    """One fact. ``key`` tells whether it is the same as one that was told before: the same key, the same fact.

    ``detail`` may be empty or several lines. ``url`` leads to the project in the studio, if it is known.
    """

    kind: FactKind
    key: str
    summary: str
    detail: str = ""
    address: str | None = None
    project_id: str | None = None
    url: str | None = None


class Facts(Struct, frozen=True, kw_only=True):
    """What one run found. ``settled``: kinds of which everything that is true now was found, so that a fact that was told
    before and is not here is over, and is news if it comes again.
    """

    found: tuple[Fact, ...] = ()
    settled: frozenset[FactKind] = frozenset()
