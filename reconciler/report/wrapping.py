"""Lines that fit a terminal: broken between words, never inside one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from reconciler.report.safe_text import columns

_ESCAPE: Final = re.compile(r"\x1b\[[0-9;]*m")
_PARTS: Final = re.compile(r"( +)|([^ `]*`[^`]*`[^ `]*)")
"""Spaces, and what stands in backticks: a command is copied, and must not be broken."""
LONGEST: Final = 1000
"""A longer word is no word that a person reads, and is cut."""


def wrapped(text: str, width: int | None) -> str:
    """The text with its longer lines broken; what follows is indented a little more than its line. Without a width, as it
    is. Escape codes take no room.
    """
    if width is None:
        return text
    return "\n".join(part for line in text.split("\n") for part in _hanging(line, width))


def _hanging(line: str, width: int) -> Iterator[str]:
    plain = _ESCAPE.sub("", line)
    if columns(plain) <= width:
        yield line
        return
    indent = " " * min(len(plain) - len(plain.lstrip(" ")) + 2, width // 2)
    first, *rest = broken(line, width, width - len(indent))
    yield first
    yield from (indent + part for part in rest)


def broken(line: str, first: int, others: int | None = None) -> list[str]:
    """The parts of a line, at most ``first`` columns wide and the later ones ``others``, without the spaces between them.
    A longer word stands in a part of its own; a command in backticks is a word.
    """
    parts: list[str] = []
    now, room = "", first
    for space, word in _words(line, first):
        size = columns(_ESCAPE.sub("", word))
        if now.strip() and len(space) + size > room:
            parts.append(now.rstrip())
            now, room = word, (others or first) - size
        else:
            now += space + word
            room -= len(space) + size
    return [*parts, now.rstrip()] if now.strip() else parts


def _words(line: str, width: int) -> Iterator[tuple[str, str]]:
    """Each word with the spaces before it. Scripts without spaces may be broken anywhere."""
    space = ""
    for part in filter(None, _PARTS.split(line)):
        if not part.strip(" "):
            space += part
            continue
        wide = not part.isascii() and columns(part) > max(width, len(part))
        size = 1 if wide else LONGEST
        for piece in (part[i : i + size] for i in range(0, len(part), size)):
            yield space, piece
            space = ""
