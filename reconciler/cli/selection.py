"""From the selectors of the command line to a selection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.model.errors import UsageError
from reconciler.planning.planner import Selection


def selection_of(given: Mapping[str, Any]) -> Selection:
    """Raises UsageError for selectors that exclude each other."""
    destroy = bool(given.get("destroy"))
    refresh_only = bool(given.get("refresh_only"))
    if destroy and (given.get("replace") or refresh_only):
        raise UsageError("`--destroy` goes with neither `--replace` nor `--refresh-only`")
    if refresh_only and given.get("replace"):
        raise UsageError("`--refresh-only` does not go with `--replace`")
    return Selection(
        targets=frozenset(given["target"]) if given.get("target") else None,
        replace=frozenset(given.get("replace") or ()),
        destroy=destroy,
        refresh_only=refresh_only,
        refresh=not given.get("no_refresh"),
    )
