"""Answers that stay true for a day, in the user's cache folder. A cache that can't be read or written is none."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeVar

from msgspec import Struct, ValidationError, convert
from msgspec.json import decode, encode

from reconciler import files

DAY: Final = 86_400.0
"""Seconds."""
LARGEST: Final = 4_000_000
"""Bytes of a file that is read."""

T = TypeVar("T")


class _Kept(Struct):
    key: list[str]
    at: str
    value: object


def cache_folder(env: Mapping[str, str], outside: Path) -> Path | None:
    """The program's folder in ``XDG_CACHE_HOME``, else in ``~/.cache``; none where there is no home, or if it is inside the
    workspace, ``outside`` of which it has to be.
    """
    folder = files.user_folder(env, "XDG_CACHE_HOME", ".cache")
    return None if folder is None or folder.resolve().is_relative_to(outside.resolve()) else folder


class Cache(Struct, frozen=True):
    """``folder``: ``None`` keeps nothing."""

    folder: Path | None = None

    def get(self, key: tuple[str, ...], type_: type[T], *, now: str) -> T | None:
        """What was put under this key in the last day; ``now`` is ISO 8601."""
        if self.folder is None:
            return None
        try:
            with self._path(self.folder, key).open("rb") as file:
                kept = decode(file.read(LARGEST), type=_Kept)
            age = (datetime.fromisoformat(now) - datetime.fromisoformat(kept.at)).total_seconds()
            return convert(kept.value, type_) if kept.key == [*key] and 0 <= age < DAY else None
        except (OSError, ValueError, TypeError, ValidationError):
            return None

    def put(self, key: tuple[str, ...], value: object, *, now: str) -> None:
        if self.folder is None:
            return
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True, mode=files.PRIVATE_FOLDER)
            files.replace(self._path(self.folder, key), encode(_Kept([*key], now, value)))

    @staticmethod
    def _path(folder: Path, key: tuple[str, ...]) -> Path:
        digest = sha256("\n".join(key).encode()).hexdigest()
        return folder / f"{key[0]}-{digest[:16]}.json"
