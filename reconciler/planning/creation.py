"""The content of a create, and what of it changed since."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from reconciler.model import contract
from reconciler.model.desired import CreateOrigin, DesiredProject
from reconciler.model.likeness import reader_form, reads_alike
from reconciler.model.plan import Change, change_path
from reconciler.model.references import compared
from reconciler.model.state import Entry
from reconciler.model.values import (
    Json,
    Sealed,
    Secret,
    Value,
    digest,
    has_secret,
    is_sealed,
    masked,
    sealed,
    sealed_digest,
    sealed_fields,
    shown,
)
from reconciler.planning.diff import differences


def creation_body(project: DesiredProject) -> dict[str, Value]:
    """The request of a create: all declared fields that it takes. ``null`` means the same as not sending the field."""
    assert isinstance(project.origin, CreateOrigin)
    fields = {**project.origin.creation, **project.settings}
    taken = {field.name for field in contract.current().fields_of("create")}
    return {name: value for name, value in fields.items() if value is not None and name in taken}


def changes_of_new(body: Mapping[str, Value]) -> tuple[Change, ...]:
    """The changes that show the body of a new project."""
    return tuple(
        Change(
            path=change_path(name),
            before=None,
            after=masked(value),
            before_source="none",
            sensitive=has_secret(value),
        )
        for name, value in body.items()
    )


def changes_of_successor(body: Mapping[str, Value], entry: Entry) -> tuple[Change, ...]:
    """The changes that show the body of a project that replaces another, with the values of that one that the state knows;
    of a secret that is only whether it is one.
    """
    return tuple(change if change.sensitive else _with_known(change, entry) for change in changes_of_new(body))


def _with_known(change: Change, entry: Entry) -> Change:
    name = change.path.removeprefix("settings.")
    if name == change.path:
        made = entry.creation
        return replace(change, before=shown(made[name]), before_source="sent") if name in made else change
    known = entry.settings.get(name)
    return change if known is None else replace(change, before=shown(known.value), before_source=known.source)


def creation_with_defaults(creation: Mapping[str, Value]) -> Sealed:
    """The create-only inputs as the state keeps them (sealed), with the API's defaults for those not sent."""
    return Sealed({**contract.current().creation_defaults, **sealed_fields(creation)})


def content_digest(creation: Mapping[str, Json]) -> str:
    """A digest of what a project is created from, the same for texts that read the same."""
    brief = creation.get("brief")
    return digest(compared({**creation, "brief": reader_form(brief) if isinstance(brief, str) else brief}))


def is_rewritten(declared: Mapping[str, Value], entry: Entry) -> bool:
    """Whether a text differs from the one that the project was created with, but reads the same."""
    return any(
        name in entry.creation and sealed(value) != entry.creation[name] and _reads_alike(name, value, entry)
        for name, value in declared.items()
    )


def _reads_alike(name: str, value: Value, entry: Entry) -> bool:
    """Whether an input reads the same as the one that the project was created with."""
    made = entry.creation[name]
    if isinstance(value, Secret) and is_sealed(made):
        return not {value.digest, value.reads or value.digest}.isdisjoint((sealed_digest(made), entry.reads.get(name)))
    return reads_alike(sealed(value), made)


def immutable_changes(declared: Mapping[str, Value], entry: Entry) -> tuple[Change, ...]:
    """The declared create-only fields that differ from what the project was created with. Unknown values and differences
    that read the same are not changes.
    """
    after = {
        name: sealed(value)
        for name, value in declared.items()
        if name in entry.creation and not _reads_alike(name, value, entry)
    }
    before = {name: entry.creation[name] for name in after}
    changes: list[Change] = []
    for found, old, new in differences(compared(before), compared(after)):
        path = found.removesuffix(".$secret")
        name = path.split("[")[0].split(".")[0]
        secret = has_secret(declared[name])
        changes.append(
            Change(
                path=path,
                before="(secret)" if path != found else shown(old),
                after=masked(declared[name]) if path == name else "(secret)" if path != found else shown(new),
                before_source="sent",
                sensitive=secret,
                forces=f"{name} is fixed at creation",
            )
        )
    return tuple(changes)
