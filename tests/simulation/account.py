"""The accounts of a life: emulated ones, each in a database of this process that is emptied for each life."""

from __future__ import annotations

import atexit
import random
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from reconciler.model.contract_tables import Contract
from reconciler.sandbox import database, store
from tests.simulation.clockwork import EPOCH, World
from tests.simulation.course import Course


class Database:
    """Opened once: a new one in each life would compile all statements again, which takes longer than the account's work."""

    def __init__(self) -> None:
        self._connection: sqlite3.Connection | None = None
        self._tables: list[str] = []
        self._chance = random.Random()

    def connect(self, path: Path | str, api: Contract) -> sqlite3.Connection:
        """``database.connect``"""
        if self._connection is None:
            self._connection = _connect(path, api)
            atexit.register(self._connection.close)
            self._connection.create_function("randomblob", 1, self._blob)
            names = self._connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
            self._tables = [row["name"] for row in names]
        return self._connection

    def _blob(self, count: int) -> bytes:
        return self._chance.randbytes(count)

    def begin(self, chance: random.Random) -> None:
        """An account with nothing in it."""
        self._chance = chance
        if self._connection is not None:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            for name in self._tables:
                self._connection.execute(f"DELETE FROM {name}")


_connect = database.connect
_DATABASES: Final = (Database(), Database())


@contextmanager
def opened(world: World, course: Course) -> Iterator[list[store.Store]]:
    """The accounts of a life."""
    skew = course.skews[-2] if course.skews else 0.0
    stores = []
    try:
        for number in range(course.accounts):
            _DATABASES[number].begin(world.chance(f"blobs {number}" if number else "blobs"))
            database.connect = _DATABASES[number].connect
            options = store.Options(**course.server)
            stores.append(store.Store(":memory:", options=options, clock=lambda: EPOCH + world.now + skew))
        yield stores
    finally:
        database.connect = _connect
