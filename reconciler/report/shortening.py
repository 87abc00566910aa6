"""Texts that are too long, shortened with ``…`` so that two different ones never look the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from reconciler.report.safe_text import clean, columns

NARROWEST: Final = 8
"""Columns that a shortened text keeps at least."""


def shortened_apart(texts: Sequence[str], width: int) -> list[str]:
    """Each clean, in at most ``width`` columns if the different ones stay different; else all whole.

    What is left out is at the end or, if that would make some alike, in the middle or at the start.
    """
    whole = list(map(clean, texts))
    if all(columns(text) <= width for text in whole):
        return whole
    for tail in (0, (width - 1) // 3, (width - 1) // 2, width - 1):
        cut = [_cut(text, width, tail) for text in whole]
        if len({*cut}) == len({*whole}):
            return cut
    return whole


def fitting_widths(widths: Sequence[int], room: int) -> list[int]:
    """The widths, the widest made smaller until all fit in ``room`` or are at their narrowest."""
    most = max(widths, default=0)
    while most > NARROWEST and sum(min(width, most) for width in widths) > room:
        most -= 1
    return [min(width, most) for width in widths]


def _cut(text: str, width: int, tail: int) -> str:
    """The text with its last ``tail`` columns and as many of its first as fit."""
    if columns(text) <= width:
        return text
    end = _while(reversed(text), lambda part: columns(part) <= tail)[::-1]
    start = _while(text, lambda part: columns(part) <= width - 1 - columns(end))
    return f"{start.rstrip()}…{end.lstrip()}"


def _while(characters: Iterable[str], fits: Callable[[str], bool]) -> str:
    """As many of the characters as fit."""
    kept = ""
    for character in characters:
        if not fits(kept + character):
            break
        kept += character
    return kept
