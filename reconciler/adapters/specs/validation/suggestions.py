"""Texts for messages: quoted values, made safe to print, and suggestions."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Collection

SHOWN_MAX = 60
"""Characters of a foreign text that a message quotes."""
_NAME_MAX = 100
KNOWN_MAX = 500
_LISTED_MAX = 20
_START_MIN = 3
"""Longer names are no slips of the finger, comparing with many takes time, and a shorter start means nothing."""


def quoted(value: object) -> str:
    """What a specification says at one place: shortened, every unprintable character escaped; containers by kind."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return repr(value if len(value) <= SHOWN_MAX else value[:SHOWN_MAX] + "…")
        case int() if abs(value) >= 10**SHOWN_MAX:
            return "a huge number"
        case int() | float():
            return str(value)
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case _:
            return type(value).__name__


def printable(text: str) -> str:
    """The text with every unprintable character escaped (file names, messages of libraries)."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in text)


def near(name: str, known: Collection[str]) -> str | None:
    """The known name that looks most like this one, if any does."""
    if len(name) > _NAME_MAX or len(known) > KNOWN_MAX:
        return None
    by_lower = {option.lower(): option for option in known}
    found = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    if not found and len(name) >= _START_MIN:
        found = [option for option in by_lower if option.startswith(name.lower())]
    return by_lower[found[0]] if found else None


def did_you_mean(name: str, known: Collection[str]) -> str:
    """A question for the detail of a diagnostic, or nothing."""
    found = near(name, known)
    return "" if found is None else f"did you mean {quoted(found)}?"


def listed(names: Collection[str], *, in_order: bool = True) -> str:
    """The names, by commas and, if they are not too many or it is turned off, sorted; of many a few."""
    few = list(itertools.islice(sorted(names) if in_order and len(names) <= KNOWN_MAX else names, _LISTED_MAX))
    return ", ".join(few) + (f", … ({len(names):,} in all)" if len(names) > len(few) else "")


def sentences(*parts: str) -> str:
    """The parts that are not empty, as one detail. After a question, the next begins a sentence."""
    detail = ""
    for part in filter(None, parts):
        detail += f" {part[0].upper()}{part[1:]}" if detail.endswith("?") else f"; {part}" if detail else part
    return detail
