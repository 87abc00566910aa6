"""The outputs of the emulated agent: a small real video for each, behind a signed address that expires."""

from __future__ import annotations

import hashlib
import unicodedata
from functools import lru_cache
from math import cos, pi
from typing import Final

from reconciler.sandbox.mp4 import BLOCK, Picture, mp4

CONTENT_TYPE: Final = "video/mp4"
_WIDTH: Final = 320
_HEIGHT: Final = 180
_ROWS: Final = -(-_HEIGHT // BLOCK) * BLOCK
_PICTURES: Final = 16
_PACE: Final = 8
"""Pictures a second."""
_NOON: Final = 5
"""The first picture, which is what a poster shows, is from the middle of the day."""
_SUN: Final = 14
"""Its radius, in pixels."""
_SCALE: Final = 2
_LINE: Final = 24
"""Characters of a line of the title."""
_GLYPHS: Final = bytes.fromhex(
    "000000000000005f0000000700070014 7f147f14242a7f2a122313086462364955225000050300 00001c2241000041221c00082a1c2a08"
    "08083e08080050300000080808080800 606000002010080402".replace(" ", "")
    + "3e5149453e00427f400042615149462141454b311814127f1027454545393c4a49493001710905033649494936064929291e"
    "00363600000056360000081422410014141414140041221408020151090632497941 3e".replace(" ", "")
    + "7e1111117e7f494949363e414141227f4141221c7f494949417f090909013e4149497a7f0808087f00417f41002040413f01"
    "7f081422417f404040407f020c027f7f0408107f3e4141413e7f090909063e4151215e7f09192946464949493101017f0101"
    "3f4040403f1f2040201f3f4038403f6314081463070870080761514945 43".replace(" ", "")
)
"""Five columns for each character from the space to Z, the top of each in its lowest bit."""


FOREVER: Final = 253_402_300_799
"""The last second of the year 9999."""


def address(origin: str, secret: str, project_id: str, expires: int) -> str:
    """The address of an output until it expires (seconds since the epoch); the same for every reader. A render's output has
    its project's id with one of its own.
    """
    return f"{origin}/media/{project_id}.mp4?expires={expires}&signature={sign(secret, project_id, str(expires))}"


def sign(secret: str, project_id: str, expires: str) -> str:
    """What proves that the API handed out an address."""
    return hashlib.blake2b(f"{project_id}:{expires}".encode(), key=secret.encode(), digest_size=16).hexdigest()


@lru_cache(maxsize=16)
def video(media_id: str, title: str) -> bytes:
    """Two seconds of a sun that rises and sets behind the title, in colors of the output's own: the same bytes on every call."""
    seed = hashlib.sha256(media_id.encode()).digest()
    sky, ground = (90 + seed[0] % 60, 104 + seed[1] % 60, 104 + seed[2] % 60), (28, 128, 128)
    still = _still(sky, ground, title)
    return mp4(
        [_with_sun(still, (step + _NOON) % _PICTURES / _PICTURES) for step in range(_PICTURES)],
        _WIDTH,
        _HEIGHT,
        pace=_PACE,
    )


def _still(sky: tuple[int, int, int], ground: tuple[int, int, int], title: str) -> Picture:
    """The picture without its sun: two bands, and the title in the lower one."""
    horizon = _ROWS // 2
    planes = [
        [bytearray([(sky if y < horizon // part else ground)[number]]) * (_WIDTH // part) for y in range(_ROWS // part)]
        for number, part in enumerate((1, 2, 2))
    ]
    lines = _lines(title)
    for number, line in enumerate(lines):
        left = (_WIDTH - len(line) * 6 * _SCALE) // 2
        _write(planes[0], line, left, horizon + 22 + number * 10 * _SCALE)
    return planes[0], planes[1], planes[2]


def _lines(title: str) -> list[str]:
    """Two lines at most, of the letters that there are glyphs for."""
    plain = unicodedata.normalize("NFKD", title).upper()
    words = "".join(char for char in plain if " " <= char <= "Z").split()
    lines = [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) >= _LINE:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()[:_LINE]
    return lines[:2]


def _write(rows: list[bytearray], line: str, left: int, top: int) -> None:
    for number, char in enumerate(line):
        at = (ord(char) - 32) * 5
        for column, bits in enumerate(_GLYPHS[at : at + 5]):
            x = left + (number * 6 + column) * _SCALE
            for y in (y for y in range(7) if bits >> y & 1):
                for row in rows[top + y * _SCALE : top + (y + 1) * _SCALE]:
                    row[x : x + _SCALE] = bytes([235]) * _SCALE


def _with_sun(still: Picture, time: float) -> Picture:
    """The picture at a time from 0 to 1."""
    horizon = _ROWS // 2
    center, middle = int(40 + time * (_WIDTH - 80)), int(horizon - 46 + 46 * abs(cos(time * pi)) - _SUN)
    planes = [[bytearray(row) for row in plane] for plane in still]
    for plane, part, color in zip(planes, (1, 2, 2), (210, 40, 160), strict=True):
        radius = _SUN // part
        for dy in range(-radius, radius + 1):
            half = round(((radius + 0.5) ** 2 - dy**2) ** 0.5)  # half a pixel more: no nubs at its edges
            x, y = center // part, middle // part + dy
            plane[y][x - half : x + half] = bytes([color]) * (2 * half)
    return planes[0], planes[1], planes[2]
