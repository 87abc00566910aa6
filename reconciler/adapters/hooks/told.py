"""What receivers were told already, in the user's cache folder. A file that can't be read or written remembers nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from reconciler import files

LARGEST: Final = 8_000_000
"""Bytes of a file that is read."""
EVENTS_MAX: Final = 500
"""Facts that happen once, such as an apply, of which so many are remembered."""


class Told:
    """The facts that each receiver was told, by kind. ``folder`` ``None``: only for the program's life.

    The file has digests, so that it tells nothing about projects or receivers.
    """

    def __init__(self, folder: Path | None, place: Iterable[str]) -> None:
        name = f"told-{_digest(*place)}.json"
        self._path = None if folder is None else folder / name
        self._receivers: dict[str, dict[str, list[str]]] = {}
        with contextlib.suppress(OSError, ValueError, msgspec.ValidationError):
            if self._path is not None:
                text = files.read(self._path, LARGEST)
                self._receivers = msgspec.json.decode(text, type=dict[str, dict[str, list[str]]])

    def knows(self, receiver: str, kind: str, key: str) -> bool:
        return _digest(key) in self._receivers.get(_digest(receiver), {}).get(kind, ())

    def keep(self, receiver: str, kind: str, keys: Iterable[str]) -> None:
        """Of this kind forget all other facts: they are over, and are news if they come again."""
        kept = {_digest(key) for key in keys}
        kinds = self._receivers.get(_digest(receiver), {})
        kinds[kind] = [known for known in kinds.get(kind, ()) if known in kept]

    def add(self, receiver: str, facts: Iterable[tuple[str, str]]) -> None:
        """Remember facts, each by its kind and key, that a receiver was told."""
        kinds = self._receivers.setdefault(_digest(receiver), {})
        for kind, key in facts:
            known = kinds.setdefault(kind, [])
            if (digest := _digest(key)) not in known:
                known.append(digest)
                if kind == "applied":
                    del known[:-EVENTS_MAX]

    def save(self) -> None:
        if self._path is None:
            return
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=files.PRIVATE_FOLDER)
            files.replace(self._path, msgspec.json.encode(self._receivers))


def _digest(*parts: str) -> str:
    return sha256("\0".join(parts).encode()).hexdigest()[:32]
