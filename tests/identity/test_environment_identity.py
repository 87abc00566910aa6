"""A project belongs to its environment: keys, states, journals and plans of one are never another's."""

from __future__ import annotations

import json

import pytest

from reconciler.adapters.state.format import decode_state
from reconciler.model.errors import StateMismatchError
from tests.cli.cli_support import APPLY, Space, make_space

SPEC = "projects:\n  a: {brief: 'In ${workspace} for ${environment}.'}\n  b: {brief: Always the same.}\n"
CONFIG = """\
workspace: acme
api: {url: sandbox}
sandbox: {speed: 200}
environments: {dev: {}, prod: {}}
"""
PLAIN = "workspace: acme\napi: {url: sandbox}\nsandbox: {speed: 200}\n"


def space_of(tmp_path, config=CONFIG, spec=SPEC) -> Space:
    return make_space(tmp_path / "w", spec, config)


def effects(space: Space, environment: str = "") -> list[tuple[str, str | None]]:
    """Kind and key of what was done in an environment's sandbox."""
    from tests.cli.cli_support import Account

    with Account(space.root / ".reconciler" / "sandbox" / environment / "account.db") as store:
        return [(effect.kind, effect.idempotency_key) for effect in store.ledger()]


def test_the_key_names_workspace_environment_address_and_generation(tmp_path):
    space = space_of(tmp_path)
    space.run("-e", "dev", *APPLY)
    space.run("-e", "prod", *APPLY, "--target", "a")
    assert effects(space, "dev") == [("create", "acme@dev/a/1"), ("create", "acme@dev/b/1")]
    assert effects(space, "prod") == [("create", "acme@prod/a/1")]
    sandbox = space.root / ".reconciler" / "sandbox"
    for name in ("dev", "prod"):
        state = json.loads((sandbox / f"reconciler.{name}.state.json").read_text())
        assert (state["environment"], state["workspace"], state["format_version"]) == (name, "acme", 2)


def test_without_environments_nothing_changes(tmp_path):
    """Intent: the same key, and a state that the version before reads."""
    space = space_of(tmp_path, PLAIN, "projects:\n  a: {brief: x}\n")
    space.run(*APPLY)
    assert effects(space) == [("create", "acme/a/1")]
    assert space.state["format_version"] == 1
    assert "environment" not in space.state and "moved_to" not in space.state


def test_an_empty_journal_keeps_the_environment(tmp_path):
    """Intent: a run that dies before its first snapshot leaves a journal, which no other environment takes."""
    space = space_of(tmp_path)
    space.run("-e", "dev", *APPLY)
    place = space.root / ".reconciler" / "sandbox" / "reconciler.dev.state.json"
    state = decode_state(place.read_bytes(), "x")
    place.unlink()
    header = {"journal": 2, "lineage": state.lineage, "serial": 0, "workspace": "acme", "api_url": "sandbox"}
    journal = place.with_name(place.name + ".journal")
    journal.write_text(json.dumps({**header, "environment": "prod"}) + "\n")
    assert "belongs to environment `prod`" in space.run("-e", "dev", "plan", code=1).err
    journal.write_text(json.dumps({**header, "environment": "dev"}) + "\n")
    space.run("-e", "dev", "plan")


@pytest.mark.sampled(3)
@pytest.mark.parametrize("args", [("plan",), APPLY, ("destroy", "--auto-approve"), ("status",), ("state", "list")])
def test_a_state_of_another_environment_is_refused(tmp_path, args):
    """Intent: exit 1 before any call, with the way out; so for a state without an environment, both ways."""
    space = space_of(tmp_path)
    space.run("-e", "dev", "--state", "mine.json", *APPLY)
    before = (effects(space, "dev"), (space.root / "mine.json").read_bytes())
    told = space.run("-e", "prod", "--state", "mine.json", *args, code=1).err
    assert "the state belongs to environment `dev`, not to `prod`" in told and "--environment dev" in told
    space.write("reconciler.yaml", PLAIN)
    space.write("specs/a.yaml", "projects: {b: {brief: Always the same.}}\n")
    told = space.run("--state", "mine.json", *args, code=1).err
    assert "not to a workspace without environments" in told
    space.run("--state", "old.json", *APPLY)
    space.write("reconciler.yaml", CONFIG)
    told = space.run("-e", "prod", "--state", "old.json", *args, code=1).err
    assert "belongs to no environment, and this is environment `prod`" in told
    assert "state mv --to-environment prod" in told
    assert (effects(space, "dev"), (space.root / "mine.json").read_bytes()) == before


