"""A small picture, for tests that upload files."""

import hashlib
import struct
import zlib

WIDTH, HEIGHT = 320, 180


def image(name):
    """A PNG in one color that belongs to the name: the same bytes on every call."""
    color = hashlib.sha256(name.encode()).digest()[:3]
    rows = (b"\0" + color * WIDTH) * HEIGHT
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def _chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
