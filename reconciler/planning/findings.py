"""Findings of planning that no step can fix, each with the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from shlex import quote
from typing import Final

from reconciler.model.desired import AdoptOrigin, DesiredProject, ImportOrigin
from reconciler.model.errors import Diagnostic, Severity
from reconciler.model.identity import Holder
from reconciler.model.live import LiveProject, Snapshot
from reconciler.model.plan import Change
from reconciler.model.state import Entry, Intent
from reconciler.model.values import Json, Value, has_secret, masked
from reconciler.planning.knowledge import brief_matches

ACCOUNT_FROM: Final = 2
"""Managed projects of which not one is visible tell another account; a single one is reported as gone."""
ALIKE_CODE: Final = "E202"
DISPUTED_CODE: Final = "E203"
ACCOUNT_CODE: Final = "E204"
"""The stable codes of what may be somebody else's: a project that looks like ours, our key's answer, the account."""
ADOPTED_BEFORE: Final = "adopted before: by an earlier run, or by someone else"
_NAMED: Final = 5
"""How many addresses a note lists."""


def attention(
    project: DesiredProject, summary: str, detail: str, *, severity: Severity = "warning", code: str | None = None
) -> Diagnostic:
    """A finding that needs the user's attention. An ``error`` keeps the whole plan from being applied. With a ``code``, it
    is about whose project it is.
    """
    return Diagnostic(
        severity=severity,
        address=project.address,
        summary=summary,
        detail=detail,
        location=project.location,
        attention=True,
        code=code,
        kind="identity" if code else None,
    )


def other_account(entries: Mapping[str, Entry], live: Snapshot) -> Diagnostic | None:
    """None of several managed projects is there: that is no accident, as the API can't delete."""
    if len(entries) < ACCOUNT_FROM or not all(entry.project_id in live.missing for entry in entries.values()):
        return None
    ids = sorted(entry.project_id for entry in entries.values())
    named = ", ".join(f"`{project_id}`" for project_id in ids[:_NAMED])
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return Diagnostic(
        severity="error",
        code=ACCOUNT_CODE,
        kind="identity",
        summary=f"the API key is of another account: it shows none of the {len(ids)} managed projects",
        detail=f"The state knows {named}{more}. The API can't delete projects, so nothing is planned.\n"
        "Use the key of the account that has them. If they are really gone, `reconciler state rm` forgets them.",
    )


def maybe_lost(alike: int, new: int) -> Iterator[Diagnostic]:
    """Before the first apply nobody knows whether a state was lost; the account's projects may tell."""
    if not alike:
        return
    yield Diagnostic(
        severity="warning",
        kind="lost-state",
        summary=f"the state is new, but the account has projects that look like {alike} of the {new} in the specs",
        detail="If they are yours, the state was lost: run `reconciler state recover` first.\n"
        "What this plan creates and sends is an upper bound: a project that its key finds is not created again, and a "
        "message that its conversation holds is not sent again.",
    )


def another_project(address: str, key: str, fields: Mapping[str, Value], other: LiveProject) -> tuple[str, str]:
    """Summary and details of the finding that the address's key belongs to a project that was not asked for."""
    same_brief = other.brief is None or brief_matches(fields["brief"], other)
    summary = f"the key `{key}` belongs to `{other.id}`, which has another {'title' if same_brief else 'brief'}"
    return summary, (
        f"It was not bound, and nothing of it was changed. Its title: {other.settings.get('title') or 'none'}. "
        f"Its brief begins: {other.brief or 'unknown'}\n"
        "Either a second state is used under this workspace's name (another folder, or another `--state`): give each a "
        f"`workspace` of its own, or create a second project with `--replace {quote(address)}`. Or the state was lost and "
        "the spec has changed since: bind the project with `reconciler state recover` or "
        f"`reconciler import {quote(address)} {other.id}`; the next plan then shows what changed."
    )


def unsettled(project: DesiredProject, alike: Sequence[LiveProject], why: str, *, exactly: bool) -> Diagnostic:
    """Likeness binds nothing: a project that looks like the address's own may be another team's, or be its own.
    ``exactly``: it has the brief and the title; if not, it may have been renamed or rewritten since.
    """
    address = quote(project.address)
    one = alike[0].id if len(alike) == 1 else "PROJECT_ID"
    named = ", ".join(f"`{p.id}` ({p.status}, created {p.created_at or 'at an unknown time'})" for p in alike[:_NAMED])
    return attention(
        project,
        f"`{project.address}` may exist already: {named} {'has' if len(alike) == 1 else 'have'} "
        + ("its brief and title" if exactly else "a similar brief and title"),
        f"The state does not have it, and the key can't settle it: {why}. Nothing is done for this address.\n"
        f"If the state was lost, or is an old copy: `reconciler state recover`, or `reconciler import {address} {one}`. "
        f"If it is someone else's: `--replace {address}` creates one of your own.",
        code=ALIKE_CODE,
    )


def held_elsewhere(address: str, key: str, project_id: str, holder: Holder) -> tuple[str, str]:
    """Summary and details of the finding that the address's key was answered with what another state has."""
    summary = f"the key `{key}` was answered with `{project_id}`, which is managed as {holder}"
    return summary, (
        "It was not bound, and nothing of it was changed. No key of this environment made it, so the API mixes up projects.\n"
        f"Report it to the vendor; or create a project with the next key: `--replace {quote(address)}`."
    )


def protected(project: DesiredProject, what: str) -> Diagnostic:
    return attention(
        project,
        f"`{project.address}` is protected and can't be {what}",
        "`lifecycle.on_remove` is `protect`; change it first.",
        severity="error",
    )


