"""Text as a YAML scalar: plain where every reader of YAML takes it for that text, quoted otherwise."""

from __future__ import annotations

import re
from typing import Final

from reconciler.adapters.specs.yaml.parsing import resolve

_OLD_WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "<<", "="})
"""What YAML 1.1 takes for something else than text."""
_OLD_NUMBER: Final = re.compile(r"[-+.0-9][-+.0-9_:,eETtZz ]*|[-+]?0[xob][0-9a-fA-F_]+")
"""Numbers, ratios (``9:16`` is a number there), dates and times."""
_START: Final = frozenset("-?:,[]{}#&*!|>'\"%@` \t")
_FLOW: Final = frozenset(":,[]{}?#")
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0", "\x1b": "\\e"}


def scalar(text: str, *, flow: bool = False) -> str:
    """The text as a scalar on one line; ``flow`` for within ``{…}`` and ``[…]``."""
    if text.isprintable():
        if _plain(text) and not (flow and _FLOW & set(text)):
            return text
        if ('"' in text or "\\" in text) and "'" not in text:
            return f"'{text}'"
    return '"' + "".join(_escaped(char) for char in text) + '"'


def _plain(text: str) -> bool:
    return (
        resolve(text) is text
        and text[0] not in _START
        and text[-1] not in ": "
        and ": " not in text
        and " #" not in text
        and not text.startswith("...")
        and text.lower() not in _OLD_WORDS
        and not _OLD_NUMBER.fullmatch(text)
    )


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
