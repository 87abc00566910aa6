"""Two teams, environments or states in one account: no project is taken by its looks, and none is touched by another.

The oracle is the account's ledger: what acted, and on which project.
"""

import json
from pathlib import Path

import pytest

from tests.cli.cli_support import Space, make_space
from tests.recovery.accounts import Accounts

SPECS = """\
projects:
  teaser: {brief: Ten seconds of sea., settings: {title: Sea}, messages: [Slower.]}
  trailer: {brief: A minute of sea., settings: {title: Long sea}}
"""


@pytest.fixture
def accounts():
    with Accounts() as opened:
        yield opened


@pytest.fixture
def account(accounts):
    key, store = accounts.open()
    return accounts.url, key, store


def space_of(root: Path, workspace: str, account, specs: str = SPECS) -> Space:
    url, key, _ = account
    return make_space(root, specs, f"workspace: {workspace}\n", EVERSINCE_API_URL=url, EVERSINCE_API_KEY=key)


def applied(space: Space, *args: str, code: int = 0):
    return space.run(*args, "apply", "--auto-approve", "--poll-interval", "0.05", code=code)


def entries(space: Space, name: str = "reconciler.state.json"):
    return json.loads((space.root / name).read_text())["projects"]


def ids(space: Space, name: str = "reconciler.state.json") -> set[str]:
    return {entry["project_id"] for entry in entries(space, name).values()}


def acts(store, *kinds: str) -> list[str]:
    """The projects on which something acted, in the ledger's order."""
    return [effect.project_id for effect in store.ledger() if not kinds or effect.kind in kinds]


def aged(store, hours: float) -> None:
    """As if all projects had been made so much earlier, and the API had forgotten their keys."""
    with store.account() as inside:
        inside.run("UPDATE projects SET created_at = created_at - ?", hours * 3600)
    store.forget_keys()


def test_two_workspaces_with_the_same_specs_have_projects_of_their_own(tmp_path, account):
    """Intent: dev and prod in one account: prod makes its own, and its `destroy` leaves dev's alone."""
    store = account[2]
    dev, prod = (space_of(tmp_path / name, f"agency-{name}", account) for name in ("dev", "prod"))
    applied(dev)
    planned = prod.run("plan", "--format", "json").document
    assert {step["action"] for step in planned["steps"]} == {"create", "message"}
    assert [d["kind"] for d in planned["diagnostics"]] == ["lost-state"]
    applied(prod)
    assert not ids(dev) & ids(prod)
    assert len(acts(store, "create")) == 4 and len(acts(store, "message")) == 2
    before = len(store.ledger())
    theirs = ids(prod)
    applied_destroy = prod.run("destroy", "--auto-approve", "--force")
    assert applied_destroy.code == 0
    assert {effect.project_id for effect in store.ledger()[before:]} <= theirs
    assert "No changes" in dev.run("plan").out


def test_an_old_look_alike_stops_its_address_and_shows_the_ways_out_and_others_go_on(tmp_path, account):
    """Intent: a state that is lost, keys that are forgotten: nothing is bought again, and the new one is made."""
    store = account[2]
    space = space_of(tmp_path / "w", "agency", account)
    applied(space)
    store.finish_all()
    aged(store, 48)
    old = ids(space)
    (space.root / "reconciler.state.json").unlink()
    space.write("specs/b.yaml", "projects: {fresh: {brief: New.}}\n")
    before = len(store.ledger())

    ran = applied(space, code=1)
    assert len(acts(store, "create")) == 3 and set(entries(space)) == {"fresh"}
    assert not {effect.project_id for effect in store.ledger()[before:]} & old
    for words in ("`teaser` may exist already", "reconciler state recover", "--replace teaser", "look like 2 of the 3"):
        assert words in ran.out, ran.out
    assert "`teaser` may exist already" in applied(space, code=1).out  # though there is a state by now
    assert len(acts(store, "create")) == 3

    space.run("state", "recover", "--auto-approve")
    assert ids(space) > old
    assert "No changes" in space.run("plan").out
    applied(space)
    assert len(acts(store, "create")) == 3 and len(acts(store, "message")) == 1


def test_replace_makes_one_of_ones_own_beside_an_old_look_alike(tmp_path, account):
    store = account[2]
    dev, prod = (space_of(tmp_path / name, f"agency-{name}", account) for name in ("dev", "prod"))
    applied(dev)
    store.finish_all()
    aged(store, 48)
    prod.run("apply", "--auto-approve", "--replace", "teaser", "--replace", "trailer", "--wait", "none")
    assert len(acts(store, "create")) == 4
    assert not ids(dev) & ids(prod)
    assert not acts(store, "cancel")


