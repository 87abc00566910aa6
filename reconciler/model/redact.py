"""Redaction: keeps secrets out of every text that is shown or stored.

Two things must hold. A part of a secret is secret, too: lists cut texts, messages cut long values. And nobody who can
write a text that is shown (a branch, the server) may find a secret piece by piece, by checking which guesses are hidden.
So a long secret is recognized by its head, and everything up to the next mark that ends a word is hidden with it, whether
it continues like the secret or not: only a guess of the whole head is recognized, and no longer guess.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import TypeVar
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import asdict, replace

from reconciler.model.values import Json

T = TypeVar("T", bound=Struct)
SHORTEST = 4
"""Values with fewer characters are not searched for: they would match everywhere."""
LINE = 8
"""Lines of a secret that are at least this long are secrets, too: texts are split and cut at lines."""
HEADED = 16
"""A secret with so many characters is recognized by its head; a shorter one only as a whole."""
HEAD = 16
"""The most characters of a head; half of the secret, if that is less."""

REPLACEMENT = "(secret)"
_ANGLES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_HTML = tuple(
    str.maketrans(_ANGLES | quotes)
    for quotes in (
        {'"': "&quot;", "'": "&#x27;"},
        {'"': "&quot;", "'": "&#39;"},
        {'"': "&#34;", "'": "&#39;"},
        {'"': "&#34;", "'": "&#39;", "+": "&#43;"},
        {'"': "&quot;", "'": "&#39;", "/": "&#x2F;"},
    )
)
"""How Python, Django, Jinja, Go and others escape."""
_MARKDOWN = (re.compile(r"[\\`*_]"), re.compile(r"[!-/:-@\[-`{-~]"))
_CODE = re.compile("%[0-9A-F]{2}")
_BREAK = re.compile(r"[\x00-\x1f\x7f]+")
_MARKS = "\"'`<>()[]{},;|\\…/?&#=:@ "
"""Marks that end a word that begins with a secret's head, unless the secret itself has them; controls always do."""


def _written(secret: str) -> Iterator[str]:
    """The forms of a secret in a text: as it is, in other letters, or in a URL, JSON, Python, HTML, Markdown, base64, hex."""
    yield secret
    if len(secret) >= HEADED:
        yield secret.lower()
        yield secret.upper()
    whole = quote(secret, safe="", errors="surrogateescape")
    for coded in (whole, quote(secret, errors="surrogateescape")):
        yield coded
        yield _CODE.sub(lambda code: code[0].lower(), coded)
    yield quote(whole, safe="")
    for text in (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]):
        yield text
        yield text.replace("/", "\\/")
    yield repr(secret)[1:-1]
    for escapes in _HTML:
        yield secret.translate(escapes)
    for marks in _MARKDOWN:
        yield marks.sub(r"\\\g<0>", secret)
    data = secret.encode(errors="surrogateescape")
    if len(secret) >= LINE:
        yield data.hex()
        yield data.hex().upper()
    for before in range(
        3 if len(secret) >= LINE else 1
    ):  # what stands before it moves it, as the user's name and a colon do
        encoded = binascii.b2a_base64(bytes(before) + data, newline=False).decode().rstrip("=")
        whole_characters = (before + len(data)) % 3 == 0
        encoded = encoded[(0, 2, 3)[before] : None if whole_characters or not before else -1]
        yield encoded
        yield encoded.replace("+", "-").replace("/", "_")


def _start(way: str) -> tuple[str, bool]:
    """The text by which a secret is recognized, and whether it is only its head. Each line of a secret has its own."""
    headed = len(way) >= HEADED and not _BREAK.search(way)
    return (way[: min(HEAD, len(way) // 2)] if headed else way), headed


def _rest(start: str, ways: Iterable[str]) -> re.Pattern[str]:
    """A pattern for what may follow a head in the secrets that begin with it: all but marks that none of these has."""
    held = "".join(way for way in ways if way.startswith(start))
    marks = "".join(mark for mark in _MARKS if mark not in held)
    return re.compile(rf"[^\x00-\x1f\x7f{re.escape(marks)}]*")


class _Known(Struct, frozen=True):
    """A text to search for, and a pattern for what is hidden after it, if it is only the head of a secret."""

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
    """Replaces known secret values (the API key, every allowed ``${env.…}`` value) wherever they occur."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._values = frozenset(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Replace these values, too, from now on."""
        self._values |= {*secrets}
        self.__dict__.pop("_secrets", None)

    @cached_property
    def _secrets(self) -> tuple[_Known, ...]:
        """What to search for, made when the first text comes."""
        known = {s for s in self._values if len(s) >= SHORTEST}
        known |= {line for s in known for line in _BREAK.split(s) if len(line) >= LINE}
        ways = sorted({way for s in known for way in _written(s)}, key=lambda s: (-len(s), s))
        starts = dict.fromkeys(map(_start, ways))
        return tuple(_Known(start, _rest(start, ways) if headed else None) for start, headed in starts)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            if secret.start in text:
                text = secret.hide(text)
        return text

    def record(self, record: T) -> T:
        """Redact the text fields of a frozen value."""
        if not self._secrets:
            return record
        return replace(record, **{n: self(text) for n, text in asdict(record).items() if isinstance(text, str)})

    def value(self, value: Json) -> Json:
        """Redact every string in a JSON value, but not keys."""
        if not self._secrets:
            return value
        return self._value(value)

    def fields(self, fields: Mapping[str, Json]) -> dict[str, Json]:
        """Redact every string in the values of fields."""
        return {name: self.value(value) for name, value in fields.items()}

    def _value(self, value: Json) -> Json:
        if isinstance(value, str):
            return self(value)
        if isinstance(value, dict):
            return {key: self._value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._value(item) for item in value]
        return value
