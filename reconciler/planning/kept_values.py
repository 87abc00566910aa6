"""Values that the account normalizes, and lists that lag behind a change: neither of them is drift.

The state keeps what was sent, what the account keeps for it (:attr:`Known.kept`), and what the account showed before
(:attr:`Known.before`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import UNSET

from reconciler.model import contract
from reconciler.model.likeness import has_one_form, renders
from reconciler.model.live import LiveProject
from reconciler.model.state import Entry, Known
from reconciler.model.times import instant
from reconciler.model.values import (
    Json,
    Revealed,
    Secret,
    Value,
    exposed,
    has_secret,
    is_sealed,
    sealed_digest,
    secret_digest,
)

LAGS: Final = 60.0
"""Seconds that a list may show the value before a PATCH, if nothing says that the project changed since."""
LAGS_AT_MOST: Final = 3600.0
"""The same where the list says that the project last changed before the PATCH, so that the list is older."""
_WHOLE: Final = 1.0
"""Seconds by which the account may truncate its times."""


def _text_limits() -> dict[str, int]:
    """The free-text settings that a list shows, with the lengths to which the account cuts them."""
    api = contract.current()
    fields = map(api.field, api.shown_in("list"))
    return {field.name: field.max_length for field in fields if field.kind == "text" and field.max_length is not None}


def is_in_effect(name: str, wanted: Value, entry: Entry | None, live: LiveProject | None, lineage: str) -> bool:
    """Whether a setting that was sent is in effect, though the account shows another value."""
    asked = entry.settings.get(name) if entry else None
    if asked is None or live is None or name not in live.settings or asked.source not in ("sent", "patch"):
        return False
    shown = live.settings[name]
    return is_kept(asked, shown, wanted, lineage) if asked.kept is not UNSET else is_form(name, wanted, shown)


def is_kept(asked: Known, shown: Json, wanted: Value, lineage: str) -> bool:
    """Whether a value is what the account keeps for one that was sent."""
    if is_sealed(asked.kept) and isinstance(shown, str):
        parts = wanted.parts if isinstance(wanted, Secret) else ()
        return secret_digest(lineage, Revealed(shown), parts) == sealed_digest(asked.kept)
    return asked.kept is not UNSET and asked.kept == shown


def is_form(name: str, asked: Value, shown: Json) -> bool:
    """Whether a value that the account shows is a form of the one that was sent."""
    limit = _text_limits().get(name)
    return limit is not None and renders(exposed(asked), shown, limit)


def may_have_a_form(asked: Known) -> bool:
    """Whether the account may keep a sent text in a form that was not seen yet."""
    unseen = asked.source in ("sent", "patch") and asked.kept is UNSET
    return unseen and isinstance(asked.value, str) and not has_one_form(asked.value)


def newly_kept(settings: Mapping[str, Value], entry: Entry | None, live: LiveProject | None) -> dict[str, Json]:
    """The settings that the account shows for the first time, and in another form than was sent, by name."""
    if entry is None or live is None:
        return {}
    limits = _text_limits()
    return {
        name: live.settings[name]
        for name, wanted in settings.items()
        if name in limits and name in live.settings and (asked := entry.settings.get(name)) is not None
        if asked.source in ("sent", "patch") and asked.kept is UNSET
        if live.settings[name] != exposed(wanted)
        if is_form(name, wanted, live.settings[name])
    }


def seen_first(entry: Entry, live: LiveProject) -> dict[str, Json]:
    """The settings that a list shows for the first time since they were sent, in whatever form, by name."""
    if live.source != "list":
        return {}
    return {
        name: live.settings[name]
        for name in _text_limits()
        if live.settings.get(name) and (asked := entry.settings.get(name)) is not None
        if asked.source in ("sent", "patch") and asked.kept is UNSET
        if not has_secret(asked.value)
        and not is_sealed(asked.value)
        and is_form(name, asked.value, live.settings[name])
    }


def lags(name: str, asked: Known, live: LiveProject, at: str) -> bool:
    """Whether a list still shows the value before a PATCH. ``at``: when the list was read."""
    if name not in live.differing and (asked.before is UNSET or live.settings.get(name, UNSET) != asked.before):
        return False
    now, since, changed = instant(at), instant(asked.at), instant(live.updated_at)
    if now is None or since is None or asked.source != "patch":
        return False
    age = (now - since).total_seconds()
    newer = 0.0 if changed is None else (changed - since).total_seconds()
    return newer <= 0 <= age <= (LAGS_AT_MOST if newer < -_WHOLE else LAGS)
