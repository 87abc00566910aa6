"""Environments of one configuration in one account: what the state of one manages, no other takes, and none is held up by it.

The oracle is the ledger and the requests of the account.
"""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.cli.console import Console
from reconciler.cli.inputs import load_configuration
from reconciler.cli.other_environments import read_elsewhere
from reconciler.model import contract
from tests.cli.cli_support import APPLY, Space, make_space
from tests.identity.test_whose_project import aged

SPEC = "projects:\n  a: {brief: One nice brief.}\n  b: {brief: Another nice brief., messages: [Slower.]}\n"
CONFIG = "workspace: acme\nlimits: {settle_seconds: 0.5}\nenvironments: {dev: {}, prod: {}}\n"


@pytest.fixture(params=["files", "bucket"])
def world(request, tmp_path, accounts):
    """dev was applied, in an account that prod shares."""
    key, store = accounts.open()
    space = make_space(
        tmp_path / "w",
        SPEC,
        CONFIG,
        EVERSINCE_API_URL=accounts.url,
        EVERSINCE_API_KEY=key,
        RECONCILER_ENVIRONMENT="prod",
    )
    if request.param == "bucket":
        (tmp_path / "b").mkdir()
        space.env["RECONCILER_STATE"] = f"file://{tmp_path / 'b'}"
    space.run("-e", "dev", *APPLY)
    store.finish_all()
    return space, store


def managed(space: Space, environment: str) -> dict[str, str]:
    """The ids of what an environment manages, by address."""
    shown = space.run("-e", environment, "output", "--format", "json").document
    return {address: entry["project_id"] for address, entry in shown.items()}


@pytest.mark.sampled(6)
def test_the_first_plan_of_another_environment_does_not_ask_about_them(world):
    """Intent: no look-alike, no upper bound, no way that would take them; also a day later, beside a failed and a renamed one."""
    space, store = world
    ids = managed(space, "dev")
    store.person_sets(ids["b"], title="Renamed")
    store.forget_keys()
    aged(store, 48)
    with store.account() as account:
        account.run("UPDATE projects SET status = 'failed' WHERE id = ?", ids["a"])
    before = len(store.ledger())
    plan = space.run("plan")
    assert "Plan: 2 to create, 1 message to send, 0 unchanged." in plan.out and "look like" not in plan.out
    assert "No projects are managed" in space.run("status").out
    space.run(*APPLY)
    own = managed(space, "prod")
    assert own.keys() == ids.keys() and not set(own.values()) & set(ids.values())
    touched = {effect.project_id for effect in store.ledger()[before:]}
    assert touched == set(own.values())
    assert space.run("plan", "--detailed-exitcode").code == 0


@pytest.mark.sampled(6)
def test_a_new_brief_does_not_ask_about_those_of_an_environment_that_has_it_already(world):
    """Intent: a brief that reached one environment days before the other replaces the project there, too."""
    space, store = world
    space.run(*APPLY)
    store.finish_all()
    space.write("specs/a.yaml", SPEC.replace("One nice", "A newer"))
    space.run("-e", "dev", *APPLY)
    store.finish_all()
    store.forget_keys()
    aged(store, 48)
    others = managed(space, "dev")

    plan = space.run("plan")
    assert "may exist already" not in plan.out and "1 to replace" in plan.out
    space.run(*APPLY)
    assert managed(space, "dev") == others and not set(managed(space, "prod").values()) & set(others.values())


@pytest.mark.sampled(6)
def test_recover_export_and_specs_do_not_take_them(world):
    """Intent: also where the user says yes to everything; exit 1 with whose it is and the way to hand it over."""
    space, store = world
    ids, before = managed(space, "dev"), len(store.ledger())
    recovered = space.run("state", "recover", "--auto-approve", code=None)
    assert "Nothing to bind" in recovered.out and managed(space, "prod") == {}
    space.write("specs/z.yaml", f"projects:\n  z: {{import: {ids['a']}, only: [prod]}}\n")
    for args in (("plan",), APPLY):
        ran = space.run(*args, code=1)
        assert f"`{ids['a']}` is already managed as `a` in environment `dev`" in ran.out + ran.err
        assert "specs/z.yaml:2:3" in ran.out + ran.err and "`reconciler -e dev state rm a`" in ran.out + ran.err
    assert "managed as `a` in environment `dev`" in space.run("state", "recover", "--auto-approve", code=None).out
    (space.root / "specs" / "z.yaml").unlink()
    space.write("specs/a.yaml", "projects: {other: {brief: Something else.}}\n")
    assert space.run("export", "--out", "x").out == "Nothing to export.\n"
    assert "already declared as `a` in environment `dev`" in space.run("export", ids["a"], "--out", "x", code=1).err
    assert len(store.ledger()) == before and managed(space, "prod") == {}


