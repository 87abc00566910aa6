"""Outcomes that a store could not take, kept on this machine until its next run adds them."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from reconciler import files
from reconciler.adapters.state.format import MAX_BYTES, decode_journal, encode_record
from reconciler.model.errors import StateError
from reconciler.model.journal import End, Record


class Spill:
    """The files for one store in ``folder``: one for each run that could not write its outcomes."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._stem = hashlib.sha256(url.encode()).hexdigest()[:16]

    def keep(self, header: bytes, writer: str, records: Iterable[Record]) -> Path | None:
        """Write outcomes to a file; not intents, whose calls were never made. Returns the file, if there was an outcome.

        Raises:
            StateError: the file can't be written. The intent in the store makes the next run check.

        """
        lines = b"".join(encode_record(record) for record in records if isinstance(record, End) and record.op)
        if not lines:
            return None
        path = self._folder / f"{self._stem}-{writer}.journal"
        try:
            files.make_folder(self._folder, mode=files.PRIVATE_FOLDER)
            fd = files.open_to_append(path)
            with os.fdopen(fd, "wb") as file:
                file.write(lines if os.fstat(fd).st_size else header + lines)
                file.flush()
                os.fsync(file.fileno())
            files.sync_folder(self._folder)
        except OSError as error:
            raise StateError(f"can't write `{path}`: {error.strerror}") from error
        return path

    def kept(self) -> dict[Path, tuple[str, list[End]]]:
        """Lineage and outcomes of earlier runs, by file.

        Raises:
            StateError: a file can't be read.

        """
        found = {}
        for path in files.listed(self._folder, start=f"{self._stem}-", end=".journal"):
            try:
                data = files.read(path, MAX_BYTES)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise StateError(f"can't read `{path}`: {error.strerror}") from error
            header, records, _ = decode_journal(data, str(path))
            ends = [record for record in records if isinstance(record, End)]
            found[path] = (header.lineage if header else "", ends)
        return found

    @staticmethod
    def drop(paths: Iterable[Path]) -> None:
        """Delete files whose outcomes are in the store now."""
        for path in paths:
            with contextlib.suppress(OSError):
                files.remove(path)