def test_a_failed_project_of_someone_else_does_not_hand_over_a_look_alike(tmp_path, account):
    """Intent: a first apply beside any failed project binds, messages and cancels nothing that others own."""
    store = account[2]
    theirs = store.person_creates(brief="Ten seconds of sea.", title="Sea")
    failed = store.person_creates(brief="Something else.", title="Else", status="failed")
    space = space_of(tmp_path / "w", "agency", account)

    ran = applied(space, code=1)
    assert "`teaser` may exist already" in ran.out
    assert set(entries(space)) == {"trailer"}
    space.run("destroy", "--auto-approve", "--force")
    assert not {theirs, failed} & set(acts(store, "message", "cancel", "settings", "update"))


@pytest.mark.parametrize("change", ["brief: For prod.", "brief: For dev., settings: {title: Prod}"])
def test_a_key_that_made_another_project_binds_nothing(tmp_path, account, change):
    """Intent: two states under one workspace's name are told apart by what the key's project is."""
    store = account[2]
    space = space_of(tmp_path / "w", "agency", account, "projects: {a: {brief: For dev., settings: {title: Dev}}}\n")
    applied(space, "--state", "dev.json")
    store.finish_all()
    (made,) = ids(space, "dev.json")
    before = store.ledger()
    space.write("specs/a.yaml", f"projects: {{a: {{{change}}}}}\n")

    for _ in range(2):
        ran = applied(space, "--state", "prod.json", code=1)
        assert f"the key `agency/a/1` belongs to `{made}`" in ran.out, ran.out
        for words in ("workspace` of its own", "reconciler state recover", f"reconciler import a {made}"):
            assert words in ran.out
        assert not (space.root / "prod.json").exists() or not entries(space, "prod.json")
    planned = space.run("--state", "prod.json", "plan", "--format", "json").document
    assert not [s for s in planned["steps"] if s["project_id"] == made]
    space.run("--state", "prod.json", "destroy", "--auto-approve", "--force")
    assert store.ledger() == before


def test_a_lost_state_and_a_changed_spec_end_well(tmp_path, account):
    """Intent: the way out that the error names works: the project is bound, and the change is shown and made."""
    store = account[2]
    space = space_of(tmp_path / "w", "agency", account, "projects: {a: {brief: Sea., settings: {title: Old}}}\n")
    applied(space)
    store.finish_all()
    (made,) = ids(space)
    (space.root / "reconciler.state.json").unlink()
    space.write("specs/a.yaml", "projects: {a: {brief: Sea., settings: {title: New}}}\n")
    assert f"reconciler import a {made}" in applied(space, code=1).out
    space.run("import", "a", made)
    planned = space.run("plan", "--format", "json").document
    assert [(s["action"], s["project_id"]) for s in planned["steps"]] == [("update", made)]
    applied(space)
    assert len(acts(store, "create")) == 1 and "No changes" in space.run("plan").out


def test_another_accounts_key_creates_nothing_where_none_of_the_managed_projects_is(tmp_path, accounts, account):
    """Intent: with the key of client B, client A's workspace makes no call that changes anything."""
    space = space_of(tmp_path / "w", "agency", account)
    applied(space)
    space.write("specs/b.yaml", "projects: {fresh: {brief: New.}}\n")
    key, other = accounts.open()
    space.env["EVERSINCE_API_KEY"] = key
    for command in (("plan",), ("apply", "--auto-approve"), ("destroy", "--auto-approve", "--force")):
        ran = space.run(*command, code=1)
        assert "the API key is of another account: it shows none of the 2 managed projects" in ran.out + ran.err
    assert not other.ledger()
    space.env["EVERSINCE_API_KEY"] = account[1]
    applied(space)
    assert set(entries(space)) == {"teaser", "trailer", "fresh"}


def test_a_single_managed_project_that_is_gone_is_reported_as_gone(tmp_path, accounts, account):
    space = space_of(tmp_path / "w", "agency", account, "projects: {a: {brief: Sea.}}\n")
    applied(space)
    space.env["EVERSINCE_API_KEY"], _ = accounts.open()
    assert "no longer has project" in space.run("plan").out