@pytest.mark.sampled(6)
def test_an_import_by_hand_is_the_users_word_and_is_not_unheard(world):
    space, _ = world
    project = managed(space, "dev")["a"]
    told = space.run("import", "a", project).err
    assert f"warning: `{project}` is already managed as `a` in environment `dev`" in told
    assert "`reconciler -e dev state rm a`" in told and managed(space, "prod") == {"a": project}
    space.run("-e", "dev", "state", "rm", "a")
    space.run("state", "rm", "a")
    assert space.run("import", "a", project).err == ""


@pytest.mark.sampled(3)
def test_an_adopted_project_is_not_adopted_again(world):
    space, _ = world
    studio = "51d10000-0000-4000-8000-000000000001"
    space.write("specs/z.yaml", f"projects:\n  z: {{adopt: {studio}, only: [dev]}}\n")
    space.run("-e", "dev", *APPLY)
    space.write("specs/z.yaml", f"projects:\n  y: {{adopt: {studio}, only: [prod]}}\n")
    ran = space.run("plan", "--target", "y", code=1)
    assert f"`{studio}` is already managed as `z` in environment `dev`" in ran.out + ran.err


@pytest.mark.sweep
def test_a_state_that_can_not_be_read_or_is_of_something_else_says_nothing(tmp_path, accounts):
    """Intent: then the account and the keys tell, as for another workspace: a look-alike is told and nothing fails."""
    key, store = accounts.open()
    space = make_space(tmp_path / "w", SPEC, CONFIG, EVERSINCE_API_URL=accounts.url, EVERSINCE_API_KEY=key)
    space.run("-e", "dev", *APPLY)
    store.finish_all()
    path = space.root / "reconciler.dev.state.json"
    text = path.read_text()
    hint = "the account has projects that look like 2 of the 2 in the specs"
    assert hint not in space.run("-e", "prod", "plan").out
    broken = [
        "{",
        json.dumps({**json.loads(text), "environment": "qa"}),
        json.dumps({**json.loads(text), "workspace": "x"}),
    ]
    for content in broken:
        path.write_text(content)
        assert hint in space.run("-e", "prod", "plan").out
    path.unlink()
    path.symlink_to("/dev/zero")
    assert hint in space.run("-e", "prod", "plan").out
    path.unlink()
    path.write_text(text)
    for place in ("s3://elsewhere/x", "gs://elsewhere/x"):  # another bucket is not asked
        space.write("reconciler.yaml", CONFIG.replace("dev: {}", f"dev: {{state: '{place}'}}"))
        assert hint in space.run("-e", "prod", "plan").out
    space.write("reconciler.yaml", CONFIG.replace("dev: {}", "dev: {api: {url: 'https://not-trusted.example/v1'}}"))
    assert hint not in space.run("-e", "prod", "plan").out


def test_another_environments_version_of_the_api_is_not_spoken(tmp_path, accounts):
    """Intent: its configuration is read while this one's plan is made; the plan is in this one's version."""
    key, store = accounts.open()
    config = CONFIG.replace("dev: {}", "dev: {api: {version: 2026-04}}").replace(
        "prod: {}", "prod: {api: {version: 2025-03}}"
    )
    space = make_space(tmp_path / "w", SPEC, config, EVERSINCE_API_URL=accounts.url, EVERSINCE_API_KEY=key)
    console = Console([])
    console.root, console.environment = space.root, "prod"
    with contract.kept():
        read = load_configuration(console)
        assert contract.current().version == "2025-03"
        assert read_elsewhere(console, read).holders == {}
        assert contract.current().version == "2025-03"
    assert not store.ledger()


