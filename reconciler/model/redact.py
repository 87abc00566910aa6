"""Keep secrets out of every text that people or disks see.

Two things must hold at once. A part of a secret is secret, too: lists cut texts, messages cut long values. And nobody who
may write a text that we show (a branch, the server) may find a secret piece by piece, by looking which guesses we hide.
So a long secret is known by its head, and what follows the head is hidden up to the next mark that ends a word, whether
it goes on like the secret or not: only a guess of the whole head shows, and no guess of more than that.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import asdict, replace

from reconciler.model.values import Json

T = TypeVar("T", bound=Struct)
SHORTEST = 4
"""Values shorter than this many characters are not looked for in foreign text: they would match everywhere."""
LINE = 8
"""Lines of a secret with several that are at least this long are secrets, too: texts are broken and cut by lines."""
HEADED = 16
"""A secret of so many characters is known by its head; a shorter one as a whole only."""
HEAD = 16
"""Characters of a head at most; half of the secret, where that is less."""

REPLACEMENT = "(secret)"
_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})
_BREAK = re.compile(r"[\x00-\x1f\x7f]+")
_MARKS = "\"'`<>()[]{},;|\\…/?&#=:@ "
"""What ends a word that begins with a secret's head, unless the secret itself has it; controls always do."""


def _written(secret: str) -> Iterator[str]:
    """The ways in which a text may hold a secret: as it is, or as URLs, JSON, Python, HTML and base64 write it."""
    yield secret
    yield quote(secret, safe="", errors="surrogateescape")
    yield quote(secret, errors="surrogateescape")
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    yield secret.translate(_HTML)
    coded = binascii.b2a_base64(secret.encode(errors="surrogateescape"), newline=False).decode().rstrip("=")
    yield coded
    yield coded.replace("+", "-").replace("/", "_")


def _start(way: str) -> tuple[str, bool]:
    """What a secret is known by, and whether that is only its head. One of several lines is known by each of these."""
    headed = len(way) >= HEADED and not _BREAK.search(way)
    return (way[: min(HEAD, len(way) // 2)] if headed else way), headed


def _rest(start: str, ways: Iterable[str]) -> re.Pattern[str]:
    """What may follow a head in whichever secret begins with it: all but the marks that none of these has."""
    held = "".join(way for way in ways if way.startswith(start))
    marks = "".join(mark for mark in _MARKS if mark not in held)
    return re.compile(rf"[^\x00-\x1f\x7f{re.escape(marks)}]*")


class _Known(Struct, frozen=True):
    """What a text is searched for, and what is hidden behind it: the head of a secret, or all of it and nothing more."""

    start: str
    rest: re.Pattern[str] | None = None

    def hide(self, text: str) -> str:
        if self.rest is None:
            return text.replace(self.start, REPLACEMENT)
        parts: list[str] = []
        end = 0
        while (found := text.find(self.start, end)) >= 0:
            parts += text[end:found], REPLACEMENT
            rest = self.rest.match(text, found + len(self.start))
            end = rest.end() if rest else found + len(self.start)
        return "".join([*parts, text[end:]])


class Redactor:
    """Replaces known secret values (the API key, every allowed ``${env.…}`` value) wherever they show up."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {s for s in secrets if len(s) >= SHORTEST}
        known |= {line for s in known for line in _BREAK.split(s) if len(line) >= LINE}
        ways = sorted({way for s in known for way in _written(s)}, key=lambda s: (-len(s), s))
        starts = dict.fromkeys(map(_start, ways))
        self._secrets = tuple(_Known(start, _rest(start, ways) if headed else None) for start, headed in starts)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            if secret.start in text:
                text = secret.hide(text)
        return text

    def record(self, record: T) -> T:
        """The same for the text fields of a frozen value."""
        if not self._secrets:
            return record
        return replace(record, **{n: self(text) for n, text in asdict(record).items() if isinstance(text, str)})

    def value(self, value: Json) -> Json:
        """The same for every string in a JSON value (keys stay)."""
        if not self._secrets:
            return value
        return self._value(value)

    def fields(self, fields: Mapping[str, Json]) -> dict[str, Json]:
        """The same for every string in the values of some fields."""
        return {name: self.value(value) for name, value in fields.items()}

    def _value(self, value: Json) -> Json:
        if isinstance(value, str):
            return self(value)
        if isinstance(value, dict):
            return {key: self._value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._value(item) for item in value]
        return value
