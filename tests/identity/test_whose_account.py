"""Whose account the key is of: found out before any call that changes anything, whichever the command.

The oracle is the ledger and the requests of the account that the key leads to.
"""

import json

import pytest

from tests.cli.cli_support import make_space
from tests.sampling import square

SPECS = "projects:\n  a: {brief: Sea.}\n  b: {brief: Lake., messages: [Slower.]}\n"
FRESH = "projects:\n  fresh: {brief: New.}\n"
FINGERPRINT = "the API key is of another account: it shows none of the 2 managed projects"


@pytest.fixture
def world(tmp_path, accounts):
    """A workspace that was applied with its own account's key, a saved plan, and then another account's key."""
    key, own = accounts.open()
    other_key, other = accounts.open()
    space = make_space(
        tmp_path / "w", SPECS, "workspace: agency\n", EVERSINCE_API_URL=accounts.url, EVERSINCE_API_KEY=key
    )
    apply(space)
    own.finish_all()
    space.write("specs/new.yaml", FRESH)
    space.run("plan", "--out", "saved.plan")
    return space, own, other, key, other_key


def apply(space, *args, code=0):
    return space.run("apply", "--auto-approve", "--poll-interval", "0.05", *args, code=code)


def ids(space):
    return {
        a: e["project_id"]
        for a, e in json.loads((space.root / "reconciler.state.json").read_text())["projects"].items()
    }


def changing(store):
    return [request for request in store.requests() if request.method != "GET"]


COMMANDS = {
    "plan": ("plan",),
    "plan --no-refresh": ("plan", "--no-refresh"),
    "plan --no-refresh --target": ("plan", "--no-refresh", "--target", "a"),
    "plan --target": ("plan", "--target", "fresh"),
    "apply": ("apply", "--auto-approve"),
    "apply --target": ("apply", "--auto-approve", "--target", "fresh"),
    "apply --replace": ("apply", "--auto-approve", "--replace", "a"),
    "apply --no-refresh": ("apply", "--auto-approve", "--no-refresh"),
    "apply --no-refresh --target": ("apply", "--auto-approve", "--no-refresh", "--target", "fresh"),
    "apply --refresh-only": ("apply", "--auto-approve", "--refresh-only"),
    "apply PLANFILE": ("apply", "saved.plan"),
    "destroy": ("destroy", "--auto-approve", "--force"),
    "destroy --no-refresh": ("destroy", "--auto-approve", "--force", "--no-refresh"),
    "state recover": ("state", "recover", "--auto-approve"),
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("command", "pinned"), square(2, COMMANDS, [False, True]))
def test_with_another_accounts_key_no_command_changes_anything(world, command, pinned):
    """Intent: client B's key in client A's workspace is an error, exit 1, and the way out is told."""
    space, _, other, key, other_key = world
    if pinned:
        space.write("reconciler.yaml", f"workspace: agency\naccount: {{project: {ids(space)['a']}}}\n")
        space.run("state", "rm", "b")  # one managed project tells nothing: the pin does
    space.env["EVERSINCE_API_KEY"] = other_key
    before = ids(space)
    ran = space.run(*COMMANDS[command], code=1)
    said = f"the API key is of another account: it doesn't show `{before['a']}`" if pinned else FINGERPRINT
    assert said in ran.out + ran.err and "E204" in ran.out + ran.err
    assert not pinned or "reconciler.yaml:2:" in ran.err
    assert "Use the key of the account that has" in ran.out + ran.err
    assert not other.ledger() and not changing(other) and ids(space) == before

    space.env["EVERSINCE_API_KEY"] = key
    apply(space)
    assert "fresh" in ids(space)


def test_import_asks_whose_account_it_is(world):
    space, _, other, _, other_key = world
    theirs = other.person_creates(brief="Theirs.")
    space.env["EVERSINCE_API_KEY"] = other_key
    assert FINGERPRINT in space.run("import", "fresh", theirs, code=1).err
    assert "fresh" not in ids(space)


READING = {
    "status": ("status",),
    "status A": ("status", "a"),
    "status -o wide": ("status", "-o", "wide"),
    "report": ("report", "--out", "page"),
    "report A": ("report", "--out", "page", "a"),
    "messages A": ("messages", "a"),
    "output --refresh": ("output", "--refresh"),
    "output A --refresh": ("output", "a", "--refresh"),
    "output --download": ("output", "--download", "got"),
    "output A --download": ("output", "a", "--download", "got"),
    "output --refresh --download": ("output", "--refresh", "--download", "got"),
    "export": ("export", "--out", "more"),
    "export --studio": ("export", "--studio"),
    "export --studio --out": ("export", "--studio", "--out", "more"),
    "validate --online": ("validate", "--online"),
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("command", "pinned"), square(2, READING, [False, True]))
def test_what_only_reads_the_account_says_so_too(world, command, pinned):
    """Intent: nothing of another account is shown, exported or taken for what happened to one's own projects."""
    space, _, other, _, other_key = world
    if pinned:
        space.write("reconciler.yaml", f"workspace: agency\naccount: {{project: {ids(space)['a']}}}\n")
        space.run("state", "rm", "b")
    space.write("specs/new.yaml", "projects: {fresh: {brief: New., settings: {video_model: nobody-has-it}}}\n")
    other.person_creates(brief="Theirs.", title="Theirs")
    space.env["EVERSINCE_API_KEY"] = other_key
    ran = space.run(*READING[command], code=1)
    assert ran.err.count("error[E204]") == 1, ran.err
    assert not ran.out and "Theirs" not in ran.err
    assert not (space.root / "page").exists() and not (space.root / "more").exists()


