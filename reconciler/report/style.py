"""Colour, where it is wanted. Nothing that colour says is left unsaid without it."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

Colour = Literal["red", "green", "yellow", "cyan", "bold", "dim"]

_CODES: Final[dict[Colour, int]] = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "cyan": 36}


class Style(Struct, frozen=True):
    """``width`` is where prose is wrapped."""

    color: bool
    width: int = 100

    def paint(self, text: str, *colours: Colour) -> str:
        """Wrap a text that is clean already in the escapes of its colours."""
        if not self.color or not text:
            return text
        return f"\x1b[{';'.join(str(_CODES[colour]) for colour in colours)}m{text}\x1b[0m"
