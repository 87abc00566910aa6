"""Markdown that fits in a comment: what does not fit in full is listed by name, and what does not fit by name is counted.

Untrusted text appears only in code spans and fenced blocks, where no service follows links, mentions or markup; each has more
backticks than the text holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from msgspec import Struct

from reconciler.model.hosts import PLAIN_PAGE
from reconciler.report.safe_text import clean

LIMIT: Final = 60_000
"""Characters. GitHub allows 65,536 in a comment; the rest is for what a workflow puts around this."""

_RESERVE: Final = 2_500
"""Characters that each section gets, however long the sections before it are."""
_NAMES: Final = 0.5
"""Of a section that does not fit: the share that lists the names of what is not shown."""
_SMALLEST: Final = 150
"""With fewer characters left, items are only named."""
_MISSES: Final = 20
"""After so many items that did not fit, the rest are only named: a huge text takes long to lay out."""
_FRAME: Final = 200
"""The most characters that the markup around the names of what is not shown takes."""
_MANY: Final = 8
"""More items of a section are folded together."""
_WORD: Final = 200
"""Characters of a text inside a line."""
_COUNTS: Final = 80
"""Characters by which the line about what is left out may grow with the numbers in it."""


class Item(Struct, frozen=True):
    """Something to show in full, shortened or only by name. It is rendered only if there is room."""

    render: Callable[[bool], str]
    name: str
    count: int = 1
    """How many projects or findings it is."""


class Section(Struct, frozen=True):
    heading: str
    items: tuple[Item, ...]
    urgent: bool = False
    """Whether it comes right after what spends credits."""


def code(text: str) -> str:
    """A code span that the text can't end."""
    text = clean(text if len(text) <= _WORD else f"{text[:_WORD]}…") or " "
    ticks = "`" * (_longest_run(text) + 1)
    gap = " " if text[0] in "` " or text[-1] in "` " else ""
    return f"{ticks}{gap}{text}{gap}{ticks}"


def fenced(lines: Iterable[str], language: str) -> str:
    """A block of clean lines that none of them can end."""
    text = "\n".join(lines)
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def page_link(url: str | None, label: str) -> str:
    """A link, if nothing in the address can be markup; else nothing."""
    return f"[{label}]({url})." if url is not None and re.fullmatch(PLAIN_PAGE, url) else ""


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)


class _Left(Struct):
    """How many projects and findings are only named, and how many only counted."""

    named: int = 0
    counted: int = 0


def document(head: Iterable[str], sections: list[Section], foot: str, *, whole: str) -> str:
    """The parts in at most ``LIMIT`` characters. Details go last: if they don't fit, a line on top says how many are left
    out, and ``whole``, a sentence on where all of it is.
    """
    sections = [section for section in sections if section.items]
    start = "\n\n".join(part for part in head if part)
    end = f"<sub>{foot}</sub>" if foot else ""
    room = LIMIT - len(start) - len(end) - 10
    body = _whole(sections, room, full=True)
    if body is None:
        left, total = _Left(), sum(item.count for section in sections for item in section.items)
        room -= len(_shortened(left, total, whole)) + _COUNTS
        fitted = _fitted(sections, room, left)
        body = f"{_shortened(left, total, whole)}\n\n{fitted}"
    return "\n\n".join(part for part in (start, body, end) if part) + "\n"


def _shortened(left: _Left, total: int, whole: str) -> str:
    """The line about what is left out."""
    counted = f" and {left.counted:,} only counted" if left.counted else ""
    out = f"of {total:,} projects and findings, {left.named:,} are only named{counted}"
    return f"_Shortened to fit in a comment: {out if left.named or left.counted else 'long texts are cut'}. {whole}_"


def _whole(sections: list[Section], room: int, *, full: bool) -> str | None:
    """All sections; ``None`` as soon as they do not fit."""
    parts: list[str] = []
    for section in sections:
        for part in _framed(section, (item.render(full) for item in section.items)):
            room -= len(part) + 2
            if room < 0:
                return None
            parts.append(part)
    return "\n\n".join(parts)


def _framed(section: Section, items: Iterable[str]) -> Iterator[str]:
    """The parts of a section; many items are folded together."""
    yield f"#### {section.heading}"
    many = len(section.items) > _MANY
    if many:
        yield f"<details><summary>Show {sum(item.count for item in section.items)}</summary>"
    yield from items
    if many:
        yield "</details>"


def _fitted(sections: list[Section], room: int, left: _Left) -> str:
    """Every section, shortened to the room that the sections after it leave."""
    parts: list[str] = []
    for index, section in enumerate(sections):
        later = sum(_reserve(other) for other in sections[index + 1 :])
        text = _whole([section], room - later, full=False)
        if text is None:
            text = _cut(section, room - later, left)
        parts.append(text)
        room -= len(text) + 2
    return "\n\n".join(parts)


def _reserve(section: Section) -> int:
    text = _whole([section], _RESERVE, full=False)
    return _RESERVE if text is None else len(text) + 2


def _cut(section: Section, room: int, out: _Left) -> str:
    """As many items as fit beside the names, the names of others, and the number of the rest, which ``out`` counts."""
    wanted = sum(len(item.name) + 2 for item in section.items)
    left = room - len(section.heading) - _FRAME - min(int(room * _NAMES), wanted)
    in_full = False
    shown: list[str] = []
    named: list[Item] = []
    misses = 0
    for item in section.items:
        text = item.render(in_full) if left >= _SMALLEST and misses < _MISSES else None
        if text is not None and len(text) + 2 <= left:
            shown.append(text)
            left -= len(text) + 2
        else:
            named.append(item)
            misses += 1
    kept: list[str] = []
    left = room - len("\n\n".join([section.heading, *shown])) - _FRAME
    for item in named:
        left -= len(item.name) + 2
        if left < 0:
            break
        kept.append(item.name)
    left_out = sum(item.count for item in named[len(kept) :])
    rest = [f"and {left_out} more"] if left_out else []
    more = sum(item.count for item in named)
    out.named += more - left_out
    out.counted += left_out
    names = f"<details><summary>{more} more</summary>\n\n{', '.join([*kept, *rest])}\n\n</details>"
    return "\n\n".join(_framed(section, [*shown, names]))
