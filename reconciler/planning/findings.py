"""Findings of planning that no step can mend, each with the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from shlex import quote
from typing import Final

from reconciler.model.desired import AdoptOrigin, DesiredProject, ImportOrigin
from reconciler.model.errors import Diagnostic, Severity
from reconciler.model.plan import Change
from reconciler.model.state import Entry, Intent
from reconciler.model.values import Json, Value, has_secret, masked

_NAMED: Final = 5
"""How many addresses one note names."""


def attention(project: DesiredProject, summary: str, detail: str, *, severity: Severity = "warning") -> Diagnostic:
    """What the user must look at. With severity ``error`` nothing at all is applied."""
    return Diagnostic(
        severity=severity,
        address=project.address,
        summary=summary,
        detail=detail,
        location=project.location,
        attention=True,
    )


def protected(project: DesiredProject, what: str) -> Diagnostic:
    return attention(
        project,
        f"`{project.address}` is protected and can't be {what}",
        "`lifecycle.on_remove` is `protect`; change it first.",
        severity="error",
    )


def released_at_birth(project: DesiredProject) -> Diagnostic:
    return attention(
        project,
        "a project can't be created with `mode: none`",
        "`none` hands a project to the studio, so it must exist: create or adopt it first, then set `mode: none`.",
        severity="error",
    )


def taken(project: DesiredProject, what: str, holder: str) -> Diagnostic:
    return attention(
        project,
        f"`{what}` is managed as `{holder}` already",
        "Rename it with a `moved` entry or `reconciler state mv`.",
        severity="error",
    )


def ambiguous(project: DesiredProject, project_id: str, addresses: Iterable[str]) -> Diagnostic:
    return attention(
        project,
        f"`{project_id}` would be bound to {', '.join(f'`{a}`' for a in addresses)}; one project has one address",
        f"Say which one it is with `reconciler import ADDRESS {project_id}`, or take the others out of the specs.",
        severity="error",
    )


def bound_elsewhere(project: DesiredProject, entry: Entry) -> Diagnostic | None:
    match project.origin:
        case ImportOrigin(project_id=wanted) if wanted != entry.project_id:
            what = f"imports `{wanted}`"
        case AdoptOrigin(studio_id=wanted) if wanted not in {entry.studio_id, entry.project_id}:
            what = f"adopts `{wanted}`"
        case _:
            return None
    return attention(
        project,
        f"`{project.address}` stands for `{entry.project_id}`, but the spec {what}",
        f"Use another address, or forget the present one first: `reconciler state rm {quote(project.address)}`.",
        severity="error",
    )


def drifted(project: DesiredProject, change: Change) -> Diagnostic:
    return Diagnostic(
        severity="note",
        address=project.address,
        summary=f"drift: {change.path} is {change.before!r}, should be {change.after!r}",
        detail="It was changed outside. `reconciler apply` mends it.",
        kind="drift",
    )


def keeps(address: str, name: str, asked: Value, form: Json) -> Diagnostic:
    """A form of its own in which the account keeps a setting."""
    shown = "in another form" if has_secret(asked) else f"as {form!r}"
    return Diagnostic(
        severity="note",
        address=address,
        summary=f"settings.{name} was asked as {masked(asked)!r}, and the account keeps it {shown}",
        detail="Both count as the same while neither changes; nothing is set for it again.",
    )


def rewritten(addresses: Sequence[str]) -> Diagnostic:
    """One note for all of them: a hook that strips blanks touches every file."""
    several = len(addresses) > 1
    named = ", ".join(f"`{address}`" for address in addresses[:_NAMED])
    more = f" and {len(addresses) - _NAMED} more" if len(addresses) > _NAMED else ""
    return Diagnostic(
        severity="note",
        address=None if several else addresses[0],
        summary=f"the text of {named}{more} differs from what was sent, but not to a reader",
        detail="Blanks at line ends, line endings, no-break blanks and the way accents are stored do not count: "
        "nothing is replaced or sent for them.",
    )


def interrupted(intents: Iterable[Intent]) -> list[Diagnostic]:
    """Calls that an earlier run began and did not live to see answered."""
    return [
        Diagnostic(
            severity="warning",
            address=intent.address,
            summary=f"an earlier run was cut short during the {intent.kind} of `{intent.address}`",
            detail="`apply` first finds out what became of it and never repeats what was done.",
        )
        for intent in intents
    ]


def undecided(intents: Iterable[Intent]) -> Diagnostic | None:
    """The finding that blocks an address with a call that nothing could clear up."""
    for intent in intents:
        if intent.undecided:
            what = f"message `{intent.message_id}`" if intent.kind == "message" else f"the {intent.kind}"
            near = " and ".join(f"`{i}`" for i in intent.near)
            why = f"and {near} in the conversation may be it" if near else "and the account can't tell"
            return Diagnostic(
                severity="warning",
                address=intent.address,
                summary=f"whether {what} of `{intent.address}` was done is unknown; the project is left alone",
                detail=f"It was begun at {intent.at} {why}. Look for yourself"
                f"{f' with `reconciler messages {quote(intent.address)}`' if near else ''}, then say "
                f"`reconciler state resolve {quote(intent.address)} --sent` or `--not-sent`.",
                attention=True,
            )
    return None


def meant(address: str, known: Iterable[str]) -> str:
    """What may have been meant by an address that is none: one of a ``for_each``, or a slip of the finger."""
    family = sorted(name for name in known if name.startswith(f"{address}["))
    near = family[:3] or difflib.get_close_matches(address, known, 1)
    return f"Did you mean {' or '.join(f'`{name}`' for name in near)}?" if near else ""


def unread(address: str, project_id: str) -> Diagnostic:
    """A managed project that could not be read: unread is not absent."""
    return Diagnostic(
        severity="error",
        address=address,
        summary=f"`{project_id}` could not be read",
        detail="Nothing is planned on a guess. Run the command again.",
    )
