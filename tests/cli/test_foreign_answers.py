"""Servers that do not keep to the contract: a diagnostic with method, path, status and request id; no guess."""

from __future__ import annotations

import pytest

from reconciler.adapters.state.format import encode_state
from reconciler.model.state import Entry, State
from reconciler.sandbox.store import Fault
from tests.cli.cli_support import ONE, REMOTE, answering, make_space

KEY = "sk-canary-3f9a77"
LIST = '{"projects": [], "total": 0}'


@pytest.mark.sampled(6)
@pytest.mark.parametrize(
    ("status", "body", "headers", "says"),
    [
        (200, "<!DOCTYPE html><html>Welcome</html>", {"Content-Type": "text/html"}, "outside the contract"),
        (200, '{"items": []}', {}, "outside the contract"),
        (200, '{"projects": [{"id": 5}], "total": 1}', {}, "outside the contract"),
        (201, LIST, {}, "not in the contract"),
        (
            401,
            '{"error": {"code": "unauthorized", "message": "No {key} here", "status": 401}}',
            {},
            "API key",
        ),
        (404, "<html>nginx</html>", {"Content-Type": "text/html"}, "api.url"),
    ],
    ids=["html", "wrong shape", "wrong type", "odd status", "401", "404 of a proxy"],
)
def test_an_answer_outside_the_contract_is_told_and_nothing_is_guessed(tmp_path, status, body, headers, says):
    # Intent: the diagnostic lets the user ask the vendor (request id) or mend the address; nothing is created.
    space = make_space(tmp_path / "w", ONE, REMOTE, EVERSINCE_API_KEY=KEY)
    before = space.files()
    with answering(status, body, headers) as server:
        ran = space.run("--api-url", server.url, "apply", "--auto-approve", "--format", "json", code=1)
    [error] = ran.errors
    told = f"{error['summary']}\n{error['detail']}"
    assert f"GET /projects → {status}" in told
    assert "req_77" in told
    assert says in told
    assert {method for method, _, _ in server.heard} == {"GET"}
    assert KEY not in ran.out + ran.err
    after = space.files()
    assert {name for name in after if "journal" in name or name.endswith(".json")} == set()
    assert {name: after[name] for name in before} == before


def test_a_redirect_is_refused_and_its_target_never_hears_of_the_key(tmp_path):
    # Intent: whoever can answer for the API can't have the key sent elsewhere.
    space = make_space(tmp_path / "w", ONE, REMOTE, EVERSINCE_API_KEY=KEY)
    with answering(200, LIST) as target, answering(301, "", {"Location": f"{target.url}/projects"}) as server:
        ran = space.run("--api-url", server.url, "plan", "--format", "json", code=1)
        assert target.heard == []
        assert server.heard[0][2] == f"Bearer {KEY}"
    [error] = ran.errors
    assert "redirect refused" in error["summary"]
    assert "GET /projects → 301" in error["detail"] and "req_77" in error["detail"]


def test_a_create_that_was_answered_with_nonsense_is_not_sent_again_blindly(tmp_path):
    # Intent: after an answer that says nothing the create may have acted: exit 1, the word unknown, one key for ever.
    space = make_space(tmp_path / "w")
    space.run("plan", "--out", "saved.plan")
    with space.account() as store:
        store.add_fault(Fault(kind="html", method="POST", path="^/projects$", when="after", status=200, times=1))
    space.run("apply", "saved.plan", code=None)
    space.run("apply", "--auto-approve", "--poll-interval", "0.05")
    with space.account() as store:
        assert [e.kind for e in store.ledger()] == ["create"]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_half_a_character_that_anyone_wrote_stops_no_command(tmp_path, encoding):
    # Intent: a server that cuts in the middle of an emoji sends half of it; nobody can do anything about that.
    space = make_space(tmp_path / "w", ONE, REMOTE, EVERSINCE_API_KEY=KEY, PYTHONIOENCODING=encoding)
    row = rb'{"id": "p1", "status": "idle", "mode": "autonomous", "title": "Hi \ud83c", "brief": "Caf\u00e9 \ud83c"}'
    body = b'{"projects": [%s], "total": 1}' % row
    with answering(200, body.decode()) as server:
        planned = space.run("--api-url", server.url, "plan")
        exported = space.run("--api-url", server.url, "export", "--out", "found")
    assert "1 to create" in planned.out
    assert "Caf" in "".join(path.read_text(encoding="utf-8") for path in (space.root / "found").rglob("*.yaml"))
    assert "api.url" not in planned.out + planned.err + exported.err
    said = rb'{"messages": [{"id": "m1", "role": "user", "content": "\ud83c Caf\u00e9\u0000"}], "has_more": false}'
    with answering(200, said.decode()) as server:
        space.write("reconciler.state.json", state_of("teaser", "p1", server.url))
        read = space.run("--api-url", server.url, "messages", "teaser")
    assert "Caf" in read.out


def state_of(address, project_id, url):
    """A state file that has one project."""
    entry = Entry(project_id=project_id, origin="created", generation=1)
    state = State(lineage="l", workspace="acme", api_url=url, serial=1, projects={address: entry})
    return encode_state(state, "0").decode()
