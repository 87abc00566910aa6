"""A lost state, a spec that changed since, and a server that refuses the known key: the advice names what helps."""

import pytest

from reconciler.sandbox.faults import Fault
from tests.cli.cli_support import REMOTE, make_space
from tests.recovery.accounts import Accounts

BEFORE = "projects: {teaser: {brief: A calm film about the sea., settings: {title: Sea}}}\n"
AFTER = BEFORE.replace("title: Sea", "title: Ocean")


@pytest.fixture
def lost():
    with Accounts() as accounts:
        key, store = accounts.open()
        yield accounts.url, key, store


@pytest.mark.sweep
def test_the_way_out_of_a_used_key_is_told_and_works(tmp_path, lost):
    url, key, store = lost
    space = make_space(tmp_path / "ws", BEFORE, REMOTE, EVERSINCE_API_URL=url, EVERSINCE_API_KEY=key)
    space.run("apply", "--auto-approve", "--wait", "none")
    (space.root / "reconciler.state.json").unlink()
    space.write("specs/a.yaml", AFTER)
    store.finish_all()
    (project,) = (p["id"] for p in store.projects())
    refusal = Fault(kind="status", method="POST", path="^/projects$", status=409, code="conflict", times=0)
    store.add_fault(refusal)

    for _ in range(2):
        ran = space.run("apply", "--auto-approve", code=1)
        advice = f"reconciler import teaser {project}"
        assert "the key `acme/teaser/1` has been used for another request" in ran.out + ran.err
        assert advice in ran.out
    offered = space.run("state", "recover", "--auto-approve", code=None)
    assert (
        "no project has this brief and title; with another title:" in offered.out + offered.err
        and advice in offered.out + offered.err
    )

    space.run("import", "teaser", project)
    planned = space.run("plan", "--format", "json", "--detailed-exitcode", code=2).document
    assert [step["action"] for step in planned["steps"]] == ["update"]
    space.run("apply", "--auto-approve")
    assert [effect.kind for effect in store.ledger() if effect.kind in ("create", "message")] == ["create"]
    assert "No changes" in space.run("plan").out
