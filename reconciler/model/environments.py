"""The environments of a workspace, for people to see."""

from __future__ import annotations

from msgspec import Struct

from reconciler.model.claim import Claim
from reconciler.model.errors import Diagnostic


class EnvironmentRow(Struct, frozen=True, kw_only=True):
    """One environment; ``name`` is ``None`` where there are none. ``serial`` is ``None`` before the first apply."""

    name: str | None
    default: bool = False
    api_url: str | None = None
    account: str | None = None
    """The project that the account must have."""
    place: str | None = None
    serial: int | None = None
    last_apply: str | None = None
    managed: int = 0
    attention: int = 0
    claim: Claim | None = None
    """Which pull request has claimed it."""
    errors: tuple[Diagnostic, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()
