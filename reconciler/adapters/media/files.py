"""The files that downloads write: complete ones, parts, and the files of others that are never replaced."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Final

from msgspec import Struct, ValidationError, convert
from msgspec.structs import asdict

from reconciler import files
from reconciler.model.errors import DownloadError
from reconciler.model.values import Json

_LONGEST_NOTE: Final = 65536


class Fetched(Struct, frozen=True):
    """A complete file. ``validator`` is the server's: an ETag or a date, if it gave one."""

    file: str
    size: int
    sha256: str
    validator: str | None


class FileInTheWayError(DownloadError):
    """A file is where a download is to be written, and no download wrote it, or it was changed since."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"`{path}` is in the way: it was not downloaded by reconciler, or was changed since",
            "It was not replaced. Move it away, or download into another folder.",
        )


class Part:
    """The beginning of a file, and a note beside it that tells of which. A part without a note is somebody else's file."""

    def __init__(self, folder: Path, stem: str) -> None:
        self.path = folder / f"{stem}.part"
        self._note = folder / f"{stem}.part.json"

    def target(self, ending: str) -> Path:
        return self.path.with_name(self.path.name.removesuffix(".part") + ending)

    def begun(self) -> tuple[int, str | None]:
        """How much of the file is there, and the validator that tells that the rest belongs to it.

        Raises:
            FileInTheWayError: the part or the note is not ours.
            OSError: they can't be read.

        """
        there, noted = files.check(self.path), self._noted()
        if noted is None:
            if there or files.check(self._note):
                raise FileInTheWayError(self.path if there else self._note)
            return 0, None
        size = self.path.stat().st_size if there else 0
        validator = noted["validator"]
        return (size, validator) if size and isinstance(validator, str) and validator.isprintable() else (0, None)

    @staticmethod
    def check(target: Path, known: Fetched | None, total: int | None) -> None:
        """Refuse a place that can't be written, before the file comes.

        Raises:
            FileInTheWayError: a file is there that is not the known one, and has another size than the new one.
            OSError: something else than a file is there.

        """
        ours = known is not None and known.file == target.name
        if files.check(target) and not ours and total is not None and target.stat().st_size != total:
            raise FileInTheWayError(target)

    def begin(self, validator: str | None, offset: int) -> None:
        """Note what the part belongs to. Of a file that begins at 0 nothing is there: the rest of the one before would be taken
        for its beginning. Raises OSError.
        """
        if not offset:
            self.path.unlink(missing_ok=True)
        files.remove_leftovers(self._note)
        files.replace(self._note, json.dumps({"validator": validator}).encode())

    def finish(self, target: Path, fetched: Fetched, known: Fetched | None) -> None:
        """Make the complete part the file. A file with the same content stays. The note tells that it is ours, until
        :meth:`drop`.

        Raises:
            FileInTheWayError: there is another file than the known one.

        """
        if files.check(target):
            there = file_digest(target)
            if there == fetched.sha256:
                return self.path.unlink()
            if known is None or (known.file, known.sha256) != (target.name, there):
                raise FileInTheWayError(target)
        files.replace(self._note, json.dumps({"validator": fetched.validator, "fetched": asdict(fetched)}).encode())
        return files.move(self.path, target)

    def left(self) -> Fetched | None:
        """The complete file of a run that ended before it was noted elsewhere, if it is unchanged."""
        try:
            fetched = convert((self._noted() or {}).get("fetched"), Fetched)
            path = self.path.with_name(Path(fetched.file).name)
            return fetched if file_digest(path) == fetched.sha256 else None
        except (OSError, ValidationError):
            return None

    def drop(self, *, resumable: bool = False) -> None:
        """Remove the part, if it is ours; if it is ``resumable``, only one of which nothing tells what it belongs to."""
        with contextlib.suppress(OSError):
            noted = self._noted()
            if noted is None or (resumable and isinstance(noted["validator"], str)):
                return
            if files.check(self.path):
                self.path.unlink()
            self._note.unlink()

    def _noted(self) -> dict[str, Json] | None:
        """The note; ``None``: there is none of ours. Raises OSError."""
        try:
            note = json.loads(files.read(self._note, _LONGEST_NOTE))
        except (FileNotFoundError, ValueError):
            return None
        return note if isinstance(note, dict) and {"validator"} <= set(note) <= {"validator", "fetched"} else None


def file_digest(path: Path) -> str:
    with files.open_to_read(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
