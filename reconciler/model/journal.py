"""The journal: records that are appended between two snapshots of the state, and how they fold into it.

There is one record for each intent and one for each outcome. An outcome contains its effects on the state, so replaying
the journal needs nothing else (write-ahead logging; decisions/0017).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, assert_never

from msgspec import Struct, field
from msgspec.structs import replace

from reconciler.model.desired import Lifecycle
from reconciler.model.references import renamed
from reconciler.model.state import (
    Dispute,
    Entry,
    Intent,
    Known,
    Outputs,
    Progress,
    Rendered,
    SentMessage,
    Shared,
    State,
    Upload,
)


class Bind(Struct, frozen=True, kw_only=True, tag_field="kind", tag="bind"):
    """The address is bound to this project."""

    address: str
    entry: Entry


class Learn(Struct, frozen=True, kw_only=True, tag_field="kind", tag="learn"):
    """New knowledge of a managed project: settings are merged (``None``: no longer known), the rest is replaced.

    ``replacing``: the project was cancelled for a successor that is still to be created. ``not_ours`` are added to the
    messages that the user declared not to be ours.
    """

    address: str
    settings: Mapping[str, Known | None] = field(default_factory=dict)
    lifecycle: Lifecycle | None = None
    outputs: Outputs | None = None
    replacing: bool = False
    not_ours: tuple[str, ...] = ()


class Log(Struct, frozen=True, kw_only=True, tag_field="kind", tag="log"):
    """The message was sent to the agent."""

    address: str
    message: SentMessage
    cursor: str | None = None


class Delivered(Struct, frozen=True, kw_only=True, tag_field="kind", tag="delivered"):
    """The video was rendered, or shared. With neither, it is not known to be."""

    address: str
    rendered: Rendered | None = None
    shared: Shared | None = None


class Drop(Struct, frozen=True, kw_only=True, tag_field="kind", tag="drop"):
    """The address is no longer managed."""

    address: str


class Rename(Struct, frozen=True, kw_only=True, tag_field="kind", tag="rename"):
    from_address: str
    to_address: str


class Spend(Struct, frozen=True, kw_only=True, tag_field="kind", tag="spend"):
    """A generation of the address's idempotency key is used up; 0: none is known to be, but one may be."""

    address: str
    generation: int


class Disputed(Struct, frozen=True, kw_only=True, tag_field="kind", tag="disputed"):
    """The address's key belongs to another project, which was not bound."""

    address: str
    dispute: Dispute


class Uploaded(Struct, frozen=True, kw_only=True, tag_field="kind", tag="uploaded"):
    """The account has a file with this content (SHA-256), or no longer has it (``None``)."""

    digest: str
    upload: Upload | None


Effect = Bind | Learn | Log | Delivered | Drop | Rename | Spend | Disputed | Uploaded


class Begin(Struct, frozen=True, kw_only=True, tag_field="type", tag="begin"):
    """An intent, synced to the disk before its request is sent."""

    intent: Intent


class End(Struct, frozen=True, kw_only=True, tag_field="type", tag="end"):
    """An outcome. ``op`` is the intent that it closes (``None``: a step without a call).

    With ``result`` ``unknown`` the intent stays pending. ``plan`` and ``done`` set the address's progress. ``near`` are ids
    of messages that may be the intent's.
    """

    op: str | None = None
    result: Literal["done", "not_done", "unknown"] = "done"
    effects: tuple[Effect, ...] = ()
    address: str | None = None
    plan: str | None = None
    done: int = 0
    note: str = ""
    near: tuple[str, ...] = ()


Record = Begin | End


