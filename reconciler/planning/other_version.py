"""What the state knows in the words of another version of the API: it is reworded or dropped, never sent."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import UNSET
from msgspec.structs import replace

from reconciler.model import contract
from reconciler.model.contract_conversions import converted, fits
from reconciler.model.errors import Diagnostic
from reconciler.model.state import Entry, Known
from reconciler.model.values import Json


def in_this_version(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """The entries with what the version in force has words for."""
    return {address: _reworded(entry) for address, entry in entries.items()}


def dropped(entries: Mapping[str, Entry]) -> tuple[Diagnostic, ...]:
    """A note on what the next apply forgets, if anything."""
    api = contract.current()
    gone: dict[str, None] = {}
    projects = 0
    for entry in entries.values():
        unknown = [name for name in entry.settings if name not in api.settings]
        gone |= dict.fromkeys(unknown)
        projects += bool(unknown)
    if not gone:
        return ()
    names, many = ", ".join(f"`{name}`" for name in gone), projects > 1
    return (
        Diagnostic(
            severity="note",
            summary=f"version {api.version} of the API has no {names}: the next apply forgets what the state knows of "
            f"{'them' if len(gone) > 1 else 'it'} for {projects} project{'s' if many else ''}",
            detail="Nothing is sent or replaced because of that.",
        ),
    )


def _reworded(entry: Entry) -> Entry:
    api = contract.current()
    if all(
        (field := api.settings_by_name.get(name)) is not None
        and (not field.values or _value(name, known.value) == known.value)
        for name, known in entry.settings.items()
    ):
        return entry
    settings = {name: _known(name, known) for name, known in entry.settings.items() if name in api.settings}
    return replace(entry, settings=settings)


def _known(name: str, known: Known) -> Known:
    """What is known of a setting; a value of another version in the words of this one, if it has any."""
    value = _value(name, known.value)
    if value == known.value:
        return known
    before = known.before if known.before is UNSET else _value(name, known.before)
    return replace(known, value=value, before=before)


def _value(name: str, value: Json) -> Json:
    api = contract.current()
    if fits(api.field(name), value):
        return value
    others = (contract.named(version) for version in contract.versions())
    having = [other for other in others if name in other.settings and fits(other.field(name), value)]
    said = (converted(name, value, of=other, to=api) for other in having if other is not api)
    return next((new for found in said if found is not None for field, new in (found,) if field == name), value)
