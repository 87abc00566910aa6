"""Make untrusted text inert: specs, the API and plan files may hold text that terminals and CI logs act on."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_CI_COMMAND: Final = r"(?<!\S)::|##(?=\w*\[)"
"""What CI services treat as commands: ``::error …`` at the start of a line, ``##[…]`` and ``##vso[…]`` anywhere."""

_HIDDEN: Final = (
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\uffa0\U000e0100-\U000e01ef]"
    "|(?<![\u00a9\u00ae\u203c-\u3299\U0001f000-\U0001faff#*0-9])[\ufe00-\ufe0f]|[\ufe00-\ufe0d]"
)
"""Printable characters that show nothing: fillers, and variation selectors except the one that makes an emoji of the
character before it. Agents read what they spell."""


def clean(text: str, *, multiline: bool = False) -> str:
    r"""The text with nothing in it that moves the cursor, hides or reorders characters, or commands a CI service.

    Control characters become their pictures (``␛`` for escape, ``␊`` for a newline unless ``multiline``), everything
    else that is not printable becomes its code (``\u202e``), and a CI command gets a backslash. Cleaning a clean text
    does not change it.
    """
    if not text.isprintable():
        text = "".join(c if c.isprintable() or (multiline and c == "\n") else _visible(c) for c in text)
    if not text.isascii():
        text = re.sub(_HIDDEN, lambda found: _visible(found[0]), text)
    if "::" not in text and "##" not in text:  # nearly always, and much faster than the search
        return text
    return re.sub(_CI_COMMAND, lambda mark: rf"\{mark[0]}" if mark[0] == "::" else r"#\#", text)


def _visible(char: str) -> str:
    code = ord(char)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def columns(text: str) -> int:
    """How many terminal columns a clean text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def pad(text: str, width: int) -> str:
    return text + " " * (width - columns(text))
