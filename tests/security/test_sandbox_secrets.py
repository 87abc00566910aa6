"""What the sandbox writes down: no value of an `${env.…}`, nothing that others may read, and nothing through a link."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from reconciler.sandbox.server import BackgroundServer
from reconciler.sandbox.store import Store
from tests.cli.cli_support import APPLY, CONFIG, make_space

CONFIG = CONFIG.replace("WEBHOOK_TOKEN", "A, B, C, D")
VALUES = {"A": "tok/en+4b6e9a", "B": "pin 4711", "C": 'q"uo\\te', "D": "línea uno\nlínea dos"}
SPEC = """\
projects:
  teaser:
    brief: |
      Ten seconds with ${env.A}, ${env.B},
      ${env.C}, ${env.D} and no more.
    references: [{url: "https://cdn.example.com/${env.A}.png", type: image}]
    settings:
      title: ${env.B} film
      webhook_url: https://hooks.example.com/${env.A}/in
      video_model: model-${env.B}
    messages:
      - Softer, ${env.A}, ${env.C}.
      - {message: "Also ${env.D}", references: [{url: "https://cdn.example.com/${env.A}", type: url}]}
  late:
    brief: "LONG ${env.A} after the cut."
""".replace("LONG", "So long. " * 21)  # the value begins before the 200th character and ends after it


def written(value: str) -> set[bytes]:
    """The ways in which a file may hold a value."""
    ways = {value, quote(value), quote(value, safe=""), json.dumps(value)[1:-1]}
    ways |= {json.dumps(value, ensure_ascii=False)[1:-1], value.casefold(), value[:10]}
    found = {way.encode() for way in ways}
    padded = [base64.b64encode(b"x" * n + value.encode())[4:-4] for n in range(3)]
    return found | {part for part in padded if len(part) > 8}


def holders(root: Path, value: str) -> list[str]:
    """The files below a folder that hold a value in some way."""
    ways = written(value)
    files = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    return [str(path) for path in files if any(way in path.read_bytes() for way in ways)]


def assert_clean(root: Path) -> None:
    for name, value in VALUES.items():
        assert holders(root, value) == [], name


@pytest.fixture
def space(tmp_path):
    return make_space(tmp_path / "w", SPEC, CONFIG, **VALUES)


def test_no_value_from_the_environment_is_on_disk_and_nothing_is_left_to_do(space):
    # Intent: secrets in every field that takes text, in the embedded sandbox: bytes of all files, second plan, third
    # run. Nothing of it makes the account forget what it has to show.
    space.run(*APPLY)
    assert_clean(space.root)
    assert json.loads(space.run("plan", "--format", "json").out)["steps"] == []
    shown = space.run("messages", "teaser", "--format", "json").document
    said = [m["content"] for m in shown["messages"] if m["role"] == "user"]
    assert said[-2:] == ["Softer, (secret), (secret).", "Also (secret)"] and "{secret" not in str(shown)
    assert_clean(space.root)


def test_the_ledger_tells_equal_from_different(space):
    # Intent: the oracle of tests works on digests: the same text has the same one, another text another one.
    space.run(*APPLY)
    with space.account() as store:
        effects, digests = store.ledger(), store.digests
        requests = store.requests()
        projects = {p["title"] or "late": p for p in store.projects()}
        credits_left = store.credits()
    assert [e.kind for e in effects].count("create") == 2 and credits_left < 100_000
    plain = next(e.detail for e in effects if e.kind == "create" and "title" not in e.detail)
    assert plain["idempotency_key"] == "acme/late/1"
    assert plain["brief"] == digests.of(projects["late"]["brief"]) != digests.of("another")
    sent = [r.body for r in requests if r.method == "POST"]
    assert sent and all(str(value).startswith(("digest:", "acme/", "[")) for body in sent for value in body.values())


def test_another_value_is_a_change_and_the_old_one_is_not_found_again(space):
    # Intent: what was told apart by values is told apart by stand-ins, in this run and the next one.
    space.run(*APPLY)
    planned = space.run("plan", "--format", "json", A="another-7d21", code=None).out
    assert "another-7d21" not in planned and "webhook_url" in planned
    assert_clean(space.root)


def test_a_lost_state_is_found_again_by_what_the_account_shows(space):
    # Intent: the list's briefs and the conversation have the values in them where the reconciler compares.
    space.run(*APPLY)
    before = space.state["projects"]["teaser"]["project_id"]
    space.state_path.unlink()
    space.run(*APPLY)
    with space.account() as store:
        kinds = [e.kind for e in store.ledger()]
    assert kinds.count("create") == 2 and kinds.count("message") == 2
    assert space.state["projects"]["teaser"]["project_id"] == before
    assert_clean(space.root)


def test_the_accounts_files_are_their_owners(space):
    # Intent: database, log and shared memory 0600, folders made for them 0700, under any umask.
    old = os.umask(0)
    try:
        space.run(*APPLY)
        with space.account() as store:
            store.credits()
            found = {p.name: p.stat().st_mode & 0o777 for p in space.db.parent.glob("account.db*")}
    finally:
        os.umask(old)
    assert {"account.db", "account.db-wal", "account.db-shm"} <= found.keys()
    assert set(found.values()) == {0o600}
    assert space.db.parent.stat().st_mode & 0o077 == 0


def test_a_file_that_others_could_read_is_closed(space):
    # Intent: what an older version left open is its owner's after the next command.
    space.run(*APPLY)
    space.db.chmod(0o644)
    space.run("plan")
    assert space.db.stat().st_mode & 0o777 == 0o600


@pytest.mark.sampled(3)
@pytest.mark.parametrize("content", [b"not a database at all" * 300, b""])
def test_a_file_that_is_no_account_is_an_error_that_says_what_helps(space, content):
    space.db.parent.mkdir(parents=True)
    space.db.write_bytes(content)
    ran = space.run(*APPLY, code=1 if content else 0)
    if content:
        assert "can't use the sandbox's account" in ran.err + ran.out and "sandbox reset" in ran.err + ran.out
        space.run("sandbox", "reset")
        space.run(*APPLY)


def test_an_account_of_an_older_version_is_brought_up_to_date(space):
    # Intent: before there were digests, all lay in the file in clear and anybody could read it: one command later not.
    space.run(*APPLY)
    db = sqlite3.connect(space.db)
    value = VALUES["A"]
    db.execute("UPDATE projects SET webhook_url = ?, brief = brief || ?", (f"https://h.example/{value}", value))
    db.execute("UPDATE effects SET detail = ?", (json.dumps({"message": value, "message_id": "msg_1"}),))
    db.execute("UPDATE requests SET body = ?", (json.dumps({"message": value}),))
    db.execute("UPDATE messages SET content = content || ?", (value,))
    db.execute("PRAGMA user_version = 0")
    db.commit()
    db.close()
    space.db.chmod(0o644)
    assert holders(space.root, value) != []
    space.run("plan", code=None)
    assert_clean(space.root)
    with closing(Store(space.db)) as store, store.account() as account:
        assert account.one("SELECT 1 FROM messages WHERE content LIKE '%{secret:%'") is not None


def test_an_account_of_a_newer_version_is_left_alone(space):
    space.run(*APPLY)
    db = sqlite3.connect(space.db)
    db.execute("PRAGMA user_version = 99")
    db.commit()
    db.close()
    ran = space.run("plan", code=1)
    assert "newer version of reconciler" in ran.err + ran.out


@pytest.mark.sweep
def test_a_served_sandbox_logs_digests_of_what_it_does_not_know_to_be_secret(tmp_path):
    # Intent: the log and the ledger of a served account on disk hold no text at all, whoever sent it.
    body = {"brief": "B", "webhook_url": "https://hooks.example.com/unknown-5c1e", "references": []}
    refused = {"message": "unknown-5c1e", "mode": "unknown-5c1e", "craft": "cinema"}
    with BackgroundServer(tmp_path / "account.db") as server:
        headers = {"Authorization": "Bearer k"}
        httpx.post(f"{server.url}/projects", json=body, headers=headers)
        httpx.post(f"{server.url}/projects", json=refused, headers=headers)
        httpx.post(f"{server.url}/projects", content=b'{"brief": unknown-5c1e', headers=headers)
        httpx.get(f"{server.url}/projects?title=unknown-5c1e", headers=headers)
        shown = "".join(
            httpx.get(
                f"{server.url.removesuffix('/api/v1')}/_sandbox/{name}",
                headers={"Authorization": f"Bearer {server.token}"},
            ).text
            for name in ("requests", "ledger", "projects")
        )
        (effect,), requests = server.store.ledger(), server.store.requests()
    assert "unknown-5c1e" not in shown and "cinema" in shown
    assert (
        effect.detail["webhook_url"] == requests[0].body["webhook_url"] == server.store.digests.of(body["webhook_url"])
    )
