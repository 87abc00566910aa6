"""The append-only message log: compares the spec's messages with those sent (decisions/0004, decisions/0008)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from shlex import quote
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model import contract
from reconciler.model.desired import DesiredMessage
from reconciler.model.errors import Diagnostic, Location
from reconciler.model.likeness import reads_alike
from reconciler.model.references import compared, projects_in, renamed
from reconciler.model.state import SentMessage
from reconciler.model.values import (
    Revealed,
    Secret,
    Value,
    digest,
    masked,
    quick_digest,
    sealed_fields,
    secret_digest,
)

CODE: Final = "E201"
"""The stable code of changes to what was sent (``E1…`` are errors of the specs themselves)."""


def message_digest(body: Mapping[str, Value]) -> str:
    """A digest that identifies a message; a field with the API's default counts like one that is not given.

    The projects it refers to are kept separately (:attr:`SentMessage.projects`), since addresses may be renamed.
    """
    return digest({**contract.current().message_defaults, **sealed_fields(compared(renamed(body, lambda _: "")))})


def content_digest(lineage: str, text: Value) -> str:
    """A digest of a message's text, the same whatever the server does to its white space."""
    if isinstance(text, Secret):
        assert text.value is not None
        return secret_digest(lineage, Revealed(_bare(text.value.expose())), text.parts or (text.value,))
    return quick_digest(lineage, _bare(str(text)))


def _bare(text: str) -> str:
    return " ".join(text.split())


def is_sent(message: DesiredMessage, sent: SentMessage) -> bool:
    """Whether a message of the spec reads the same as what was sent."""
    if projects_in(message.body) != sent.projects:
        return False
    return message_digest(message.body) == sent.digest or is_rewritten(message, sent)


def is_rewritten(message: DesiredMessage, sent: SentMessage) -> bool:
    """Whether the text differs from what was sent but reads the same, and all else is equal."""
    text = message.body["message"]
    if isinstance(text, Secret):
        now = message_digest(message.body)
        seen = read_digest(message.body) or now
        return now != sent.digest and not {now, seen}.isdisjoint((sent.digest, sent.reads))
    if text == sent.text or not reads_alike(text, sent.text):
        return False
    return message_digest({**message.body, "message": sent.text}) == sent.digest


def read_digest(body: Mapping[str, Value]) -> str | None:
    """The digest of a message with a secret text in the form that a reader sees; ``None`` where that is the same."""
    text = body["message"]
    if not isinstance(text, Secret) or text.reads is None:
        return None
    return message_digest({**body, "message": Secret("", text.reads)})


def message_text(message: DesiredMessage) -> str:
    return str(masked(message.body["message"]))


class LogPlan(Struct, frozen=True):
    """What is to be sent. ``rewritten``: whether a message differs from what was sent but reads the same."""

    to_send: tuple[DesiredMessage, ...]
    diagnostics: tuple[Diagnostic, ...]
    rewritten: bool = False


def compare(
    address: str,
    desired: tuple[DesiredMessage, ...],
    sent: tuple[SentMessage, ...],
    location: Location | None = None,
) -> LogPlan:
    """The messages still to be sent, in order; or why none may be sent: a sent message was edited, moved, removed from the
    middle, or has a new one before it. ``location`` is the project's.
    """
    if [m.id for m in desired[: len(sent)]] == [m.id for m in sent] and all(
        is_sent(d, s) for d, s in zip(desired, sent, strict=False)
    ):
        return LogPlan(desired[len(sent) :], (), _any_rewritten(desired, sent))
    problems = _problems(address, desired, sent, location)
    if problems:
        return LogPlan((), problems)
    known = {m.id for m in sent}
    declared = {m.id for m in desired}
    gone = [m.id for m in sent if m.id not in declared]
    note = Diagnostic(
        severity="note",
        address=address,
        summary=f"{_names(gone)} left the specs but {'was' if len(gone) == 1 else 'were'} already sent",
        detail="A message can't be unsent, so nothing is done. Adding it again changes nothing either.",
    )
    to_send = tuple(m for m in desired if m.id not in known)
    return LogPlan(to_send, (note,) if gone else (), _any_rewritten(desired, sent))


def _any_rewritten(desired: tuple[DesiredMessage, ...], sent: tuple[SentMessage, ...]) -> bool:
    by_id = {m.id: m for m in sent}
    return any(m.id in by_id and is_rewritten(m, by_id[m.id]) for m in desired)