@pytest.mark.sampled(6)
@pytest.mark.parametrize("moved", [False, True], ids=["not moved", "moved and lost"])
def test_a_state_from_before_there_were_environments_stops_look_alikes(tmp_path, accounts, moved):
    """Intent: its projects have keys of then, so this environment's keys would make all of them again."""
    key, store = accounts.open()
    space = make_space(tmp_path / "w", SPEC, "workspace: acme\n", EVERSINCE_API_URL=accounts.url, EVERSINCE_API_KEY=key)
    space.run(*APPLY)
    store.finish_all()
    space.write("reconciler.yaml", CONFIG)
    space.write("specs/b.yaml", "projects: {new: {brief: Nothing like it.}}\n")
    space.env["RECONCILER_ENVIRONMENT"] = "prod"
    if moved:
        space.run("state", "mv", "--to-environment", "prod")
        (space.root / "reconciler.prod.state.json").unlink()
    ran = space.run(*APPLY, code=1)
    assert all(f"`{a}` may exist already" in ran.out for a in "ab")
    assert ("moved here" if moved else "state mv --to-environment NAME") in ran.out
    keys = [effect.idempotency_key for effect in store.ledger() if effect.kind == "create"]
    assert sorted(keys) == ["acme/a/1", "acme/b/1", "acme@prod/new/1"]
    assert len([effect for effect in store.ledger() if effect.kind == "message"]) == 1
    if moved:
        space.run("state", "recover", "--auto-approve")
    else:
        assert "is not lost" in space.run("state", "recover", "--auto-approve", code=1).err
        ids = json.loads((space.root / "reconciler.state.json").read_text())["projects"]["a"]["project_id"]
        space.write("specs/z.yaml", f"projects: {{z: {{import: {ids}, only: [prod]}}}}\n")
        assert "from before there were environments" in space.run("plan", code=1).out
        (space.root / "specs" / "z.yaml").unlink()
        (space.root / "reconciler.prod.state.json").unlink()  # it has just what came after
        space.run("state", "mv", "--to-environment", "prod")
    space.run(*APPLY)
    assert len([effect for effect in store.ledger() if effect.kind == "create"]) == 3
    other = space.run("-e", "dev", "plan").out
    assert "Plan: 3 to create" in other and "look like" not in other


@pytest.mark.sampled(6)
def test_a_key_that_is_answered_with_another_environments_project_binds_nothing(world):
    """Intent: a server that mixes up projects, with the very brief that was asked for: exit 1, and no call names it, then or later."""
    space, store = world
    ids = managed(space, "dev")
    with store.account() as account:
        account.run("UPDATE projects SET idempotency_key = 'acme@prod/a/1' WHERE id = ?", ids["a"])
    before = len(store.requests())
    told = space.run(*APPLY, code=1)
    said = f"the key `acme@prod/a/1` was answered with `{ids['a']}`, which is managed as `a` in environment `dev`"
    assert said in told.err and "E203" in told.out
    assert managed(space, "prod").keys() == {"b"}
    assert said in space.run("plan").out and said in space.run(*APPLY, code=1).out
    assert "managed as `a` in environment `dev`" in space.run("state", "recover", "--auto-approve", code=None).out
    space.run("destroy", "--auto-approve", "--force")
    assert not [r for r in store.requests()[before:] if ids["a"] in r.path]
    space.run(*APPLY, "--replace", "a", "--replace", "b")
    assert "acme@prod/a/2" in [effect.idempotency_key for effect in store.ledger()]
    assert managed(space, "prod")["a"] not in ids.values()


