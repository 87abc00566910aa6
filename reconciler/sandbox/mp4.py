"""Pictures as a small MP4 that browsers play, in pure Python: H.264 of only what needs no transform.

A block of 16 × 16 pixels is written as it is, unless it is the color of all around it or unchanged since the last picture.
So flat pictures in which little moves are small. ITU-T H.264 (08/2021) and ISO/IEC 14496-12 name the fields.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

BLOCK: Final = 16
Plane = list[bytearray]
"""Rows of bytes."""
Picture = tuple[Plane, Plane, Plane]
"""Brightness, and at half the size the blue and red differences."""
_PCM, _FLAT = 25, 3
"""Kinds of blocks in a picture by itself: as it is; predicted from the average of what is around it."""
_PCM_LATER: Final = 5 + _PCM
"""The same in a picture that follows another."""


class _Bits:
    def __init__(self) -> None:
        self._text: list[str] = []
        self._done = bytearray()

    def put(self, width: int, value: int) -> None:
        self._text.append(f"{value:0{width}b}")

    def ue(self, *values: int) -> None:
        """Unsigned Exp-Golomb codes; of 0, signed ones are the same."""
        for value in values:
            self.put(2 * (value + 1).bit_length() - 1, value + 1)

    def raw(self, content: bytes) -> None:
        """Whole bytes, after zeros up to a byte's end."""
        self._flush()
        self._done += content

    def _flush(self) -> None:
        text = "".join(self._text)
        text += "0" * (-len(text) % 8)
        self._done += int(text, 2).to_bytes(len(text) // 8, "big") if text else b""
        self._text.clear()

    def end(self) -> bytes:
        self.put(1, 1)
        self._flush()
        return bytes(self._done)


def mp4(pictures: Sequence[Picture], width: int, height: int, *, pace: int) -> bytes:
    """The video. ``width`` is a multiple of 16, ``height`` an even number of the pictures' rows; ``pace`` is pictures a second."""
    size = (width // BLOCK, len(pictures[0][0]) // BLOCK)
    blocks = [_blocks(picture, size) for picture in pictures]
    samples = [_whole(pictures[0], blocks[0], size)]
    samples += [_difference(before, after, number % 256) for number, (before, after) in enumerate(pairwise(blocks), 1)]
    units = [struct.pack(">I", len(sample)) + sample for sample in samples]
    kept = _kept_size(size, height)
    head = _box("ftyp", b"isom\0\0\2\0isomavc1mp41")
    moov = _moov(units, kept, (width, height), pace, offset=0)
    moov = _moov(units, kept, (width, height), pace, offset=len(head) + len(moov) + 8)
    return head + moov + _box("mdat", *units)


# The pictures


def _kept_size(size: tuple[int, int], height: int) -> bytes:
    bits = _Bits()
    bits.put(24, 0x42C01E)  # constrained baseline, level 3
    bits.ue(0, 4, 2, 1)  # id; 8 bits of picture number; shown in the order of decoding; one picture is referred to
    bits.put(1, 0)
    bits.ue(size[0] - 1, size[1] - 1)
    bits.put(3, 0b111)  # frames only; direct 8 × 8; cropped
    bits.ue(0, 0, 0, (size[1] * BLOCK - height) // 2)
    bits.put(1, 0)
    return _unit(0x67, bits.end())


def _parameters() -> bytes:
    bits = _Bits()
    bits.ue(0, 0)
    bits.put(2, 0)
    bits.ue(0, 0, 0)
    bits.put(3, 0)
    bits.ue(0, 0, 0)
    bits.put(3, 0b100)  # the filter between blocks can be turned off
    return _unit(0x68, bits.end())


def _whole(picture: Picture, blocks: list[bytes], size: tuple[int, int]) -> bytes:
    """A picture by itself."""
    bits = _Bits()
    bits.ue(0, 7, 0)  # first block; all slices are by themselves; parameters
    bits.put(8, 0)
    bits.ue(0)
    bits.put(2, 0)
    bits.ue(0, 1)  # quality as it is; no filter between blocks
    flat: set[tuple[int, int]] = set()
    for y in range(size[1]):
        for x in range(size[0]):
            if _as_around(picture, x, y):
                flat.add((x, y))
                bits.ue(_FLAT, 0, 0)
                beside = [(x - 1, y)] * (x > 0) + [(x, y - 1)] * (y > 0)
                written = sum(16 * (block not in flat) for block in beside)
                _no_coefficients(bits, (written + 1) >> 1 if len(beside) == 2 else written)
            else:
                bits.ue(_PCM)
                bits.raw(blocks[y * size[0] + x])
    return _unit(0x65, bits.end())


def _no_coefficients(bits: _Bits, around: int) -> None:
    """That nothing is added to a prediction, coded by how much was in the blocks around."""
    if around >= 8:
        bits.put(6, 0b11)
    else:
        bits.put(1, 1)


def _difference(before: list[bytes], after: list[bytes], number: int) -> bytes:
    """A picture as the blocks that changed since the one before."""
    bits = _Bits()
    bits.ue(0, 5, 0)
    bits.put(8, number)
    bits.put(3, 0)  # as many references as told, in their order; the oldest picture goes
    bits.ue(0, 1)
    skipped = 0
    for old, new in zip(before, after, strict=True):
        if old == new:
            skipped += 1
            continue
        bits.ue(skipped, _PCM_LATER)
        bits.raw(new)
        skipped = 0
    if skipped:
        bits.ue(skipped)
    return _unit(0x61, bits.end())


def _blocks(picture: Picture, size: tuple[int, int]) -> list[bytes]:
    """The bytes of each block, row by row."""
    planes = list(zip(picture, (BLOCK, BLOCK // 2, BLOCK // 2), strict=True))
    return [
        b"".join(row[x * edge : (x + 1) * edge] for plane, edge in planes for row in plane[y * edge : (y + 1) * edge])
        for y in range(size[1])
        for x in range(size[0])
    ]


def _as_around(picture: Picture, x: int, y: int) -> bool:
    """Whether a block has one color and all that touches it at its left and top, too."""
    if not x and not y:
        return False
    for plane, edge in zip(picture, (BLOCK, BLOCK // 2, BLOCK // 2), strict=True):
        left, top = max(x * edge - 1, 0), max(y * edge - 1, 0)
        color = plane[y * edge][x * edge]
        if any(row[left : (x + 1) * edge].strip(bytes([color])) for row in plane[top : (y + 1) * edge]):
            return False
    return True


def _unit(kind: int, content: bytes) -> bytes:
    """A unit of the stream; three bytes that look like the start of another are told apart."""
    found, zeros = bytearray([kind]), 0
    for byte in content:
        if zeros >= 2 and byte <= 3:
            found.append(3)
            zeros = 0
        found.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(found)


# The file


def _box(name: str, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I4s", len(content) + 8, name.encode()) + content


def _full(name: str, *parts: bytes, flags: int = 0) -> bytes:
    return _box(name, struct.pack(">I", flags), *parts)


def _moov(units: list[bytes], kept: bytes, size: tuple[int, int], pace: int, *, offset: int) -> bytes:
    count = len(units)
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    times = struct.pack(">4I", 0, 0, pace, count)
    mvhd = _full("mvhd", times, struct.pack(">IH10x", 65536, 0x100), matrix, bytes(24), struct.pack(">I", 2))
    tkhd = _full(
        "tkhd",
        struct.pack(">5I16x", 0, 0, 1, 0, count),
        matrix,
        struct.pack(">2I", size[0] << 16, size[1] << 16),
        flags=3,
    )
    mdhd = _full("mdhd", times, struct.pack(">2H", 0x55C4, 0))
    hdlr = _full("hdlr", struct.pack(">I4s12x", 0, b"vide"), b"\0")
    dinf = _box("dinf", _full("dref", struct.pack(">I", 1), _full("url ", flags=1)))
    minf = _box("minf", _full("vmhd", bytes(8), flags=1), dinf, _stbl(units, kept, size, offset))
    return _box("moov", mvhd, _box("trak", tkhd, _box("mdia", mdhd, hdlr, minf)))


def _stbl(units: list[bytes], kept: bytes, size: tuple[int, int], offset: int) -> bytes:
    count, parameters = len(units), _parameters()
    told = [b"\1", kept[1:4], b"\xff\xe1", _sized(kept), b"\1", _sized(parameters)]
    avc1 = _box(
        "avc1",
        struct.pack(">6xH16x2H2I4xH32xHh", 1, *size, 72 << 16, 72 << 16, 1, 24, -1),
        _box("avcC", *told),
    )
    return _box(
        "stbl",
        _full("stsd", struct.pack(">I", 1), avc1),
        _full("stts", struct.pack(">3I", 1, count, 1)),
        _full("stss", struct.pack(">2I", 1, 1)),
        _full("stsc", struct.pack(">4I", 1, 1, count, 1)),
        _full("stsz", struct.pack(">2I", 0, count), _numbers(map(len, units))),
        _full("stco", struct.pack(">2I", 1, offset)),
    )


def _sized(unit: bytes) -> bytes:
    return struct.pack(">H", len(unit)) + unit


def _numbers(values: Iterable[int]) -> bytes:
    return b"".join(struct.pack(">I", value) for value in values)
