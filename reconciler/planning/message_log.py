"""The append-only message log: the spec's messages against those the agent has (settled readings 4 and 8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.model import contract
from reconciler.model.desired import DesiredMessage
from reconciler.model.errors import Diagnostic
from reconciler.model.state import SentMessage
from reconciler.model.values import Json, Value, digest, masked, sealed

_DEFAULTS: Mapping[str, Json] = {name: contract.CREATION_DEFAULTS[name] for name in ("references", "extract_content")}


def message_digest(body: Mapping[str, Value]) -> str:
    """Tells one message from another; a field at the API's default counts like one that is not given."""
    return digest({**_DEFAULTS, **sealed(body)})


def message_text(message: DesiredMessage) -> str:
    return str(masked(message.body["message"]))


@dataclass(frozen=True, slots=True)
class LogPlan:
    to_send: tuple[DesiredMessage, ...]
    diagnostics: tuple[Diagnostic, ...]


def compare(address: str, desired: tuple[DesiredMessage, ...], sent: tuple[SentMessage, ...]) -> LogPlan:
    """What is still to be sent, in order; or why nothing may be: a sent message was edited, moved, taken out of the
    middle, or has a new one before it.
    """
    if [m.id for m in desired[: len(sent)]] == [m.id for m in sent] and all(
        message_digest(d.body) == s.digest for d, s in zip(desired, sent, strict=False)
    ):
        return LogPlan(desired[len(sent) :], ())
    problems = _problems(address, desired, sent)
    if problems:
        return LogPlan((), problems)
    known = {m.id for m in sent}
    declared = {m.id for m in desired}
    gone = [m.id for m in sent if m.id not in declared]
    note = Diagnostic(
        severity="note",
        address=address,
        summary=f"{_names(gone)} left the specs but {'was' if len(gone) == 1 else 'were'} sent already",
        detail="A message can't be unsent. Nothing is done; putting it back changes nothing either.",
    )
    return LogPlan(tuple(m for m in desired if m.id not in known), (note,) if gone else ())


def _problems(
    address: str, desired: tuple[DesiredMessage, ...], sent: tuple[SentMessage, ...]
) -> tuple[Diagnostic, ...]:
    position = {m.id: index for index, m in enumerate(desired)}
    by_id = {m.id: m for m in sent}
    problems: list[Diagnostic] = []

    def problem(summary: str, detail: str, message: DesiredMessage | None = None) -> None:
        problems.append(
            Diagnostic(
                severity="error",
                address=address,
                summary=summary,
                detail=f"{detail}\nRestore it as it was sent, or append a new message at the end.",
                location=message.location if message else None,
                attention=True,
            )
        )

    kept = [m.id for m in sent if m.id in position]
    last_kept = max((position[i] for i in kept), default=-1)
    for message in desired:
        before = by_id.get(message.id)
        if before is not None and before.digest != message_digest(message.body):
            problem(
                f"message `{message.id}` was edited after it was sent",
                f"Sent: {before.text}\nSpec: {message_text(message)}",
                message,
            )
        elif before is None and position[message.id] < last_kept:
            problem(
                f"message `{message.id}` is new but stands before a message that was sent",
                "The agent gets messages in the order of the spec; this one can only come last.",
                message,
            )
    if kept != sorted(kept, key=position.__getitem__):
        problem("sent messages were reordered", f"They were sent in this order: {', '.join(kept)}.")
    appends = any(m.id not in by_id for m in desired)
    for index, old in enumerate(sent):
        if old.id not in position and (appends or any(later.id in position for later in sent[index + 1 :])):
            problem(f"message `{old.id}` was taken out of the middle of the log", f"Sent: {old.text}")
    return tuple(problems)


def _names(ids: list[str]) -> str:
    names = ", ".join(f"`{i}`" for i in ids)
    return f"message {names}" if len(ids) == 1 else f"messages {names}"
