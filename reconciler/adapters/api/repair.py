"""JSON in which people wrote what is no text, made JSON again.

As bytes, so that reading it takes no more memory than reading what is right, and in time that grows with the length.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

_STRING: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_ODD: Final = re.compile(r"[\x00-\x1f]|\\u[dD][89a-fA-F]")
_PART: Final = re.compile(
    r"(?P<control>[\x00-\x1f])"
    r"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    r"|\\.",
    re.DOTALL,
)


def repaired(body: bytes | bytearray) -> bytes:
    """The same document: half a character and bytes that are not UTF-8 become U+FFFD, a control in a text its escape; a
    byte order mark is passed over. What is no JSON beyond that stays none.
    """
    utf16 = body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = body.decode("utf-16" if utf16 else "utf-8-sig", "replace")
    return _STRING.sub(_string, text).encode()


def _string(match: re.Match[str]) -> str:
    text = match[0]
    return _PART.sub(_part, text) if _ODD.search(text) else text


def _part(match: re.Match[str]) -> str:
    if match["control"]:
        return f"\\u{ord(match[0]):04x}"
    return "\\ufffd" if match["half"] else match[0]