def _problems(
    address: str,
    desired: tuple[DesiredMessage, ...],
    sent: tuple[SentMessage, ...],
    location: Location | None,
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
                detail=f"{detail}\n{_ways_out(address)}",
                location=message.location if message else location,
                code=CODE,
                attention=True,
            )
        )

    kept = [m.id for m in sent if m.id in position]
    last_kept = max((position[i] for i in kept), default=-1)
    for message in desired:
        before = by_id.get(message.id)
        if before is not None and not is_sent(message, before):
            twin = next((m.id for m in sent if is_sent(message, m)), None)
            hint = (
                f"\nIt was sent as message `{twin}`; without an `id`, a message's id is its position." if twin else ""
            )
            problem(
                f"message `{message.id}` was edited after it was sent",
                f"Sent: {before.text}\nSpec: {message_text(message)}{hint}",
                message,
            )
        elif before is None and position[message.id] < last_kept:
            follows = next(m.id for m in desired[position[message.id] :] if m.id in by_id)
            problem(
                f"message `{message.id}` is new but comes before a message that was sent",
                "The agent gets messages in the order of the spec, so a new one can only come last.\n"
                f"Sent: {by_id[follows].text} (message `{follows}`)",
                message,
            )
    if kept != sorted(kept, key=position.__getitem__):
        problem("sent messages were reordered", f"They were sent in this order: {', '.join(kept)}.")
    appends = any(m.id not in by_id for m in desired)
    for index, old in enumerate(sent):
        if old.id not in position and (appends or any(later.id in position for later in sent[index + 1 :])):
            problem(f"message `{old.id}` was removed from the middle of the log", f"Sent: {old.text}")
    return tuple(problems)


def _ways_out(address: str) -> str:
    return (
        "Nothing is sent. Restore the messages as they were sent; or restore them and append a new message at the end; or, "
        f"if the spec is right, run `reconciler state accept {quote(address)}`."
    )


class Accepted(Struct, frozen=True):
    """A log that was made to agree with the spec, and what changed, by message id.

    ``counted`` were never sent and now count as sent, ``dropped`` were sent and are no longer compared with the spec,
    ``to_send`` come after everything that was sent and are still to be sent.
    """

    log: tuple[SentMessage, ...]
    edited: tuple[str, ...]
    counted: tuple[str, ...]
    dropped: tuple[str, ...]
    to_send: tuple[str, ...]


def accept(
    desired: tuple[DesiredMessage, ...],
    sent: tuple[SentMessage, ...],
    *,
    unsent: Callable[[DesiredMessage], SentMessage],
) -> Accepted:
    """Accept the spec's messages as what was sent, up to the last one that was. ``unsent`` makes the entry of a message
    that was never sent.

    A sent message is recognized by its id and content, else by its content (it was renamed or moved and must not be sent
    again), else by its id (it was edited).
    """
    left = {m.id: m for m in sent}
    known: dict[str, SentMessage] = {}
    for same in (_unchanged, _renamed, _edited):
        for message in desired:
            before = None if message.id in known else same(message, left)
            if before is not None:
                known[message.id] = left.pop(before.id)
    end = max((index + 1 for index, m in enumerate(desired) if m.id in known), default=0)
    counting, to_send = desired[:end], desired[end:]
    log = [_as_now(m, known[m.id]) if m.id in known else unsent(m) for m in counting]
    ids = {m.id for m in desired}
    last = max((index for index, m in enumerate(sent) if m.id not in left), default=-1)
    tail = [] if to_send else [m for m in sent[last + 1 :] if m.id not in ids]  # adding them again changes nothing
    return Accepted(
        log=(*log, *tail),
        edited=tuple(m.id for m in counting if m.id in known and not is_sent(m, known[m.id])),
        counted=tuple(m.id for m in counting if m.id not in known),
        dropped=tuple(m.id for m in left.values() if m not in tail),
        to_send=tuple(m.id for m in to_send),
    )


def _as_now(message: DesiredMessage, sent: SentMessage) -> SentMessage:
    body = message.body
    projects = projects_in(body)
    return replace(sent, id=message.id, digest=message_digest(body), projects=projects, reads=read_digest(body))


def _unchanged(message: DesiredMessage, left: Mapping[str, SentMessage]) -> SentMessage | None:
    before = left.get(message.id)
    return before if before is not None and is_sent(message, before) else None


def _renamed(message: DesiredMessage, left: Mapping[str, SentMessage]) -> SentMessage | None:
    return next((before for before in left.values() if is_sent(message, before)), None)


def _edited(message: DesiredMessage, left: Mapping[str, SentMessage]) -> SentMessage | None:
    return left.get(message.id)


def _names(ids: list[str]) -> str:
    names = ", ".join(f"`{i}`" for i in ids)
    return f"message {names}" if len(ids) == 1 else f"messages {names}"
