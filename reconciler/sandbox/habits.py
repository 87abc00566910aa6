"""Habits of servers with the text that they are sent: how they keep it, and how the list cuts it."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Final, Literal

Habit = Literal["trim", "fold", "lower", "escape", "controls", "quotes", "emoji", "joiners", "nfc", "nfd"]
Cut = Literal["plain", "ellipsis", "dots"]


def _curly(text: str) -> str:
    text = re.sub(r"(?<!\S)\"|(?<=[(\[])\"", "“", text).replace('"', "”")
    return re.sub(r"(?<!\S)'|(?<=[(\[])'", "‘", text).replace("'", "’")


HABITS: Final[dict[Habit, tuple[str, Callable[[str], str]]]] = {
    "trim": ("white space at the ends is removed", str.strip),
    "fold": ("consecutive white space becomes one space", lambda text: re.sub(r"\s+", " ", text)),
    "lower": ("letters become lower case", str.lower),
    "escape": ("& < > become &amp; &lt; &gt;", lambda text: html.escape(text, quote=False)),
    "controls": ("control characters are removed", lambda text: re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "", text)),
    "quotes": ("straight quotes become curly", _curly),
    "emoji": ("characters beyond U+FFFF become ?", lambda text: re.sub(r"[\U00010000-\U0010ffff]", "?", text)),
    "joiners": (
        "characters without width are removed",
        lambda text: re.sub(r"[\u200b-\u200f\u2060\ufe0e\ufe0f]", "", text),
    ),
    "nfc": ("accents are composed", lambda text: unicodedata.normalize("NFC", text)),
    "nfd": ("accents are decomposed", lambda text: unicodedata.normalize("NFD", text)),
}
"""What may be done to a text, with what it means."""


def stored_text(text: str, habits: Iterable[Habit], *, maximum: int = 0, line: str = "") -> str:
    """A text as the server keeps it: its habits in their order, then cut to ``maximum`` (0: whole), then ``line`` added."""
    for habit in habits:
        text = HABITS[habit][1](text)
    if maximum:
        text = text[:maximum]
    return f"{text}\n{line}" if line else text


def listed_brief(text: str, cut: Cut, *, limit: int, utf16: bool) -> str:
    """A brief as the list shows it, cut to ``limit``. Counted in UTF-16 units, a cut may leave half a character at the end."""
    if (_utf16_length(text) if utf16 else len(text)) <= limit:
        return text
    match cut:
        case "plain":
            return _beginning(text, limit, utf16=utf16)
        case "ellipsis":
            return _beginning(text, limit, utf16=utf16) + "…"
        case "dots":
            return _beginning(text, limit - 3, utf16=utf16) + "..."


def _utf16_length(text: str) -> int:
    return len(text) + sum(character > "\uffff" for character in text)


def _beginning(text: str, count: int, *, utf16: bool) -> str:
    if not utf16:
        return text[:count]
    return text.encode("utf-16-le", "surrogatepass")[: 2 * count].decode("utf-16-le", "surrogatepass")
