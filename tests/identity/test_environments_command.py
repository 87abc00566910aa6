"""``reconciler environments``: what there is, from configuration and states, without a call."""

from __future__ import annotations

import json

from tests.cli.cli_support import APPLY, Account, make_space

SPEC = 'projects:\n  a: {brief: "One."}\n  b: {brief: "[fail] Two.", only: [prod]}\n'
CONFIG = """\
workspace: acme
api: {url: sandbox}
sandbox: {speed: 200}
default_environment: dev
environments:
  dev: {}
  prod: {account: {project: proj_pin}}
  far: {state: "gs://bucket/x", api: {url: 'https://far.example/v1'}}
"""


def test_each_environment_is_a_row(tmp_path):
    """Intent: name, API, pin, state with serial, last apply, managed, attention; one that can't be read is told."""
    space = make_space(tmp_path / "w", SPEC, CONFIG.replace("  prod: {account: {project: proj_pin}}", "  prod: {}"))
    space.run("-e", "prod", *APPLY, "--wait", "idle", code=None)
    space.run("-e", "prod", "apply", "--refresh-only", "--auto-approve", code=None)
    space.write("reconciler.yaml", CONFIG)
    with Account(space.root / ".reconciler/sandbox/prod/account.db") as store:
        before = len(store.requests())
    ran = space.run("environments", "--format", "json", code=1)
    rows = {row["name"]: row for row in ran.document["environments"]}
    assert list(rows) == ["dev", "prod", "far"] and ran.document["workspace"] == "acme"
    dev, prod, far = rows.values()
    assert dev["default"] and (dev["state"]["serial"], dev["managed"], dev["last_apply"]) == (None, 0, None)
    assert dev["state"]["place"] == ".reconciler/sandbox/reconciler.dev.state.json"
    assert (prod["managed"], prod["attention"], prod["account"]) == (2, 1, {"project": "proj_pin"})
    state = json.loads((space.root / ".reconciler/sandbox/reconciler.prod.state.json").read_text())
    assert (prod["state"]["serial"], prod["last_apply"]) == (state["serial"], state["applied_at"])
    assert "RECONCILER_ALLOWED_HOSTS" in far["diagnostics"][0]["detail"]
    text = space.run("env", code=1)
    assert [line.split()[0] for line in text.out.splitlines()] == ["ENVIRONMENT", "dev*", "prod", "far"]
    assert "far.example" in text.err
    with Account(space.root / ".reconciler/sandbox/prod/account.db") as store:
        assert len(store.requests()) == before


def test_a_workspace_without_environments_is_one_row(tmp_path):
    space = make_space(tmp_path / "w", "projects:\n  a: {brief: x}\n")
    space.run(*APPLY)
    (row,) = space.run("env", "--format", "json").document["environments"]
    assert (row["name"], row["default"], row["managed"], row["state"]["serial"]) == (None, False, 1, 1)
    assert row["last_apply"] == space.state["applied_at"]


def test_a_state_of_another_environment_is_told_and_no_other_is_hidden(tmp_path):
    space = make_space(
        tmp_path / "w",
        "projects:\n  a: {brief: x}\n",
        CONFIG.partition("  prod")[0] + "  qa: {state: mine.json}\n  ok: {state: mine.json}\n",
    )
    space.run("-e", "qa", *APPLY)
    ran = space.run("env", "--format", "json", code=1)
    wrong = {row["name"]: row["diagnostics"] for row in ran.document["environments"]}
    assert (wrong["dev"], wrong["qa"]) == ([], []) and "belongs to environment `qa`" in wrong["ok"][0]["summary"]