def test_a_pushed_state_of_another_environment_is_refused(tmp_path):
    space = space_of(tmp_path)
    space.run("-e", "dev", *APPLY)
    pulled = space.run("-e", "dev", "state", "pull").out
    space.write("pulled.json", pulled)
    told = space.run("-e", "prod", "state", "push", "--force", "--auto-approve", "pulled.json", code=None)
    assert told.code == 1 and "belongs to environment `dev`" in told.err, told


def test_a_saved_plan_is_for_its_environment(tmp_path):
    space = space_of(tmp_path)
    space.run("-e", "dev", "plan", "--out", "dev.plan")
    plan = json.loads((space.root / "dev.plan").read_text())
    assert plan["environment"] == "dev"
    assert plan["steps"][0]["request"]["body"]["idempotency_key"] == "acme@dev/a/1"
    told = space.run("-e", "prod", "apply", "dev.plan", code=1).err
    assert "the plan is for environment `dev`, not for `prod`" in told and "Use `--environment dev`" in told
    assert effects(space, "prod") == []
    space.run("-e", "dev", "apply", "dev.plan", "--poll-interval", "0.05")
    assert [kind for kind, _ in effects(space, "dev")] == ["create", "create"]


def test_a_plan_with_another_environment_written_in_is_refused(tmp_path):
    """Intent: the key and the digest are of the environment; neither can be edited to fit another."""
    space = space_of(tmp_path)
    space.run("-e", "dev", "plan", "--out", "dev.plan")
    text = (space.root / "dev.plan").read_text()
    space.write("x.plan", text.replace('"environment": "dev"', '"environment": "prod"'))
    space.run("-e", "prod", "apply", "x.plan", code=1)
    space.write("x.plan", text.replace('"environment": "dev"', '"environment": "prod"').replace("@dev/", "@prod/"))
    space.run("-e", "prod", "apply", "x.plan", code=1)
    assert effects(space, "prod") == effects(space, "dev") == []


def test_states_in_one_bucket_lie_apart(tmp_path):
    """Intent: one prefix for all; each environment has its own folder with its own lock."""
    space = space_of(tmp_path)
    (tmp_path / "bucket").mkdir()
    env = {"RECONCILER_STATE": f"file://{tmp_path / 'bucket'}"}
    space.run("-e", "dev", "plan", **env)
    assert list((tmp_path / "bucket").iterdir()) == []
    for name in ("dev", "prod"):
        space.run("-e", name, *APPLY, **env)
        assert space.run("-e", name, "plan", "--detailed-exitcode", **env).code == 0
    assert sorted(path.name for path in (tmp_path / "bucket").iterdir()) == ["dev", "prod"]
    for name in ("dev", "prod"):
        assert len(space.run("-e", name, "state", "history", **env).out.splitlines()) >= 2
    missing = {"RECONCILER_STATE": f"file://{tmp_path / 'not-mounted'}"}
    assert "not-mounted" in space.run("-e", "dev", "plan", code=1, **missing).err


def test_the_longest_names_make_a_key_that_fits(tmp_path):
    """Intent: 64 for the workspace, 32 for the environment, 128 for the address, and 256 for all."""
    long = "e" * 32
    config = f"workspace: {'w' * 64}\napi: {{url: sandbox}}\nenvironments: {{{long}: {{}}}}\n"
    keys = [f"{'k' * 30}{i}" for i in range(1)]
    spec = f"projects:\n  {'a' * 63}: {{for_each: [{keys[0]}], brief: x}}\n"
    space = space_of(tmp_path, config, spec)
    space.run("-e", long, *APPLY)


def test_the_version_before_refuses_a_state_with_an_environment():
    """Intent: it knows only format 1, and would manage these projects under the wrong keys."""
    with pytest.raises(StateMismatchError, match="format 3"):
        decode_state(b'{"format_version": 3, "lineage": "l"}', "x")
