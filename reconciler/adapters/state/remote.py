"""The state in an object store, in the local one's shape but of immutable objects, each created where absent.

::

    state/0000000042.json            a snapshot: serial 43 can be created once, so two writers can't both win
    journal/0000000042/000007.json   records written on top of it, one object for each group of them
    lease/0000000007.json            who works on it (see the module ``lease``)

A journal is one sequence. Whoever takes over a lease that was not given back writes the next object before it relies
on what it has read: from then on its predecessor's next write collides, and without its intent written down no call
leaves. A snapshot says up to which object it has folded the journal before it; whatever stands behind that is
folded on top of it, so that nothing is lost even if a run that was paused for long saves after it was replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from reconciler.adapters.state.format import (
    Follows,
    JournalHeader,
    decode_journal,
    decode_snapshot,
    decode_state,
    encode_header,
    encode_record,
    encode_state,
)
from reconciler.adapters.state.group_commit import Batch, GroupCommit
from reconciler.adapters.state.lease import Lease
from reconciler.adapters.state.objects import Objects
from reconciler.adapters.state.spill import Spill
from reconciler.model.errors import LockError, StateError
from reconciler.model.journal import Draft, End, Record
from reconciler.model.state import Loaded, State, Version

KEPT: Final = 50
"""Serials that stay to be looked at and restored; the newest is always among them."""
PATIENCE: Final = 5.0
"""Seconds, at least, for a request about the lease: where several ask at once, some stores make them wait."""
TRIES: Final = 10
"""How often a state that changes while it is read is read again."""


class _Seen(Struct, frozen=True):
    """What the store holds: ``serial`` is the newest snapshot's, ``free`` its journal's first free number."""

    state: State | None
    folded: bool
    serial: int
    free: int
    fences: frozenset[int]


class RemoteStateStore(GroupCommit):
    """One workspace's state at ``url``. ``spill`` is the folder for what the store can't take any more.

    ``lease_seconds``: how long the lock outlives a process that is gone.

    Reading takes no lock and writes nothing, so ``plan`` can. Everything that writes runs under :meth:`lock`.

    Raises:
        StateError: the address can't be used.

    """

    def __init__(
        self,
        url: str,
        *,
        version: str,
        spill: Path,
        lease_seconds: float,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__()
        self.url = url
        self._version = version
        self._note = note
        self._objects = Objects(url)
        # its own connections, so that a slow journal does not hold up a renewal
        patience = Objects(url, timeout=max(PATIENCE, lease_seconds / 4))
        self._lease = Lease(patience, seconds=lease_seconds, note=note)
        self._spill = Spill(spill, url)
        self._state: State | None = None
        self._seen: _Seen | None = None
        self._free = 1
        self._task: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def lock(self, command: str, timeout: float) -> Iterator[None]:
        """Hold the workspace's lease. Raises as :meth:`Lease.hold`."""
        with self._lease.hold(command, timeout):
            try:
                yield
            finally:
                left = self._taken()
                if left:
                    self._failed(left, StateError("broken off"))
                self._lease.doubtful = self._broken is not None or self._task is not None

    def unlock(self, confirm: Callable[[str], bool]) -> bool:
        """End somebody's lease. Raises as :meth:`Lease.broken_by`."""
        return self._lease.broken_by(confirm)

    def check(self) -> None:
        """Raise LockError where the lease is lost or may be."""
        self._lease.check()

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def load(self) -> Loaded:
        """Read snapshot, journal, and what an earlier run on this machine could not write into it.

        Raises:
            StateError: the store can't be read; nothing is guessed.
            LockError: under the lock: another run has taken over.

        """
        while True:
            seen = self._read()
            kept = self._spill.kept()
            ends = _still_open(seen.state, kept.values())
            if not self._lease.held:
                return Loaded(_folded(seen.state, ends), folded=seen.folded or bool(ends))
            if ends or self._lease.seized:
                self.check()
                if not self._objects.create(_journal(seen.serial, seen.free), self._lines(seen.state, ends)):
                    continue  # the predecessor's last write: read it too
                self._lease.seized = False
                fences = seen.fences if ends else seen.fences | {seen.free}
                folded = seen.folded or bool(ends)
                seen = _Seen(_folded(seen.state, ends), folded, seen.serial, seen.free + 1, fences)
            self.check()  # what was read before a pause may be old
            self._spill.drop(kept)
            self._seen, self._free = seen, seen.free
            return Loaded(seen.state, folded=seen.folded)

    def _read(self) -> _Seen:
        serial = self._newest()
        for _ in range(TRIES):
            try:
                seen, trouble = self._read_serial(serial), None
            except StateError as error:
                trouble = error
            newest = self._newest()  # under the lock, too: a save that was paused for long may just have landed
            if newest == serial:
                if trouble is not None:
                    raise trouble
                return seen
            serial = newest
        raise StateError(f"the state at `{self.url}` changes faster than it can be read", "Run the command again.")

    def _read_serial(self, serial: int) -> _Seen:
        state: State | None = None
        late: list[tuple[JournalHeader, list[Record]]] = []
        if serial:
            state, follows = self._snapshot(serial)
            if follows is not None:
                after = _journal(follows.serial, follows.objects)
                behind = [meta.number for meta in self._objects.numbered(_folder(follows.serial), after=after)]
                late = self._journals(follows.serial, behind)
        numbers = [meta.number for meta in self._objects.numbered(_folder(serial))]
        own = self._journals(serial, numbers)
        written = [(header, found) for header, found in (*late, *own) if found]
        if state is None and written:  # before the first snapshot; a lineage is only changed where nothing was done yet
            last = written[-1][0]
            state = State(lineage=last.lineage, workspace=last.workspace, api_url=last.api_url, serial=last.serial)
        # what is of another lineage was left by a state that was deleted or replaced
        records = [r for header, found in written if state and header.lineage == state.lineage for r in found]
        fences = frozenset(n for n, (_, found) in zip(numbers, own, strict=True) if not found)
        return _Seen(_folded(state, records), bool(records), serial, max(numbers, default=0) + 1, fences)

    def _snapshot(self, serial: int) -> tuple[State, Follows | None]:
        name = _snapshot(serial)
        data = self._objects.read(name)
        if data is None:
            raise StateError(f"`{self._objects.where(name)}` is gone", "It was listed a moment ago. Run it again.")
        return decode_snapshot(data, self._objects.where(name))

    def _journals(self, serial: int, numbers: Sequence[int]) -> list[tuple[JournalHeader, list[Record]]]:
        names = [_journal(serial, number) for number in numbers]
        result = []
        for name, data in zip(names, self._objects.read_all(names), strict=True):
            where = self._objects.where(name)
            header, records, whole = decode_journal(data or b"", where)
            if header is None or whole != len(data or b""):
                raise StateError(f"`{where}` is damaged", "It is not whole, or gone. Run the command again.")
            result.append((header, records))
        return result

    def _newest(self) -> int:
        return max((meta.number for meta in self._objects.numbered(_STATES)), default=0)

    def versions(self) -> list[Version]:
        """The serials that are kept, oldest first. Raises StateError."""
        found = self._objects.numbered(_STATES)
        return [Version(m.number, m.at.isoformat(timespec="seconds").replace("+00:00", "Z"), m.size) for m in found]

    def version(self, serial: int) -> State:
        """A kept serial. Raises StateError where it is not kept, or can't be read."""
        data = self._objects.read(_snapshot(serial))
        if data is None:
            raise StateError(f"serial {serial} is not kept", "`reconciler state history` lists those that are.")
        return decode_state(data, self._objects.where(_snapshot(serial)))

    # ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def begin(self, state: State) -> None:
        """Start or go on with the journal that continues ``state`` (as :meth:`load` gave it, or a new one)."""
        self._state, self._broken = state, None

    def save(self, state: State) -> None:
        """Create the next serial, then clear away what is folded into it.

        Raises:
            LockError: another run has taken over.
            StateError: it could not be written; the journal still has everything.

        """
        assert self._seen is not None, "load() comes first"
        self._lease.renew()
        folded = Follows(self._seen.serial, self._free - 1)
        data = encode_state(state, self._version, follows=folded, writer=self._lease.writer)
        if not self._objects.create(_snapshot(state.serial), data):
            raise StateError(
                f"serial {state.serial} of the state was written by another run",
                "What this run did stands in the journal. Run the command again: it is folded in then.",
            )
        fences = self._seen.fences
        self._state, self._free = state, 1
        self._seen = _Seen(state, folded=False, serial=state.serial, free=1, fences=frozenset())
        with contextlib.suppress(StateError):  # the next save clears it away
            self._clear(folded, fences)

    def _clear(self, folded: Follows, fences: frozenset[int]) -> None:
        """Keep the newest serials. Of a journal that is folded the fences stay as long, to stop whoever was paused."""
        serials = [meta.number for meta in self._objects.numbered(_STATES)]
        self._objects.delete(_snapshot(serial) for serial in serials[:-KEPT])
        numbers = {meta.number for meta in self._objects.numbered(_folder(folded.serial))} - fences
        self._objects.delete(_journal(folded.serial, number) for number in numbers if number <= folded.objects)
        for serial in self._objects.folders(_JOURNALS):
            if serial <= serials[-1] - KEPT:
                old = self._objects.numbered(_folder(serial))
                self._objects.delete(_journal(serial, meta.number) for meta in old)

    def _flush(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        batch: Batch = []
        try:
            while self._waiting:
                batch = self._taken()
                await self._write(self._records(batch))
                self._written(batch)
        except StateError as error:
            self._failed(batch + self._taken(), error)
        except BaseException:
            self._failed(batch + self._taken(), StateError("broken off", "Run the same command again."))
            raise
        finally:
            self._task = None

    async def _write(self, records: Sequence[Record]) -> None:
        assert self._state is not None, "begin() comes first"
        assert self._seen is not None, "load() comes first"
        if self._broken is not None:
            raise self._broken
        name = _journal(self._seen.serial, self._free)
        if not await self._objects.create_async(name, self._lines(self._state, records)):
            raise LockError(
                "the lease on the state is lost: another run writes its journal",
                f"`{self._objects.where(name)}` is not of this run. Nothing more is sent from here.",
            )
        self._free += 1

    def _lines(self, state: State | None, records: Iterable[Record]) -> bytes:
        """One journal object; without records it only takes its place: a fence."""
        state = state or State(lineage="", workspace="", api_url="")
        return encode_header(state, self._lease.writer) + b"".join(map(encode_record, records))

    def _lost(self, records: Iterable[Record]) -> None:
        if self._state is None:
            return
        try:
            path = self._spill.keep(encode_header(self._state, self._lease.writer), self._lease.writer, records)
        except StateError as error:
            self._note(error.diagnostics[0].summary)
        else:
            if path is not None:
                self._note(f"Outcomes that the store could not take are kept in `{path}`; the next run here adds them.")


def _folded(state: State | None, records: Sequence[Record]) -> State | None:
    if state is None or not records:
        return state
    draft = Draft(state)
    draft.fold_all(records)
    return draft.state()


def _still_open(state: State | None, kept: Iterable[tuple[str, Sequence[Record]]]) -> list[Record]:
    """Of kept outcomes those that nobody has found out otherwise: whose intent still waits in this state."""
    if state is None:
        return []
    return [
        record
        for lineage, records in kept
        if lineage == state.lineage
        for record in records
        if isinstance(record, End) and record.op in state.pending
    ]


_STATES: Final = "state"
_JOURNALS: Final = "journal"


def _snapshot(serial: int) -> str:
    return f"{_STATES}/{serial:010d}.json"


def _folder(serial: int) -> str:
    return f"{_JOURNALS}/{serial:010d}"


def _journal(serial: int, number: int) -> str:
    return f"{_folder(serial)}/{number:06d}.json"
