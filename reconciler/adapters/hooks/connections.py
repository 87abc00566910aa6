"""Limits on the connections to the port of `watch`: idle ones are closed, and the port stays open."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Final, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

CONNECTIONS_MAX: Final = 128
"""Open at the same time. The rounds need file descriptors, too, and some systems give a process only 256."""

PENDING_MAX: Final = 1024
"""Connections that the kernel keeps until they are accepted."""

AT_ONCE: Final = 16
"""Connections that are accepted before the open ones are read again. Far below the limit, so that a request that came with
its connection is read before that connection can be closed to make room."""

REQUEST_SECONDS: Final = 15.0
"""From one answer to the next: the time for a complete request and for reading its answer."""


class LimitedConnection(H11Protocol):
    """A connection that is closed unless a request comes, and is answered, every ``REQUEST_SECONDS``.

    This one rule covers a header that never ends, a body at a byte a second, a body that continues after its answer, and
    an answer that nobody reads. If there are too many connections, none is refused: the one that has waited longest is
    closed, of the client address with the most, so that a flood closes its own connections.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock, and make room if the limit is reached."""
        super().connection_made(cast("asyncio.Transport", transport))
        self._start_clock()
        open_ones = cast("set[LimitedConnection]", self.connections)
        if len(open_ones) > CONNECTIONS_MAX:
            self._make_room(open_ones - {self})

    def on_response_complete(self) -> None:
        """Start the clock again, unless this was the last answer."""
        if not self.transport.is_closing():
            self._deadline.cancel()
            self._start_clock()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._deadline.cancel()
        super().connection_lost(exc)

    def _start_clock(self) -> None:
        self._last_answer = self.loop.time()
        self._deadline = self.loop.call_later(REQUEST_SECONDS, self.transport.abort)

    def _make_room(self, others: set[LimitedConnection]) -> None:
        held = Counter(other.host for other in others)
        dropped = min(others, key=lambda other: (-held[other.host], other._last_answer))  # noqa: SLF001  same class
        self.connections.discard(dropped)
        dropped.transport.abort()

    @property
    def host(self) -> str | None:
        """The client's address."""
        return self.client[0] if self.client else None
