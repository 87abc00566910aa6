"""The version of the API that this process speaks, and what all versions share.

A command chooses the version once, before it reads specs (:func:`choose`); everything after that asks :func:`current`,
at the time of use, never at import. Nothing else in the program spells out a field, a limit or a status rule.

Versions are found by their files, ``contract_2025_03.py`` and so on: to add one is to add its file.
"""

from __future__ import annotations

import contextlib
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from reconciler.model.contract_2025_03 import V2025_03
from reconciler.model.contract_tables import Call, Contract, ErrorCode, ReferenceType, Status

__all__ = [
    "DEFAULT_URL",
    "DEFAULT_VERSION",
    "MODE_RELEASED",
    "Call",
    "ErrorCode",
    "ReferenceType",
    "Status",
    "choose",
    "current",
    "is_active",
    "kept",
    "named",
    "settings_blocked",
    "use",
    "versions",
]

DEFAULT_URL: Final = "https://eversince.ai/api/v1"
DEFAULT_VERSION: Final = V2025_03.version
"""The version that is spoken unless another one is chosen."""
MODE_RELEASED: Final = "none"
"""The ``mode`` that hands a project to the studio (PATCH settings only)."""

_in_use: Final[list[Contract]] = [V2025_03]


_MODULE: Final = re.compile(r"contract_(\d{4}_\d{2})")
_FOUND: Final = sorted(name[1] for file in Path(__file__).parent.iterdir() if (name := _MODULE.match(file.name)))
_TABLES: Final[dict[str, Contract]] = {
    table.version: table
    for name in _FOUND
    for table in (getattr(importlib.import_module(f"reconciler.model.contract_{name}"), f"V{name}"),)
}


def versions() -> tuple[str, ...]:
    """The versions that can be chosen, oldest first."""
    return tuple(_TABLES)


def named(version: str) -> Contract:
    """The table of a version. Raises KeyError."""
    return current() if version == current().version else _TABLES[version]


def choose(version: str) -> None:
    """Speak this version from now on. Raises KeyError."""
    use(named(version))


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Whatever is chosen inside, the version of before is spoken again afterwards."""
    before = current()
    try:
        yield
    finally:
        use(before)


def use(contract: Contract) -> None:
    """Speak the version that a table describes, one of :func:`versions` or not."""
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
