"""The state in an object store: snapshots and journals like the local ones, as objects that are created only if absent.

::

    state/0000000042.json            a snapshot: serial 43 can be created once, so two writers can't both win
    journal/0000000042/000007.json   records written after it, one object for each group of them
    lease/0000000007.json            who holds it (see the module ``lease``)
    claim.json                       which pull request has claimed the workspace (see the module ``claims``)

A journal is one sequence. A run that takes over a lease which was not released writes the next object (a fence) before it
relies on what it read: from then on its predecessor's next write fails, and no call is sent without its intent on
record. A snapshot says which objects of the journal before it it contains; later ones are folded on top of it, so that
nothing is lost even if a run that was paused for long saves after it was replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from reconciler.adapters.state.claims import Claims
from reconciler.adapters.state.disk_errors import ignore
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
from reconciler.adapters.state.objects import Objects, UnsyncedError
from reconciler.adapters.state.spill import Spill
from reconciler.model.errors import Diagnostic, LockError, StateError
from reconciler.model.journal import Draft, End, Record
from reconciler.model.state import Loaded, State, Version

KEPT: Final = 50
"""Serials that are kept for `state history`; the newest is always among them."""
PATIENCE: Final = 5.0
"""Seconds at least for a request about the lease: some stores make several at once wait."""
ATTEMPTS: Final = 10
"""How many times a state that changes while it is read is read."""


class _Seen(Struct, frozen=True):
    """The store's content: ``serial`` is the newest snapshot's, ``free`` the first free number in its journal."""

    state: State | None
    folded: bool
    serial: int
    free: int
    fences: frozenset[int]


class RemoteStateStore(GroupCommit):
    """One workspace's state at ``url``. ``spill`` is the folder for outcomes that the store can't take any more.

    ``lease_seconds``: how long the lock outlives a dead process. ``own_folder``: as :class:`Objects`.

    Reading needs no lock and writes nothing, so ``plan`` can read. Everything that writes needs :meth:`lock`.

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
        warn: Callable[[Diagnostic], None] = ignore,
        own_folder: bool = False,
    ) -> None:
        super().__init__()
        self._warn = warn
        self.url = url
        self._version = version
        self._note = note
        self._objects = Objects(url, own_folder=own_folder)
        self.claims = Claims(_ClaimObject(self._objects, warn))
        # its own connections, so that a slow journal does not delay a renewal
        patience = Objects(url, timeout=max(PATIENCE, lease_seconds / 4), own_folder=own_folder)
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
                left = self._take_batch()
                if left:
                    self._fail(left, StateError("broken off"))
                self._lease.doubtful = self._broken is not None or self._task is not None

    def unlock(self, confirm: Callable[[str], bool]) -> bool:
        """End another run's lease. Raises as :meth:`Lease.break_lease`."""
        return self._lease.break_lease(confirm)

    def holder(self) -> str | None:
        """Who holds the lease; takes nothing, and knows nothing where the store can't be read."""
        try:
            found = self._lease.read_holder()
        except StateError:
            return None
        return str(found) if found is not None else None

    def check(self) -> None:
        """Raise LockError if the lease is lost or may be."""
        self._lease.check()

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def load(self) -> Loaded:
        """Read snapshot, journal, and the outcomes that an earlier run on this machine could not write.

        Raises:
            StateError: the store can't be read.
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
            self.check()  # after a pause it may be old
            self._spill.drop(kept)
            self._seen, self._free = seen, seen.free
            return Loaded(seen.state, folded=seen.folded)

    def _read(self) -> _Seen:
        serial = self._newest()
        for _ in range(ATTEMPTS):
            try:
                seen, trouble = self._read_serial(serial), None
            except StateError as error:
                trouble = error
            newest = self._newest()  # under the lock, too: a save that was paused for long may just have arrived
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
        if state is None and written:  # before the first snapshot; a lineage only changes before anything was done
            last = written[-1][0]
            state = replace(last.empty_state, serial=last.serial)
        # records of another lineage are of a state that was deleted or replaced
        records = [r for header, found in written if state and header.lineage == state.lineage for r in found]
        fences = frozenset(n for n, (_, found) in zip(numbers, own, strict=True) if not found)
        return _Seen(_folded(state, records), bool(records), serial, max(numbers, default=0) + 1, fences)

    def _snapshot(self, serial: int) -> tuple[State, Follows | None]:
        name = _snapshot(serial)
        data = self._objects.read(name)
        if data is None:
            raise StateError(
                f"`{self._objects.where(name)}` is gone", "It was listed a moment ago. Run the command again."
            )
        return decode_snapshot(data, self._objects.where(name))

    def _journals(self, serial: int, numbers: Sequence[int]) -> list[tuple[JournalHeader, list[Record]]]:
        names = [_journal(serial, number) for number in numbers]
        result = []
        for name, data in zip(names, self._objects.read_all(names), strict=True):
            where = self._objects.where(name)
            header, records, whole = decode_journal(data or b"", where)
            if header is None or whole != len(data or b""):
                raise StateError(f"`{where}` is damaged", "It is incomplete or gone. Run the command again.")
            result.append((header, records))
        return result

    def _newest(self) -> int:
        return max((meta.number for meta in self._objects.numbered(_STATES)), default=0)

    def versions(self) -> list[Version]:
        """The serials that are kept, oldest first. Raises StateError."""
        found = self._objects.numbered(_STATES)
        return [Version(m.number, m.at.isoformat(timespec="seconds").replace("+00:00", "Z"), m.size) for m in found]

    def version(self, serial: int) -> State:
        """One of the serials that are kept. Raises StateError if it is not kept or can't be read."""
        data = self._objects.read(_snapshot(serial))
        if data is None:
            raise StateError(f"serial {serial} is not kept", "`reconciler state history` lists those that are.")
        return decode_state(data, self._objects.where(_snapshot(serial)))

    # ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def begin(self, state: State) -> None:
        """Start or continue the journal of ``state``, which :meth:`load` returned or which is new."""
        self._state, self._broken = state, None

    def save(self, state: State, *, lasting: bool = False) -> None:
        """Create the next serial, then delete the journal that is folded into it.

        Raises:
            LockError: another run has taken over.
            StateError: it could not be written; the journal still has everything. With ``lasting``, also: it may be lost.

        """
        assert self._seen is not None, "load() comes first"
        self._lease.renew()
        folded = Follows(self._seen.serial, self._free - 1)
        data = encode_state(state, self._version, follows=folded, writer=self._lease.writer)
        if not _created(self._objects, _snapshot(state.serial), data, warn=None if lasting else self._warn):
            raise StateError(
                f"serial {state.serial} of the state was written by another run",
                "The journal has what this run did. Run the command again: it folds that in.",
            )
        fences = self._seen.fences
        self._state, self._free = state, 1
        self._seen = _Seen(state, folded=False, serial=state.serial, free=1, fences=frozenset())
        with contextlib.suppress(StateError):  # the next save deletes it
            self._clear(folded, fences)

    def _clear(self, folded: Follows, fences: frozenset[int]) -> None:
        """Delete old serials and folded journals. Fences are kept as long as their serial, to stop runs that were paused."""
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
                batch = self._take_batch()
                await self._write(self._records(batch))
                self._complete(batch)
        except StateError as error:
            self._fail(batch + self._take_batch(), error)
        except BaseException:
            self._fail(batch + self._take_batch(), StateError("broken off", "Run the same command again."))
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
                f"`{self._objects.where(name)}` is not of this run. This run sends nothing more.",
            )
        self._free += 1

    def _lines(self, state: State | None, records: Iterable[Record]) -> bytes:
        """One journal object; without records it is a fence, which only takes its number."""
        state = state or State(lineage="", workspace="", api_url="")
        return encode_header(state, self._lease.writer) + b"".join(map(encode_record, records))

    def _keep_unwritten(self, records: Iterable[Record]) -> None:
        if self._state is None:
            return
        try:
            path = self._spill.keep(encode_header(self._state, self._lease.writer), self._lease.writer, records)
        except StateError as error:
            self._note(error.diagnostics[0].summary)
        else:
            if path is not None:
                self._note(f"Outcomes that the store could not take are in `{path}`; the next run here adds them.")