def test_whose_account_it_is_costs_what_reads_it_nothing(world):
    """Intent: where a list is read anyway, it tells."""
    space, own, *_ = world
    for config in ("workspace: agency\n", f"workspace: agency\naccount: {{project: {ids(space)['b']}}}\n"):
        space.write("reconciler.yaml", config)
        for command in ("status", "status A", "output --refresh", "output A --refresh"):
            own.clear_requests()
            space.run(*READING[command])
            assert [(row.method, row.path) for row in own.requests()] == [("GET", "/projects")]


@pytest.mark.sweep
def test_a_project_that_is_gone_is_still_told_apart_from_another_account(world):
    space = world[0]
    path = space.root / "reconciler.state.json"
    path.write_text(path.read_text().replace(ids(space)["a"], "proj_deleted"))
    assert "gone" in space.run("status", "a").out
    assert "E204" not in space.run("messages", "a", code=1).err
    assert "nothing rendered" in space.run("output", "a", "--download", "got").out


@pytest.mark.sampled(6)
@pytest.mark.parametrize("command", ["plan --no-refresh --target", "apply --no-refresh", "apply PLANFILE"])
def test_the_check_costs_one_request(world, command):
    """Intent: where nothing else reads the account, one GET tells; the pin costs no more."""
    space, own, *_ = world
    for config in ("workspace: agency\n", f"workspace: agency\naccount: {{project: {ids(space)['b']}}}\n"):
        space.write("reconciler.yaml", config)
        before = len(own.requests())
        space.run(*COMMANDS[command])
        first = own.requests()[before]
        assert first.method == "GET" and first.path.rpartition("/")[2] in ids(space).values()
        assert command != "plan --no-refresh --target" or len(own.requests()) == before + 1


def test_one_managed_project_tells_nothing_and_costs_no_request(world):
    """Intent: whether it is gone or of another account can't be told, so it is not asked."""
    space, own, *_ = world
    space.run("state", "rm", "b")
    before = len(own.requests())
    space.run("plan", "--no-refresh", "--target", "a")
    assert len(own.requests()) == before


def test_what_an_earlier_run_left_open_is_not_looked_for_in_another_account(world):
    """Intent: the key of an open create, sent to the wrong account, would buy there."""
    space, _, other, _, other_key = world
    path = space.root / "reconciler.state.json"
    state = json.loads(path.read_text())
    intent = {
        "op": "1", "kind": "create", "address": "fresh", "at": "2026-01-01T00:00:00Z", "generation": 1,
        "body": {"brief": "New.", "idempotency_key": "agency/fresh/1"},
    }  # fmt: skip
    path.write_text(json.dumps({**state, "pending": {"1": intent}}))
    other.person_creates(brief="New.")
    space.env["EVERSINCE_API_KEY"] = other_key
    assert FINGERPRINT in apply(space, code=1).err
    assert not changing(other)


def test_a_project_of_another_account_that_is_pinned_by_mistake_is_told_with_its_place(world):
    space = world[0]
    space.write("reconciler.yaml", "workspace: agency\naccount:\n  project: proj_nowhere\n")
    ran = space.run("apply", "--auto-approve", code=1)
    assert "reconciler.yaml:3:12" in ran.err and "correct `account`" in ran.err


@pytest.mark.parametrize(
    ("account", "said"),
    [
        ("{}", "error[E114]"),
        ("{id: acc_1}", "error[E111]"),
        ("{project: 'a b'}", "error[E119]"),
        ("proj_1", "error[E110]"),
        ("{projekt: proj_1}", "did you mean 'project'"),
    ],
)
def test_an_account_of_the_wrong_shape_is_told_with_its_place(tmp_path, account, said):
    space = make_space(tmp_path / "w", SPECS, f"workspace: agency\napi: {{url: sandbox}}\naccount: {account}\n")
    ran = space.run("validate", code=1)
    assert said in ran.out + ran.err and "reconciler.yaml:3:" in ran.out + ran.err


def test_plan_no_refresh_sends_nothing_and_still_asks_for_the_pin(world):
    space, _, _, _, other_key = world
    space.write("reconciler.yaml", f"workspace: agency\naccount: {{project: {ids(space)['a']}}}\n")
    space.env["EVERSINCE_API_KEY"] = other_key
    assert "E204" in space.run("plan", "--no-refresh", code=1).err
