"""Colors for terminals. Color never carries information that the text does not."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

Color = Literal["red", "green", "yellow", "cyan", "bold", "dim"]

_CODES: Final[dict[Color, int]] = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "cyan": 36}


class Style(Struct, frozen=True):
    """``width`` is where prose is wrapped, ``columns`` the terminal's width; none: what is printed is read by programs."""

    color: bool
    width: int = 100
    columns: int | None = None

    def paint(self, text: str, *colors: Color) -> str:
        """A clean text wrapped in the escape codes of its colors."""
        if not self.color or not text:
            return text
        return f"\x1b[{';'.join(str(_CODES[color]) for color in colors)}m{text}\x1b[0m"
