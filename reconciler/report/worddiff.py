"""Word-by-word differences between two texts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import groupby
from typing import Final, Literal

Kind = Literal["same", "gone", "new"]
_SAME: Final[tuple[Kind, ...]] = ("same",)
_CHANGED: Final[tuple[Kind, ...]] = ("gone", "new")

_UNIT: Final = re.compile(r"[^\n.!?…]*(?:[.!?…]+|\n|$)\s*")
_CAREFUL: Final = 1_000_000
"""Up to this many pairs of words, frequent words are compared too."""
_WORD: Final = re.compile(r"\w+|\s+|[^\w\s]")
_ROUND: Final = 60
"""Characters of unchanged text kept before and after a change."""


def word_diff(before: str, after: str) -> list[tuple[Kind, str]]:
    """Runs of unchanged, removed and added words. Together, ``same`` and ``gone`` give ``before``."""
    runs: list[tuple[Kind, str]] = []
    for gone, new in _matched(_UNIT.findall(before), _UNIT.findall(after)):
        runs += [("same", gone)] if gone == new else _words(gone, new)
    return list(_merged(runs))


def _matched(a: list[str], b: list[str]) -> Iterator[tuple[str, str]]:
    """The equal parts of two lists and those that replace one another, in order."""
    matcher = SequenceMatcher(None, a, b, autojunk=len(a) * len(b) > _CAREFUL)
    for _, a1, a2, b1, b2 in matcher.get_opcodes():
        yield "".join(a[a1:a2]), "".join(b[b1:b2])


def _words(before: str, after: str) -> list[tuple[Kind, str]]:
    runs: list[tuple[Kind, str]] = []
    for gone, new in _matched(_WORD.findall(before), _WORD.findall(after)):
        if gone == new:
            same = gone
            if runs and same.isspace() and runs[-1][0] != "same":  # a lone space does not end a changed phrase
                runs += [("gone", same), ("new", same)]
            else:
                runs.append(("same", same))
        else:
            runs += [("gone", gone), ("new", new)]
    return runs


def _merged(runs: list[tuple[Kind, str]]) -> Iterator[tuple[Kind, str]]:
    """Adjacent changes combined: first what was removed, then what was added."""
    for changed, group in groupby(runs, key=lambda run: run[0] != "same"):
        parts = list(group)
        for kind in _CHANGED if changed else _SAME:
            text = "".join(part for of, part in parts if of == kind)
            if text:
                yield kind, text


def excerpt(runs: list[tuple[Kind, str]]) -> list[tuple[Kind, str]]:
    """The same runs without the middle of long unchanged ones."""
    last = len(runs) - 1
    return [
        (kind, _cut(text, first=index == 0, last=index == last) if kind == "same" else text)
        for index, (kind, text) in enumerate(runs)
    ]


def _cut(text: str, *, first: bool, last: bool) -> str:
    head = "" if first else text[:_ROUND]
    tail = "" if last else text[-_ROUND:]
    return text if len(text) <= len(head) + len(tail) + 20 else f"{head} … {tail}"
