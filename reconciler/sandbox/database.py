"""Database of the emulated account: its tables, and connections to it."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from reconciler import files
from reconciler.model.contract_tables import Contract
from reconciler.model.errors import ConfigError
from reconciler.sandbox import columns

BUSY_SECONDS: Final = 30.0
VERSION: Final = 2
"""Version 1 brought digests; version 2 took the constraints off the columns that the API's fields have."""
ENDS: Final = ("-wal", "-shm", "-journal")
"""What SQLite may put beside a database, by the end of its name."""
_DIGESTED: Final = 1
"""From this version on, the account keeps digests of what it was sent; the texts of an older one are hidden first."""
_WAL_ATTEMPTS: Final = 200

_COLUMNS: Final = {
    "seq": "INTEGER PRIMARY KEY",
    "id": "TEXT NOT NULL UNIQUE",
    "source_project_id": "TEXT",
    "origin": "TEXT NOT NULL",
    "status": "TEXT NOT NULL",
    "title_folded": "TEXT",
    "brief_head": "TEXT NOT NULL",
    "started": "INTEGER NOT NULL",
    "output_type": "TEXT",
    "output_at": "REAL",
    "created_at": "REAL NOT NULL",
    "updated_at": "REAL NOT NULL",
    "next_change_at": "REAL",
    "schedule": "TEXT NOT NULL DEFAULT '[]'",
    "runs": "INTEGER NOT NULL DEFAULT 0",
    "variation_id": "TEXT",
    "agent_message": "TEXT",
    "error_message": "TEXT",
    "idempotency_key": "TEXT",
    "credits_spent": "INTEGER NOT NULL DEFAULT 0",
    "lagging": "TEXT",
    "rendered": "TEXT",
}
"""Columns of a project besides the API's fields."""
_LONG: Final = {"refs": "TEXT NOT NULL DEFAULT '[]'", "brief": "TEXT NOT NULL"}
"""Columns that stand last, so that reading a list never walks through them."""
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS projects_due ON projects (next_change_at) WHERE next_change_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS projects_status ON projects (status, seq);
CREATE INDEX IF NOT EXISTS projects_title ON projects (seq, title_folded);
CREATE INDEX IF NOT EXISTS projects_key ON projects (idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX IF NOT EXISTS projects_source ON projects (source_project_id) WHERE source_project_id IS NOT NULL;
CREATE TABLE IF NOT EXISTS messages (
    seq INTEGER PRIMARY KEY, project INTEGER NOT NULL, id TEXT NOT NULL UNIQUE, role TEXT NOT NULL,
    source TEXT NOT NULL, created_at REAL NOT NULL, refs TEXT NOT NULL, extract_content INTEGER, content TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS messages_project ON messages (project, seq);
CREATE TABLE IF NOT EXISTS uploads (
    key TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, file_name TEXT NOT NULL, content_type TEXT NOT NULL,
    file_size INTEGER NOT NULL, expires_at REAL NOT NULL, digest TEXT, confirmed INTEGER NOT NULL DEFAULT 0,
    gone INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS shares (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, project INTEGER NOT NULL, media TEXT NOT NULL, title TEXT,
    description TEXT, created_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS studio (id TEXT PRIMARY KEY, title TEXT, brief TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS skills (id TEXT PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS effects (
    n INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, kind TEXT NOT NULL, project_id TEXT NOT NULL,
    request_id TEXT NOT NULL, idempotency_key TEXT, detail TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS requests (
    n INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL,
    query TEXT NOT NULL, body TEXT, status INTEGER, request_id TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS hits (n INTEGER PRIMARY KEY, at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS hits_at ON hits (at);
CREATE TABLE IF NOT EXISTS faults (n INTEGER PRIMARY KEY, fault TEXT NOT NULL);
"""


def connect(path: Path | str, api: Contract) -> sqlite3.Connection:
    """Opens the database with its tables in place, creating it and its folders where needed, for its owner only.

    Transactions are the caller's (``BEGIN IMMEDIATE``); threads may share the connection if they take turns.
    Durability is given up on purpose: what must survive is the death of a process, not of the machine. A database of an
    older version has ``version`` below ``VERSION`` and is the caller's to bring up to date.

    Raises:
        ConfigError: there can't be a database in that place, it is none, or it was made by a newer version.

    """
    try:
        return _connected(path, api)
    except OSError as error:
        raise _unusable(error.filename or path, error.strerror or str(error)) from error
    except sqlite3.Error as error:
        raise _unusable(path, str(error)) from error


def _connected(path: Path | str, api: Contract) -> sqlite3.Connection:
    if str(path) != ":memory:":
        _make_private(Path(path))
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.row_factory = sqlite3.Row
        _write_ahead(connection)
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA cache_size=-32768")
        _make_tables(connection, api)
    except BaseException:
        connection.close()
        raise
    return connection


def _make_private(path: Path) -> None:
    """The database's file, and those that SQLite puts beside it, for its owner only; made empty where it is not there."""
    files.make_folder(path.parent, mode=files.PRIVATE_FOLDER)
    with contextlib.suppress(FileExistsError):
        files.create(path, b"", mode=files.PRIVATE)
    # By name: closing a descriptor of a file gives up the locks that SQLite holds on it elsewhere in this process.
    for each in (path, *(path.with_name(path.name + end) for end in ENDS)):
        with contextlib.suppress(PermissionError, FileNotFoundError):  # somebody else's file, or gone meanwhile
            if files.check(each):  # SQLite gives new ones the database's mode
                each.chmod(files.PRIVATE)


def _make_tables(connection: sqlite3.Connection, api: Contract) -> None:
    """Create what is not there. An account that knew fewer fields gets columns for the others, with nothing in them."""
    connection.execute("BEGIN IMMEDIATE")
    found = version(connection)
    if found > VERSION:
        raise sqlite3.DatabaseError("it was made by a newer version of reconciler")
    new = connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone() is None
    fields = {field.name: columns.storage_class(field) for field in columns.plain_fields(api)}
    wanted = {**_COLUMNS, **fields, **_LONG}
    assert len(wanted) == len(_COLUMNS) + len(fields) + len(_LONG), (
        "a field has the name of a column of the account's own"
    )
    if found < VERSION:
        _make_projects(connection, wanted)
    for name in wanted.keys() - _columns(connection):
        connection.execute(f"ALTER TABLE projects ADD COLUMN {columns.quoted(name)} {wanted[name]}")
    for statement in _TABLES.split(";\n"):
        connection.execute(statement)
    if new or found == _DIGESTED:
        connection.execute(f"PRAGMA user_version={VERSION}")
    connection.execute("COMMIT")


def _make_projects(connection: sqlite3.Connection, wanted: Mapping[str, str]) -> None:
    """Make the table of projects, and move those of an older version into it."""
    before = _columns(connection)
    if before:
        connection.execute("ALTER TABLE projects RENAME TO projects_before")
    connection.execute(
        f"CREATE TABLE projects ({', '.join(f'{columns.quoted(name)} {kind}' for name, kind in wanted.items())})"
    )
    if before:
        names = ", ".join(columns.quoted(name) for name in wanted if name in before)
        connection.execute(f"INSERT INTO projects ({names}) SELECT {names} FROM projects_before")  # noqa: S608 — names are ours
        connection.execute("DROP TABLE projects_before")


def _columns(connection: sqlite3.Connection) -> set[str]:
    return {row["name"] for row in connection.execute("PRAGMA table_info(projects)")}


def copy_account(source: Path, target: Path) -> None:
    """Copy an account to another file, whole or not at all; do nothing if there is none, or the other file is there."""
    if not source.exists() or target.exists():
        return
    made = target.with_name(f"{target.name}.copy")
    made.unlink(missing_ok=True)
    _make_private(made)
    with contextlib.closing(sqlite3.connect(source)) as old, contextlib.closing(sqlite3.connect(made)) as new:
        old.backup(new)
        new.execute("PRAGMA journal_mode=DELETE")  # nothing is left in files beside it
    made.replace(target)


def version(connection: sqlite3.Connection) -> int:
    """Which version of the tables a database has."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _unusable(path: Path | str, why: str) -> ConfigError:
    return ConfigError(
        f"can't use the sandbox's account `{path}`: {why}",
        "`reconciler sandbox reset` removes it, and the state that goes with it; then everything begins again.",
    )


def _write_ahead(connection: sqlite3.Connection) -> None:
    # SQLite doesn't wait when two processes turn a new file to WAL at once: the one that loses is told "locked".
    for attempt in range(_WAL_ATTEMPTS):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if attempt == _WAL_ATTEMPTS - 1:
                raise
            time.sleep(0.02)
        else:
            return
