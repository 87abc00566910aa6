"""An answer's body, read up to a limit, so that the server can't use up memory.

The limit counts decoded bytes, so reading stops at a small body that unpacks into a huge one. It applies to every
transport (httpx's own, through a proxy, or within this process).
"""

from __future__ import annotations

import zlib
from typing import Final

import httpx
from msgspec import Struct

ANSWER_MAX: Final = 4 * 1024**2
"""Bytes of one answer. The largest that the contract allows has settings with a webhook URL of the size of a request:
1 MB, or 2 MB escaped."""
LIST_MAX: Final = 2 * 1024**2
"""Bytes of a page of the list: 100 projects with URLs of 2 kB and every character escaped have 0.5 MB."""
MESSAGES_MAX: Final = 8 * 1024**2
"""Bytes of a page of messages: 50 of 10,000 characters have 2 MB in UTF-8, and 6 MB with every character escaped."""
ERROR_MAX: Final = 1024**2
"""Bytes of an error answer; a proxy's page is much smaller."""

_GZIP_OR_ZLIB: Final = zlib.MAX_WBITS | 32
_DEFLATED: Final = frozenset({"gzip", "x-gzip", "deflate"})


class BodyRefusedError(ValueError):
    """A body that is not read to its end: too large, or in an encoding that was not asked for."""


class Answer(Struct, frozen=True):
    """An answer as far as it arrived. Header names are case-insensitive."""

    status: int
    headers: httpx.Headers
    body: bytes | bytearray = b""


async def read_body(response: httpx.Response, most: int) -> bytes | bytearray:
    """The decoded body of a streamed response.

    Raises:
        BodyRefusedError: it has more than ``most`` bytes, encoded or decoded, or an encoding that was not asked for.
        httpx.DecodingError: it can't be decoded.
        httpx.TransportError: the connection broke.

    """
    if response.is_stream_consumed:  # a transport within this process has read all of it
        if len(response.content) > most:
            raise _too_large(most)
        return response.content
    announced = response.headers.get("content-length", "")
    if announced.isdecimal() and (len(announced) > len(str(most)) or int(announced) > most):
        raise _too_large(most)
    unpack = _unpacker(response.headers.get("content-encoding", ""))
    body = bytearray()
    came = 0
    stream = response.stream
    assert isinstance(stream, httpx.AsyncByteStream)
    async for chunk in stream:
        came += len(chunk)
        try:
            body += chunk if unpack is None else unpack.decompress(chunk, most + 1 - len(body))
        except zlib.error as error:
            raise httpx.DecodingError(str(error)) from error
        if max(came, len(body)) > most:
            raise _too_large(most)
    if unpack is not None and came and not unpack.eof:
        raise httpx.DecodingError("the compressed answer ends early")
    return body


def _unpacker(encoding: str) -> zlib._Decompress | None:
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return None
    if encoding in _DEFLATED:
        return zlib.decompressobj(_GZIP_OR_ZLIB)
    raise BodyRefusedError("the answer has a Content-Encoding that was not asked for")


def _too_large(most: int) -> BodyRefusedError:
    return BodyRefusedError(f"the answer is too large: more than {most} bytes")
