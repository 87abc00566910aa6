"""Keep secrets out of every text that people or disks see."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from os.path import commonprefix
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
HEAD = 16
"""A secret of twice this length is known by so many of its first characters: the API and messages cut long texts."""

REPLACEMENT = "(secret)"
_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})
_BREAK = re.compile(r"[\x00-\x1f\x7f]+")


def _written(secret: str) -> Iterator[str]:
    """The ways in which a text may hold a secret: as it is, or as URLs, JSON, Python and HTML write it."""
    yield secret
    yield quote(secret, safe="")
    yield quote(secret)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    yield secret.translate(_HTML)


class Redactor:
    """Replaces known secret values (the API key, every allowed ``${env.…}`` value) wherever they show up."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {s for s in secrets if len(s) >= SHORTEST}
        known |= {line for s in known for line in _BREAK.split(s) if len(line) >= LINE}
        self._secrets = sorted({way for s in known for way in _written(s)}, key=lambda s: (-len(s), s))

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, REPLACEMENT)
            if len(secret) >= 2 * HEAD:
                while (start := text.find(secret[:HEAD])) >= 0:
                    found = commonprefix((text[start:], secret))  # noqa: RUF071  of characters
                    text = text[:start] + REPLACEMENT + text[start + len(found) :]
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
        if isinstance(value, str):
            return self(value)
        if isinstance(value, dict):
            return {key: self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value
