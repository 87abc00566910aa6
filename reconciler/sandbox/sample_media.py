"""The outputs of the emulated agent: a small real image for each, behind a signed address that expires."""

from __future__ import annotations

import hashlib
import struct
import zlib
from typing import Final

CONTENT_TYPE: Final = "image/png"
_WIDTH: Final = 320
_HEIGHT: Final = 180


FOREVER: Final = 253_402_300_799
"""The last second of the year 9999."""


def address(origin: str, secret: str, project_id: str, expires: int) -> str:
    """The address of an output until it expires (seconds since the epoch); the same for every reader. A render's output has
    its project's id with one of its own.
    """
    return f"{origin}/media/{project_id}.png?expires={expires}&signature={sign(secret, project_id, str(expires))}"


def sign(secret: str, project_id: str, expires: str) -> str:
    """What proves that the API handed out an address."""
    return hashlib.blake2b(f"{project_id}:{expires}".encode(), key=secret.encode(), digest_size=16).hexdigest()


def image(project_id: str) -> bytes:
    """A PNG in one color that belongs to the project: the same bytes on every call."""
    color = hashlib.sha256(project_id.encode()).digest()[:3]
    rows = (b"\0" + color * _WIDTH) * _HEIGHT
    header = struct.pack(">IIBBBBB", _WIDTH, _HEIGHT, 8, 2, 0, 0, 0)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
