"""Who has claimed what, as a column of tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from reconciler.model.claim import Claim

_HEAD: Final = "CLAIMED BY"

Cells = tuple[str | None, ...]


def with_claims(
    head: Sequence[str], rows: Sequence[Cells], claims: Sequence[Claim | None]
) -> tuple[tuple[str, ...], list[Cells]]:
    """A table's head and rows with one more column, if there is any claim."""
    if not any(claims):
        return tuple(head), list(rows)
    return (*head, _HEAD), [(*row, _text(claim)) for row, claim in zip(rows, claims, strict=True)]


def _text(claim: Claim | None) -> str | None:
    """``acme/shop#12 (alice)``."""
    if claim is None:
        return None
    return claim.pull_request if claim.actor is None else f"{claim.pull_request} ({claim.actor})"
