"""Records of one moment share one write: what every store's journal has in front of it."""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Iterable, Sequence

from reconciler.model.errors import StateError
from reconciler.model.journal import Record

Batch = list[tuple[Record, asyncio.Future[None]]]


class GroupCommit(abc.ABC):
    """Collects records until ``_flush`` takes them; after a write has failed it takes no more."""

    def __init__(self) -> None:
        self._waiting: Batch = []
        self._broken: StateError | None = None

    async def append(self, record: Record) -> None:
        """Write one record and return when it is safe. Records of one moment share one write (group commit).

        Raises:
            StateError: it could not be written; nothing more is accepted after that.

        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._flush)
        self._waiting.append((record, future))
        await future

    @abc.abstractmethod
    def _flush(self) -> None:
        """Take what waits, and see to it that it is written."""

    def _lost(self, records: Iterable[Record]) -> None:  # noqa: B027  most have no second place for them
        """What is to be done with records that could not be written."""

    def _taken(self) -> Batch:
        batch, self._waiting = self._waiting, []
        return batch

    @staticmethod
    def _records(batch: Batch) -> Sequence[Record]:
        return [record for record, _ in batch]

    @staticmethod
    def _written(batch: Batch) -> None:
        for _, future in batch:
            if not future.done():
                future.set_result(None)

    def _failed(self, batch: Batch, error: StateError) -> None:
        self._broken = error
        self._lost(self._records(batch))
        for _, future in batch:
            if not future.done():
                future.set_exception(type(error)(error.diagnostics))