class _ClaimObject:
    """A claim as an object beside the state."""

    _NAME: Final = "claim.json"

    def __init__(self, objects: Objects, warn: Callable[[Diagnostic], None]) -> None:
        self._objects = objects
        self._warn = warn

    @property
    def where(self) -> str:
        return self._objects.where(self._NAME)

    def read(self, limit: int) -> bytes | None:
        return self._objects.read(self._NAME, limit)

    def create(self, data: bytes) -> bool:
        return _created(self._objects, self._NAME, data, warn=self._warn)

    def remove(self) -> bool:
        return self._objects.remove(self._NAME)


def _created(objects: Objects, name: str, data: bytes, *, warn: Callable[[Diagnostic], None] | None) -> bool:
    """Create an object as :meth:`Objects.create`. ``warn`` hears that it may be lost; without it, that is an error."""
    try:
        return objects.create(name, data)
    except UnsyncedError as error:
        if warn is None:
            raise
        warn(error.warning)
        return True


def _folded(state: State | None, records: Sequence[Record]) -> State | None:
    if state is None or not records:
        return state
    draft = Draft(state)
    draft.fold_all(records)
    return draft.state()


def _still_open(state: State | None, kept: Iterable[tuple[str, Sequence[Record]]]) -> list[Record]:
    """The spilled outcomes whose intents are still pending in this state."""
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
