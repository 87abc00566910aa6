"""The version of the API that this process speaks, and what all versions share.

A command chooses the version once, before it reads specs (:func:`use`); everything after that asks :func:`current`, at
the time of use, never at import. Nothing else in the program spells out a field, a limit or a status rule.
"""

from __future__ import annotations

from typing import Final

from reconciler.model.contract_2025_03 import V2025_03
from reconciler.model.contract_tables import Call, Contract, ErrorCode, ReferenceType, Status

__all__ = [
    "DEFAULT_URL",
    "MODE_RELEASED",
    "Call",
    "ErrorCode",
    "ReferenceType",
    "Status",
    "current",
    "is_active",
    "settings_blocked",
    "use",
]

DEFAULT_URL: Final = "https://eversince.ai/api/v1"
MODE_RELEASED: Final = "none"
"""The ``mode`` that hands a project to the studio (PATCH settings only)."""

_in_use: Final[list[Contract]] = [V2025_03]


def use(contract: Contract) -> None:
    """Choose the version that this process speaks. For the entry point, before anything is read or planned."""
    _in_use[:] = [contract]


def current() -> Contract:
    """The version that this process speaks."""
    return _in_use[0]


def is_active(status: str) -> bool:
    """Whether the agent may be at work: true for every status that is not known to be a finished one."""
    return current().is_active(status)


def settings_blocked(status: str) -> bool:
    """Whether ``PATCH settings`` is refused in this status (unknown statuses count as working)."""
    return not current().allows("settings", status)
