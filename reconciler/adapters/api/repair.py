"""Repair of JSON whose strings contain characters that JSON does not allow.

It works on the text, so that it takes little more memory than decoding, and time that grows with the length.
"""

from __future__ import annotations

import codecs
import io
import re
from typing import Final

_CONTROLS: Final = "".join(chr(number) for number in range(32) if chr(number) not in "\t\n\r")
_BREAKS: Final = {"\t": r"\t", "\n": r"\n", "\r": r"\r"}
"""White space between values, but not allowed in a string."""
_STRING: Final = r'(?s)"[^"\\]*+(?:\\.[^"\\]*+)*+"?'
_PAIR: Final = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_HALF: Final = rf"(?<!\\)((?:\\\\)*+)(?:(?P<pair>{_PAIR})|\\u[dD][89a-fA-F][0-9a-fA-F]{{2}})"


def repaired(body: bytes | bytearray) -> bytes:
    """The same document with half a surrogate pair and bytes that are not UTF-8 as U+FFFD, controls in strings escaped, and
    without a byte order mark. Other errors stay as they are.
    """
    utf16 = body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = body.decode("utf-16" if utf16 else "utf-8-sig", "replace")
    text = re.sub(_HALF, lambda found: found[0] if found["pair"] else rf"{found[1]}\ufffd", text)
    for control in _CONTROLS:  # after the search above, which costs most: a control becomes six characters
        text = text.replace(control, f"\\u{ord(control):04x}")
    return _escape_breaks(text).encode()


def _escape_breaks(text: str) -> str:
    """Escape the line breaks in strings."""
    done, result = 0, io.StringIO()
    for found in re.finditer(_STRING, text):
        string = found[0]
        for character, escape in _BREAKS.items():
            string = string.replace(character, escape)
        if len(string) > found.end() - found.start():
            result.write(text[done : found.start()])
            result.write(string)
            done = found.end()
    result.write(text[done:])
    return result.getvalue()
