"""Group commit: records appended at the same time share one write."""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Iterable, Sequence

from reconciler.model.errors import StateError
from reconciler.model.journal import Record

Batch = list[tuple[Record, asyncio.Future[None]]]


class GroupCommit(abc.ABC):
    """Collects records until ``_flush`` writes them. After a failed write it accepts no more."""

    def __init__(self) -> None:
        self._waiting: Batch = []
        self._broken: StateError | None = None

    async def append(self, record: Record) -> None:
        """Write one record; return when it is on disk or in the store.

        Raises:
            StateError: it could not be written. No more records are accepted.

        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._flush)
        self._waiting.append((record, future))
        await future

    @abc.abstractmethod
    def _flush(self) -> None:
        """Write the records that are waiting."""

    def _keep_unwritten(self, records: Iterable[Record]) -> None:  # noqa: B027  not every store has a second place
        """Keep records that could not be written."""

    def _take_batch(self) -> Batch:
        batch, self._waiting = self._waiting, []
        return batch

    @staticmethod
    def _records(batch: Batch) -> Sequence[Record]:
        return [record for record, _ in batch]

    @staticmethod
    def _complete(batch: Batch) -> None:
        for _, future in batch:
            if not future.done():
                future.set_result(None)

    def _fail(self, batch: Batch, error: StateError) -> None:
        self._broken = error
        self._keep_unwritten(self._records(batch))
        for _, future in batch:
            if not future.done():
                future.set_exception(type(error)(error.diagnostics))