def failed(project: DesiredProject, why: str | None, detail: str) -> Diagnostic:
    return attention(project, f"{_failed(project.address)}{f': {why}' if why else ''}", detail)


def tells_failure(finding: Diagnostic) -> bool:
    """Whether this is the finding that a project failed and stays so."""
    return bool(finding.attention and finding.address and finding.summary.startswith(_failed(finding.address)))


def _failed(address: str) -> str:
    return f"`{address}` failed"


def created_released(project: DesiredProject) -> Diagnostic:
    return attention(
        project,
        "a project can't be created with `mode: none`",
        "`none` releases a project to the studio, so it must exist: create or adopt it first, then set `mode: none`.",
        severity="error",
    )


def already_managed(project: DesiredProject, what: str, holder: Holder) -> Diagnostic:
    way = holder.way_out or "To rename it, use a `moved` entry or `reconciler state mv`."
    return attention(project, f"`{what}` is already managed as {holder}", way, severity="error")


def ambiguous(project: DesiredProject, project_id: str, addresses: Iterable[str]) -> Diagnostic:
    return attention(
        project,
        f"`{project_id}` would be bound to {', '.join(f'`{a}`' for a in addresses)}, but a project can have only one address",
        f"Choose one with `reconciler import ADDRESS {project_id}`, or remove the others from the specs.",
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
        f"`{project.address}` is bound to `{entry.project_id}`, but the spec {what}",
        f"Use another address, or forget the current project first: `reconciler state rm {quote(project.address)}`.",
        severity="error",
    )


def drifted(project: DesiredProject, change: Change) -> Diagnostic:
    return Diagnostic(
        severity="note",
        address=project.address,
        summary=f"drift: {change.path} is {change.before!r}, should be {change.after!r}",
        detail="It was changed outside the reconciler. `reconciler apply` changes it back.",
        kind="drift",
    )


def drifted_path(finding: Diagnostic) -> str:
    """The setting that such a finding is about."""
    return finding.summary.removeprefix("drift: ").partition(" is ")[0]


def normalized(address: str, name: str, wanted: Value, form: Json) -> Diagnostic:
    """The account keeps a setting in another form than was sent."""
    shown = "in another form" if has_secret(wanted) else f"as {form!r}"
    return Diagnostic(
        severity="note",
        address=address,
        summary=f"settings.{name} was sent as {masked(wanted)!r}, and the account keeps it {shown}",
        detail="Both count as equal while neither changes; it is not sent again.",
    )


def rewritten(addresses: Sequence[str]) -> Diagnostic:
    """One note for all texts: a hook that strips white space touches every file."""
    several = len(addresses) > 1
    named = ", ".join(f"`{address}`" for address in addresses[:_NAMED])
    more = f" and {len(addresses) - _NAMED} more" if len(addresses) > _NAMED else ""
    return Diagnostic(
        severity="note",
        address=None if several else addresses[0],
        summary=f"the text of {named}{more} differs from what was sent, but reads the same",
        detail="Trailing spaces, line endings, no-break spaces and the encoding of accents do not count: "
        "nothing is replaced or sent because of them.",
    )


def open_calls(intents: Iterable[Intent]) -> list[Diagnostic]:
    """Calls that an earlier run sent and whose answers it did not record."""
    return [
        Diagnostic(
            severity="warning",
            address=intent.address,
            summary=f"an earlier run was interrupted during the {intent.kind} of `{intent.address}`",
            detail="`apply` first finds out whether it was done, and never repeats what was done.",
        )
        for intent in intents
    ]


def ways_to_decide(action: str, address: str) -> str:
    """How a user says whether a call, or a step, of unknown outcome was done: "run ...", without a full stop."""
    resolve = f"`reconciler state resolve {quote(address)}"
    if action in ("create", "replace"):
        return (
            f"run `reconciler import {quote(address)} PROJECT_ID` with the project that it made, or {resolve} --not-sent` "
            "if there is none"
        )
    return f"run {resolve} --sent` or `--not-sent`"


def unknown_outcome(intents: Iterable[Intent]) -> Diagnostic | None:
    """The finding that blocks an address with a call whose outcome nothing could tell."""
    for intent in intents:
        if intent.undecided:
            what = f"message `{intent.message_id}`" if intent.kind == "message" else f"the {intent.kind}"
            near = " and ".join(f"`{i}`" for i in intent.near)
            why = f"and {near} in the conversation may be it" if near else "and the account can't tell"
            return Diagnostic(
                severity="warning",
                address=intent.address,
                summary=f"it is unknown whether {what} of `{intent.address}` was done; the project is not changed",
                detail=f"It was started at {intent.at} {why}. Check"
                f"{f' with `reconciler messages {quote(intent.address)}`' if near else ' the account'}, then "
                f"{ways_to_decide(intent.kind, intent.address)}.",
                attention=True,
                kind="undecided",
            )
    return None


def did_you_mean(address: str, known: Iterable[str]) -> str:
    """A suggestion for an unknown address: those of a ``for_each``, or a close match; empty if there is none."""
    family = sorted(name for name in known if name.startswith(f"{address}["))
    near = family[:3] or difflib.get_close_matches(address, known, 1)
    return f"Did you mean {' or '.join(f'`{name}`' for name in near)}?" if near else ""


def not_read(address: str, project_id: str) -> Diagnostic:
    """A managed project that could not be read, which does not mean that it is gone."""
    return Diagnostic(
        severity="error",
        address=address,
        summary=f"`{project_id}` could not be read",
        detail="Nothing is planned for it. Run the command again.",
    )
