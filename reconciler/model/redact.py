"""Keep secrets out of every text that people or disks see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from reconciler.model.values import Json

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")
SHORTEST = 4
"""Values shorter than this many characters are not looked for in foreign text: they would match everywhere."""

REPLACEMENT = "(secret)"


class Redactor:
    """Replaces known secret values (the API key, every allowed ``${env.…}`` value) wherever they show up."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {s for s in secrets if len(s) >= SHORTEST}
        known |= {quote(s, safe="") for s in known}
        self._secrets = sorted(known, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, REPLACEMENT)
        return text

    def record(self, record: T) -> T:
        """The same for the text fields of a frozen value."""
        if not self._secrets:
            return record
        texts = {f.name: getattr(record, f.name) for f in fields(record) if f.init}
        return replace(record, **{name: self(text) for name, text in texts.items() if isinstance(text, str)})

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
