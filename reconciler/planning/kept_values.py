"""Values that the account keeps in a form of its own, and lists that lag behind: neither is a change made outside.

What was asked for stays the knowledge; beside it stands what the account keeps for it (:attr:`Known.kept`), and what it
showed until then (:attr:`Known.before`).
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
"""Seconds: how long a list may show what was before a PATCH, if nothing says that the project has changed since."""
LAGS_AT_MOST: Final = 3600.0
"""Seconds: the same where the list says that the project changed before the PATCH, so that it can't know of that."""
_WHOLE: Final = 1.0
"""Seconds that an account's times may be cut by."""
_LIMITS: Final[Mapping[str, int]] = {"title": contract.TITLE_MAX}
"""The settings of free text that a list shows, with the lengths that the account keeps of them."""


def stands(name: str, wanted: Value, entry: Entry | None, live: LiveProject | None, lineage: str) -> bool:
    """Whether a setting that was asked for stands, though the account shows another value."""
    asked = entry.settings.get(name) if entry else None
    if asked is None or live is None or name not in live.settings or asked.source not in ("sent", "patch"):
        return False
    shown = live.settings[name]
    return is_kept(asked, shown, wanted, lineage) if asked.kept is not UNSET else is_form(name, wanted, shown)


def is_kept(asked: Known, shown: Json, wanted: Value, lineage: str) -> bool:
    """Whether a value is what the account keeps for one that was asked for."""
    if is_sealed(asked.kept) and isinstance(shown, str):
        parts = wanted.parts if isinstance(wanted, Secret) else ()
        return secret_digest(lineage, Revealed(shown), parts) == sealed_digest(asked.kept)
    return asked.kept is not UNSET and asked.kept == shown


def is_form(name: str, asked: Value, shown: Json) -> bool:
    """Whether a value that the account shows is a form of the one that was asked for."""
    return name in _LIMITS and renders(exposed(asked), shown, _LIMITS[name])


def may_have_a_form(asked: Known) -> bool:
    """Whether the account may keep a text that was asked for in a form of its own, which was not seen so far."""
    unseen = asked.source in ("sent", "patch") and asked.kept is UNSET
    return unseen and isinstance(asked.value, str) and not has_one_form(asked.value)


def newly_kept(settings: Mapping[str, Value], entry: Entry | None, live: LiveProject | None) -> dict[str, Json]:
    """The settings that the account shows for the first time, in another form than was asked for, by name."""
    if entry is None or live is None:
        return {}
    return {
        name: live.settings[name]
        for name, wanted in settings.items()
        if name in _LIMITS and name in live.settings and (asked := entry.settings.get(name)) is not None
        if asked.source in ("sent", "patch") and asked.kept is UNSET
        if live.settings[name] != exposed(wanted)
        if is_form(name, wanted, live.settings[name])
    }


def seen_first(entry: Entry, live: LiveProject) -> dict[str, Json]:
    """What a list shows for the first time of settings that were asked for, as asked or in another form, by name."""
    if live.source != "list":
        return {}
    return {
        name: live.settings[name]
        for name in _LIMITS
        if live.settings.get(name) and (asked := entry.settings.get(name)) is not None
        if asked.source in ("sent", "patch") and asked.kept is UNSET
        if not has_secret(asked.value)
        and not is_sealed(asked.value)
        and is_form(name, asked.value, live.settings[name])
    }


def lags(name: str, asked: Known, live: LiveProject, at: str) -> bool:
    """Whether a list shows what was before a PATCH, and cannot know of that yet; ``at``: when it was read."""
    if name not in live.differing and (asked.before is UNSET or live.settings.get(name, UNSET) != asked.before):
        return False
    now, since, changed = instant(at), instant(asked.at), instant(live.updated_at)
    if now is None or since is None or asked.source != "patch":
        return False
    age = (now - since).total_seconds()
    newer = 0.0 if changed is None else (changed - since).total_seconds()
    return newer <= 0 <= age <= (LAGS_AT_MOST if newer < -_WHOLE else LAGS)