@pytest.mark.sampled(6)
@pytest.mark.parametrize("status", ["failed", "idle"])
def test_a_create_of_unknown_fate_is_not_found_in_another_environments_project(world, status):
    """Intent: it never reached the server; what looks like it and was made at that time is dev's."""
    space, store = world
    ids = managed(space, "dev")
    with store.account() as account:
        account.run("UPDATE projects SET status = ? WHERE id = ?", status, ids["a"])
    space.run(*APPLY, "--target", "b")
    pulled = space.run("state", "pull").document
    begun = datetime.fromtimestamp(store.ledger()[0].at - 1, UTC)
    intent = {
        "op": "1", "kind": "create", "address": "a", "at": begun.isoformat(), "generation": 1,
        "body": {"brief": "One nice brief.", "idempotency_key": "acme@prod/a/1"},
    }  # fmt: skip
    space.write("pulled.json", json.dumps({**pulled, "pending": {"1": intent}}))
    space.run("state", "push", "--auto-approve", "pulled.json")
    before = len(store.requests())
    space.run(*APPLY)
    assert managed(space, "prod")["a"] not in ids.values()
    assert not [r for r in store.requests()[before:] if ids["a"] in r.path]
    assert [e.idempotency_key for e in store.ledger() if e.kind == "create"][-1] == "acme@prod/a/1"


@pytest.mark.sampled(6)
def test_what_a_person_cancelled_stays_so_beside_another_environments_look_alike(world):
    """Intent: after the loss of the state, dev's living project is no successor of prod's cancelled one."""
    space, store = world
    space.run(*APPLY)
    own = managed(space, "prod")
    store.finish_all()
    with store.account() as account:
        account.run("UPDATE projects SET status = 'cancelled' WHERE id = ?", own["a"])
    creates = len([e for e in store.ledger() if e.kind == "create"])
    if "RECONCILER_STATE" in space.env:
        shutil.rmtree(Path(space.env["RECONCILER_STATE"].removeprefix("file://"), "prod"))
    else:
        (space.root / "reconciler.prod.state.json").unlink()
    space.run(*APPLY, code=None)
    assert len([e for e in store.ledger() if e.kind == "create"]) == creates
    assert managed(space, "prod") == own


def test_an_open_create_of_another_environment_is_a_rival(world):
    """Intent: both were killed while they made the same, and one project is there, which failed: nobody's by its looks."""
    space, store = world
    ids = managed(space, "dev")
    with store.account() as account:
        account.run("UPDATE projects SET status = 'failed' WHERE id = ?", ids["a"])
    space.run(*APPLY, "--target", "b")
    begun = datetime.fromtimestamp(store.ledger()[0].at - 1, UTC).isoformat()
    for environment in ("dev", "prod"):
        pulled = space.run("-e", environment, "state", "pull").document
        intent = {
            "op": "1", "kind": "create", "address": "a", "at": begun, "generation": 1,
            "body": {"brief": "One nice brief.", "idempotency_key": f"acme@{environment}/a/1"},
        }  # fmt: skip
        left = {address: entry for address, entry in pulled["projects"].items() if address != "a"}
        space.write("pulled.json", json.dumps({**pulled, "projects": left, "pending": {"1": intent}}))
        space.run("-e", environment, "state", "push", "--auto-approve", "pulled.json")
    before = len(store.ledger())

    ran = space.run(*APPLY, code=1)
    assert "it could be any of" in ran.err and "reconciler import a PROJECT_ID" in ran.out
    assert "a" not in managed(space, "prod") and len(store.ledger()) == before
    space.run("-e", "dev", "import", "a", ids["a"])
    space.run("state", "resolve", "a", "--not-sent")
    space.run(*APPLY)
    assert managed(space, "dev")["a"] == ids["a"]
    assert [effect.idempotency_key for effect in store.ledger()[before:] if effect.kind == "create"] == [
        "acme@prod/a/1"
    ]


RENDERED = "projects:\n  a: {brief: One nice brief., settings: {title: Sea}, deliver: {render: 1080p}}\n"
SHARED = RENDERED.replace("1080p", "1080p, share: {}")


def share_unheard(space: Space, environment: str) -> None:
    """As if the answer to the share of ``a`` had been lost."""
    pulled = space.run("-e", environment, "state", "pull").document
    entry, now = pulled["projects"]["a"], datetime.now(UTC).isoformat()
    entry["shared"] = None
    intent = {"op": "1", "kind": "share", "address": "a", "at": now, "project_id": entry["project_id"], "body": {}}
    space.write("pulled.json", json.dumps({**pulled, "pending": {"1": intent}}))
    space.run("-e", environment, "state", "push", "--auto-approve", "--force", "pulled.json")