class Draft:
    """A state that changes: records are folded in one by one, each at a cost that does not grow with the state."""

    def __init__(self, state: State) -> None:
        self._base = state
        self.projects: dict[str, Entry] = dict(state.projects)
        self.generations: dict[str, int] = dict(state.generations)
        self.disputes: dict[str, Dispute] = dict(state.disputes)
        self.progress: dict[str, Progress] = dict(state.progress)
        self.pending: dict[str, Intent] = dict(state.pending)
        self.uploads: dict[str, Upload] = dict(state.uploads)
        self.forgotten: set[str] = set(state.forgotten)
        self._refers: set[str] | None = None
        """Addresses with references to others; found at the first rename."""
        self._asked: set[str] | None = None
        """Addresses that may have had links of which nothing tells whose they are; found at the first link."""

    @property
    def lineage(self) -> str:
        return self._base.lineage

    @property
    def new(self) -> bool:
        return self._base.new

    def fold(self, record: Record) -> None:
        match record:
            case Begin(intent=intent):
                self.pending[intent.op] = intent
            case End():
                if record.op is not None and record.op in self.pending:
                    closed = self.pending.pop(record.op)
                    if record.result == "unknown":
                        self.pending[closed.op] = replace(closed, undecided=True, near=record.near)
                for effect in record.effects:
                    self._effect(effect)
                if record.address is not None and record.plan is not None:
                    self.progress[record.address] = Progress(plan=record.plan, done=record.done)
            case _:
                assert_never(record)

    def fold_all(self, records: Iterable[Record]) -> None:
        for record in records:
            self.fold(record)

    def state(self, serial: int | None = None) -> State:
        """The state as a frozen value, by address: what is written and said does not tell which call ended first."""
        return replace(
            self._base,
            serial=self._base.serial if serial is None else serial,
            projects=dict(sorted(self.projects.items())),
            generations=dict(sorted(self.generations.items())),
            disputes=dict(sorted(self.disputes.items())),
            progress=dict(sorted(self.progress.items())),
            pending=dict(self.pending),
            uploads=dict(sorted(self.uploads.items())),
            forgotten=tuple(sorted(self.forgotten)),
        )

    def _spend(self, address: str, generation: int) -> None:
        self.generations[address] = max(self.generations.get(address, 0), generation)

    def _take(self, address: str, url: str | None) -> None:
        """No other address can have the link that this one has."""
        if url is None:
            return
        if self._asked is None:
            self._asked = {a for a, e in self.projects.items() if e.shared is not None and e.shared.may_be}
        for other in self._asked - {address}:
            entry = self.projects.get(other)
            if entry is not None and entry.shared is not None:
                self.projects[other] = replace(entry, shared=entry.shared.without(url))

    def _put(self, address: str, entry: Entry) -> None:
        self.projects[address] = entry
        if self._refers is not None and entry.refers:
            self._refers.add(address)
        if self._asked is not None and entry.shared is not None and entry.shared.may_be:
            self._asked.add(address)

    def _refer(self, old: str, new: str) -> None:
        """Let references and open calls of the old address be of the new one."""
        if self._refers is None:
            self._refers = {address for address, entry in self.projects.items() if entry.refers}

        def name(address: str) -> str:
            return new if address == old else address

        for address in self._refers & self.projects.keys():
            self.projects[address] = self.projects[address].renamed(name)
        self.pending = {
            op: replace(i, address=name(i.address), body=renamed(i.body, name)) for op, i in self.pending.items()
        }

    def _effect(self, effect: Effect) -> None:  # noqa: C901, PLR0912  one case for each kind
        match effect:
            case Bind():
                self._put(effect.address, effect.entry)
                self._spend(effect.address, effect.entry.generation)
                self.forgotten.discard(effect.entry.project_id)
                self.disputes.pop(effect.address, None)
            case Learn():
                entry = self.projects.get(effect.address)
                if entry is not None:
                    self.projects[effect.address] = replace(
                        entry,
                        settings={
                            name: known
                            for name, known in {**entry.settings, **effect.settings}.items()
                            if known is not None
                        },
                        lifecycle=effect.lifecycle or entry.lifecycle,
                        outputs=effect.outputs or entry.outputs,
                        replacing=effect.replacing or entry.replacing,
                        not_ours=(*entry.not_ours, *effect.not_ours),
                    )
            case Log():
                entry = self.projects.get(effect.address)
                if entry is not None:
                    if all(message.id != effect.message.id for message in entry.messages):
                        entry = entry.told(effect.message)
                    known = {m.id: m for m in entry.messages} | {effect.message.id: effect.message}
                    messages = tuple(known.values())
                    self._put(effect.address, replace(entry, messages=messages, cursor=effect.cursor or entry.cursor))
            case Delivered():
                entry = self.projects.get(effect.address)
                if entry is not None:
                    self._put(effect.address, entry.delivered(effect.rendered, effect.shared))
                    self._take(effect.address, effect.shared.share_url if effect.shared is not None else None)
            case Drop():
                entry = self.projects.pop(effect.address, None)
                if entry is not None:
                    self.forgotten |= {entry.project_id, *entry.retired}
            case Rename():
                entry = self.projects.pop(effect.from_address, None)
                if entry is not None:
                    self._put(effect.to_address, entry.at(effect.from_address, effect.to_address, self._base.identity))
                    self._refer(effect.from_address, effect.to_address)
                    self._spend(effect.from_address, entry.generation)
                    self._spend(effect.to_address, self.generations.get(effect.to_address, 0))
            case Spend():
                self._spend(effect.address, effect.generation)
            case Disputed():
                self.disputes[effect.address] = effect.dispute
            case Uploaded():
                self.uploads.pop(effect.digest, None)
                self.uploads |= {effect.digest: effect.upload} if effect.upload else {}
            case _:
                assert_never(effect)
