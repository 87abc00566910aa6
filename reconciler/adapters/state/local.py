"""The state in a local file: a snapshot, always replaced as a whole, and next to it a journal that is only appended to."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from reconciler import files
from reconciler.adapters.state.claims import ClaimFile, Claims, claim_path
from reconciler.adapters.state.disk_errors import disk_failure, ignore, unsynced
from reconciler.adapters.state.format import (
    MAX_BYTES,
    decode_journal,
    decode_state,
    encode_header,
    encode_record,
    encode_state,
)
from reconciler.adapters.state.group_commit import GroupCommit
from reconciler.adapters.state.lock import clear_lock, hold_lock, read_holder
from reconciler.model.errors import Diagnostic, StateError
from reconciler.model.journal import Draft
from reconciler.model.state import Loaded, State, Version


class LocalStateStore(GroupCommit):
    """One workspace's state in ``path``; the journal is ``<path>.journal``.

    Reading needs no lock and writes nothing, so ``plan`` can read. Everything that writes needs :meth:`lock`. ``warn``
    hears of what is written and may be lost.
    """

    def __init__(self, path: Path, *, version: str, warn: Callable[[Diagnostic], None] = ignore) -> None:
        super().__init__()
        self.path = path
        self.claims = Claims(ClaimFile(path, warn))
        self._warn = warn
        self._journal_path = path.with_name(path.name + ".journal")
        self._version = version
        self._state: State | None = None
        self._fd: int | None = None
        self._size = 0
        self._whole: int | None = None
        self._lineage: str | None = None

    @contextlib.contextmanager
    def lock(self, command: str, timeout: float) -> Iterator[None]:
        """Hold the workspace's lock. Raises as :func:`hold_lock`."""
        with hold_lock(self.path, command=command, timeout=timeout):
            try:
                for path in (self.path, claim_path(self.path)):
                    files.remove_leftovers(path)
                yield
            finally:
                self._close()

    def holder(self) -> str | None:
        """Who holds the lock, as far as its files tell; takes no lock."""
        found = read_holder(self.path)
        return str(found) if found is not None else None

    def check(self) -> None:
        """Do nothing: the operating system keeps the lock as long as this process lives."""

    def unlock(self, confirm: Callable[[str], bool]) -> bool:  # noqa: ARG002  nothing to confirm: a living holder keeps it
        """Remove the files of a dead holder. Raises as :func:`clear_lock`."""
        return clear_lock(self.path)

    def versions(self) -> list[Version]:
        """Raises StateError: a local state keeps no history."""
        raise StateError(_NO_HISTORY, _WHERE_HISTORY_IS)

    def version(self, serial: int) -> State:  # noqa: ARG002
        """Raises StateError: a local state keeps no history."""
        raise StateError(_NO_HISTORY, _WHERE_HISTORY_IS)

    def load(self) -> Loaded:
        """Read journal and snapshot, in this order: if the journal is folded meanwhile, the snapshot has all of it.

        Raises:
            StateError: one of them can't be read.

        """
        journal_data = self._read(self._journal_path)
        snapshot_data = self._read(self.path)
        header, records, whole = decode_journal(journal_data or b"", str(self._journal_path))
        state = None if snapshot_data is None else decode_state(snapshot_data, str(self.path))
        current = header is not None
        if header is not None and state is not None:
            if header.lineage != state.lineage or header.serial > state.serial:
                raise StateError(
                    f"`{self._journal_path}` does not belong to `{self.path}`",
                    f"The journal continues serial {header.serial}, the state is serial {state.serial}"
                    f"{'' if header.lineage == state.lineage else ' of another lineage'}. Was an old copy put back? "
                    "Move the journal away and run `reconciler apply`: it finds what was done in the account.",
                )
            current = header.serial == state.serial
        elif header is not None:
            # serial 0, whatever it continues: there is no snapshot (any more), so planning has to look for every project
            state = header.empty_state
        self._whole = whole if current else None
        self._lineage = header.lineage if header is not None else None
        if state is not None and current and records:
            draft = Draft(state)
            draft.fold_all(records)
            state = draft.state()
        return Loaded(state, folded=current and bool(records))

    def begin(self, state: State) -> None:
        """Start or continue the journal of ``state``, which :meth:`load` returned or which is new."""
        self._state, self._broken = state, None
        if self._lineage is not None and self._lineage != state.lineage:
            self._whole = None  # an empty journal of a state that was never written

    def save(self, state: State, *, lasting: bool = False) -> None:
        """Replace the snapshot and remove the journal that is folded into it, unless the old snapshot may come back.

        Raises:
            StateError: it could not be written; the journal still has everything. With ``lasting``, also: it may be lost.

        """
        data = encode_state(state, self._version)
        try:
            files.make_folder(self.path.parent, mode=files.PRIVATE_FOLDER)
            lost = files.replace(self.path, data)
            self._close()
            if lost is None:
                files.remove(self._journal_path)
            elif lasting:
                raise lost
            else:
                self._warn(unsynced(self.path, lost))
        except OSError as error:
            raise disk_failure("write", self.path, error) from error
        self._state = state
        self._whole = None

    def _flush(self) -> None:
        batch = self._take_batch()
        try:
            self._write(b"".join(map(encode_record, self._records(batch))))
        except StateError as error:
            self._fail(batch, error)
        except BaseException as error:  # those who wait must get it, whatever it is
            self._fail(batch, StateError("the journal can't be written", f"{type(error).__name__}: {error}"))
            if not isinstance(error, Exception):
                raise
        else:
            self._complete(batch)

    def _write(self, data: bytes) -> None:
        if self._broken is not None:
            raise self._broken
        try:
            if self._fd is None:
                self._open()
            assert self._fd is not None
            files.write_all(self._fd, data)
            os.fsync(self._fd)
            self._size += len(data)
        except OSError as error:
            if self._fd is not None:
                with contextlib.suppress(OSError):  # a later run must not append to half a line
                    os.ftruncate(self._fd, self._size)
            raise disk_failure("write", self._journal_path, error) from error

    def _open(self) -> None:
        assert self._state is not None, "begin() comes first"
        files.make_folder(self.path.parent, mode=files.PRIVATE_FOLDER)
        if self._whole is None and files.check(self._journal_path):
            files.sync_folder(self.path.parent)  # until then, the state that it continues may come back
        fd = files.open_to_append(self._journal_path)
        self._fd, self._size = fd, self._whole or 0
        os.ftruncate(fd, self._size)  # drops a torn last line, or a journal that is folded already
        if self._size == 0:
            header = encode_header(self._state)
            files.write_all(fd, header)
            os.fsync(fd)
            files.sync_folder(self.path.parent)
            self._size = len(header)

    def _close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    @staticmethod
    def _read(path: Path) -> bytes | None:
        try:
            return files.read(path, MAX_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise disk_failure("read", path, error) from error


_NO_HISTORY = "a local state keeps no history"
_WHERE_HISTORY_IS = (
    "A remote state does: `state: s3://bucket/prefix`, `gs://…`, `az://…` or `file:///shared/folder`. "
    "Until then, keep copies with `reconciler state pull > copy.json`."
)