@pytest.mark.sampled(4)
@pytest.mark.parametrize("heard", [True, False], ids=["another's", "perhaps another's"])
def test_a_link_of_another_environment_is_not_taken_for_ones_own(world, heard):
    """Intent: prod's share did not arrive; the new link with its title is dev's, or may be, as dev's answer was lost, too."""
    space, store = world
    space.write("specs/a.yaml", RENDERED)
    space.run(*APPLY)
    space.write("specs/a.yaml", SHARED)
    space.run("-e", "dev", *APPLY)
    share_unheard(space, "prod")
    if not heard:
        share_unheard(space, "dev")
    ran = space.run(*APPLY, code=0 if heard else 1)
    shared = [effect.project_id for effect in store.ledger() if effect.kind == "share"]
    ids = [managed(space, environment)["a"] for environment in ("dev", "prod")]
    assert shared == (ids if heard else ids[:1]), ran


@pytest.mark.sampled(4)
def test_a_project_that_an_environment_has_forgotten_is_no_others(world):
    """Intent: prod's create did not arrive; what looks like it was dev's until `state rm`, and dev has another one since."""
    space, store = world
    ids = managed(space, "dev")
    space.run(*APPLY, "--target", "b")
    pulled = space.run("state", "pull").document
    intent = {
        "op": "1", "kind": "create", "address": "a", "at": datetime.fromtimestamp(store.ledger()[0].at - 1, UTC).isoformat(),
        "generation": 1, "body": {"brief": "One nice brief.", "idempotency_key": "acme@prod/a/1"},
    }  # fmt: skip
    space.write("pulled.json", json.dumps({**pulled, "pending": {"1": intent}}))
    space.run("state", "push", "--auto-approve", "pulled.json")
    space.run("-e", "dev", "state", "rm", "a", "--auto-approve")
    space.run("-e", "dev", *APPLY)
    store.finish_all()
    store.set_status(ids["a"], "failed")
    space.run(*APPLY)
    assert managed(space, "prod")["a"] != ids["a"]


@pytest.mark.sampled(4)
def test_environments_that_are_behind_by_different_renames_are_told_by_one_file(world):
    """Intent: dev got the first rename, prod did not; the second one buys nothing again, and each former name still selects."""
    space, store = world
    space.run(*APPLY)
    store.finish_all()
    before = {environment: managed(space, environment) for environment in ("dev", "prod")}
    space.write("specs/a.yaml", SPEC.replace("  b:", "  c:") + "moved: [{from: b, to: c}]\n")
    space.run("-e", "dev", *APPLY)
    renamed = SPEC.replace("  b:", "  d:").replace("Slower.", "Much slower.")
    space.write("specs/a.yaml", renamed + "moved: [{from: b, to: c}, {from: c, to: d}]\n")
    acted = len(store.ledger())
    for environment in ("dev", "prod"):
        assert "No changes" in space.run("-e", environment, "plan", "--exclude", "b").out
        space.run("-e", environment, "state", "accept", "d")
        space.run("-e", environment, *APPLY)
        assert managed(space, environment) == {"a": before[environment]["a"], "d": before[environment]["b"]}
    assert len(store.ledger()) == acted


@pytest.mark.sampled(2)
def test_a_project_may_be_renamed_differently_in_each_environment(world):
    """Intent: a move to a project of another environment is that one's, also as the end of a chain."""
    space, _ = world
    space.run(*APPLY)
    before = {environment: managed(space, environment) for environment in ("dev", "prod")}
    specs = SPEC.replace("  b:", "  c:").replace("[Slower.]", "[Slower.], only: [dev]")
    specs += "  d: {brief: Another nice brief., messages: [Slower.], only: [prod]}\n"
    space.write(
        "specs/a.yaml", specs + "moved: [{from: b, to: c}, {from: b, to: d}, {from: z, to: y}, {from: y, to: d}]\n"
    )
    for environment, name in (("dev", "c"), ("prod", "d")):
        space.run("-e", environment, *APPLY)
        assert managed(space, environment) == {"a": before[environment]["a"], name: before[environment]["b"]}
