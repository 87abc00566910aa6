"""Accounts on disk of earlier versions, and of an API with other fields: they go on, or say why not; never a crash."""

from __future__ import annotations

import sqlite3

import pytest
from msgspec.structs import replace

from reconciler.model.contract_2025_03 import V2025_03
from reconciler.model.errors import ConfigError
from reconciler.sandbox.store import Store
from tests.architecture.extended import SETTINGS, with_field

VERSION_1 = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS projects (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    source_project_id TEXT,
    origin TEXT NOT NULL,
    status TEXT NOT NULL,
    mode TEXT NOT NULL,
    title TEXT,
    title_folded TEXT,
    brief_head TEXT NOT NULL,
    expected_output TEXT,
    started INTEGER NOT NULL,
    output_type TEXT,
    output_at REAL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    next_change_at REAL,
    schedule TEXT NOT NULL DEFAULT '[]',
    runs INTEGER NOT NULL DEFAULT 0,
    variation_id TEXT,
    agent_message TEXT,
    error_message TEXT,
    aspect_ratio TEXT NOT NULL,
    craft TEXT NOT NULL,
    craft_auto INTEGER NOT NULL,
    video_model TEXT,
    image_model TEXT,
    agent_model TEXT NOT NULL,
    webhook_url TEXT,
    extract_content INTEGER NOT NULL,
    idempotency_key TEXT,
    credits_spent INTEGER NOT NULL DEFAULT 0,
    lagging TEXT,
    refs TEXT NOT NULL DEFAULT '[]',
    brief TEXT NOT NULL
);
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
CREATE TABLE IF NOT EXISTS studio (id TEXT PRIMARY KEY, title TEXT, brief TEXT NOT NULL) WITHOUT ROWID;
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
"""The tables as version 1 made them."""
OLD_PROJECT = {
    "id": "proj_old",
    "origin": "created",
    "status": "idle",
    "mode": "autonomous",
    "title": "Old",
    "title_folded": "old",
    "brief_head": "Ten seconds.",
    "expected_output": "assets",
    "started": 1,
    "created_at": 1.0,
    "updated_at": 1.0,
    "aspect_ratio": "9:16",
    "craft": "cinema",
    "craft_auto": 0,
    "agent_model": "sonnet",
    "webhook_url": "https://hooks.example.com/a",
    "extract_content": 1,
    "idempotency_key": "k1",
    "credits_spent": 30,
    "brief": "Ten seconds.",
}
CONTRACTS = {
    "the same": V2025_03,
    **{f"with {name}": with_field(name) for name in SETTINGS},
    "without craft": replace(
        V2025_03,
        fields=tuple(f for f in V2025_03.fields if f.name not in ("craft", "craft_auto", "expected_output")),
    ),
}


def old_account(path, version):
    db = sqlite3.connect(path)
    db.executescript(VERSION_1)
    names = ", ".join(OLD_PROJECT)
    marks = ", ".join("?" * len(OLD_PROJECT))
    db.execute(f"INSERT INTO projects ({names}) VALUES ({marks})", [*OLD_PROJECT.values()])
    db.execute("INSERT INTO meta VALUES ('secret', 'ab'), ('credits', 970), ('salt', 'abcd')")
    db.execute(f"PRAGMA user_version = {version}")
    db.commit()
    db.close()


def version(path):
    db = sqlite3.connect(path)
    found = db.execute("PRAGMA user_version").fetchone()[0]
    db.close()
    return found


@pytest.mark.sampled(3)
@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize("api", CONTRACTS.values(), ids=CONTRACTS)
def test_an_account_of_an_earlier_version_goes_on(tmp_path, before, api):
    """Intent: users who update keep the projects that they tried, with any fields the API has by then."""
    path = tmp_path / "account.db"
    old_account(path, before)
    for _ in range(2):  # brought up to date, and opened again
        store = Store(path, api=api)
        (old,) = [project for project in store.projects() if project["id"] == "proj_old"]
        shown = {name: value for name, value in OLD_PROJECT.items() if name in api.settings}
        shown["craft_auto"] = False
        assert {name: old[name] for name in api.settings if name in shown} == {
            n: shown[n] for n in api.settings if n in shown
        }
        assert (old["brief"], old["idempotency_key"], old["credits_spent"]) == ("Ten seconds.", "k1", 30)
        assert store.credits() == 970
        store.person_creates(brief="New", title="New")
        store.finish_all()
        store.close()
    assert version(path) == 2


@pytest.mark.parametrize("name", SETTINGS)
def test_an_account_may_be_opened_with_other_fields_by_turns(tmp_path, name):
    """Intent: two branches, or two versions of the tool, on one account: neither loses what the other wrote."""
    path, more = tmp_path / "account.db", with_field(name)
    first = [*SETTINGS[name].values, ""][0]
    value = {"flag": True, "text": "seven", "choice": first, "set": [first]}[SETTINGS[name].kind]
    store = Store(path, api=V2025_03)
    before = store.person_creates(brief="Before")
    store.close()
    store = Store(path, api=more)
    with_it = store.person_creates(brief="With it", **{name: value})
    default = {"flag": False, "set": []}.get(SETTINGS[name].kind)
    kept = {p["id"]: p[name] for p in store.projects()}
    assert kept == {before: SETTINGS[name].default or default, with_it: value}
    store.close()
    store = Store(path, api=V2025_03)
    store.person_sets(with_it, title="Changed")
    with pytest.raises(TypeError):
        store.person_sets(with_it, **{name: value})
    store.close()
    store = Store(path, api=more)
    assert {p["id"]: (p[name], p["title"]) for p in store.projects()}[with_it] == (value, "Changed")
    store.close()


def test_an_account_of_a_later_version_is_an_error_that_says_so(tmp_path):
    path = tmp_path / "account.db"
    old_account(path, 99)
    with pytest.raises(ConfigError, match="newer version"):
        Store(path)
    assert version(path) == 99


@pytest.mark.parametrize(
    "statement", ["DROP TABLE projects", "ALTER TABLE projects DROP COLUMN origin", "DROP TABLE meta"]
)
def test_tables_that_lack_something_are_made_whole_or_an_error(tmp_path, statement):
    """Intent: somebody's half of a database is no reason for a traceback."""
    path = tmp_path / "account.db"
    old_account(path, 2)
    db = sqlite3.connect(path)
    db.execute(statement)
    db.commit()
    db.close()
    failure = None
    try:
        store = Store(path)
        store.person_creates(brief="New")
        store.close()
    except ConfigError as error:
        failure = str(error)
    assert failure is None or "can't use the sandbox's account" in failure
