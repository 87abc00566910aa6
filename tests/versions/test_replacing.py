"""A replacement cancels nothing for a create that a server of another version would refuse."""

from __future__ import annotations

import asyncio

import pytest

from reconciler.adapters.api.other_version import refusing, telling_names, told_by_list
from reconciler.model import contract
from reconciler.model.desired import CreateOrigin, Desired, DesiredProject
from tests.cli.cli_support import APPLY, CONFIG, make_space
from tests.operations.operations_support import in_world

OLD, MIDDLE, NEW = "2025-03", "2026-04", "2026-05"
SETTINGS = {
    OLD: "agent_model: opus, craft: humor",
    MIDDLE: "agent_model: opus-4.7, craft: music",
    NEW: "agent_model: opus-4.7, skills: [music], reasoning_mode: fast",
}
TOLD = [(OLD, NEW), (MIDDLE, NEW), (NEW, OLD), (NEW, MIDDLE)]
"""Whose list of projects tells the two apart."""
UNTOLD = [(OLD, MIDDLE), (MIDDLE, OLD)]


def config(ours, theirs):
    return CONFIG.replace("url: sandbox", f"url: sandbox, version: {ours}").replace(
        "{speed: 200}", f"{{speed: 200, api_version: {theirs}}}"
    )


def text(version, brief, names="abc", settings=True):
    said = f", settings: {{{SETTINGS[version]}}}" if settings else ""
    return "projects:\n" + "".join(f"  {name}: {{brief: {brief} {name}.{said}}}\n" for name in names)


def made_and_changed(root, ours, theirs, **more):
    """Projects of before, another brief for each, and a server that speaks another version by now."""
    space = make_space(root, text(ours, "The old", **more), config(ours, ours))
    space.run(*APPLY, "--wait", "idle")
    space.write("specs/a.yaml", text(ours, "The new", **more))
    space.write("reconciler.yaml", config(ours, theirs))
    return space


def ledger(space):
    with space.account() as store:
        return [effect.kind for effect in store.ledger()]


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("ours", "theirs"), TOLD)
def test_where_the_list_tells_nothing_is_canceled_and_the_error_names_the_version(tmp_path, ours, theirs):
    space = made_and_changed(tmp_path, ours, theirs)
    before = space.state["projects"]
    done = space.run(*APPLY, "--force", "--format", "json", code=1).document
    errors = [step["error"] for step in done["steps"] if step["error"]]
    assert len(errors) == 1 and "Nothing was canceled" in errors[0]["detail"]
    assert errors[0]["summary"].startswith("the API speaks version ") and theirs in errors[0]["summary"]
    assert ours in errors[0]["summary"].partition("and this workspace")[2]
    assert ledger(space) == ["create"] * 3
    assert {a: e["project_id"] for a, e in before.items()} == {
        a: e["project_id"] for a, e in space.state["projects"].items()
    }
    space.write("specs/a.yaml", text(theirs, "The new"))
    space.write("reconciler.yaml", config(theirs, theirs))
    space.run(*APPLY, "--force")
    assert sorted(ledger(space)) == ["cancel"] * 3 + ["create"] * 6


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("ours", "theirs"), UNTOLD)
def test_where_nothing_tells_one_goes_first_and_the_next_apply_completes_it(tmp_path, ours, theirs):
    """Intent: no GET tells these two versions apart, so that one create has to; no other project is canceled for it."""
    space = made_and_changed(tmp_path, ours, theirs)
    refused = space.run(*APPLY, "--force", code=1)
    assert refused.out.count("the API speaks version") == 1
    assert ledger(space) == ["create"] * 3 + ["cancel"]
    space.write("specs/a.yaml", text(theirs, "The new"))
    space.write("reconciler.yaml", config(theirs, theirs))
    space.run(*APPLY, "--force")
    assert sorted(ledger(space)) == ["cancel"] * 3 + ["create"] * 6


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("ours", "theirs"), [*TOLD, *UNTOLD])
def test_what_every_version_takes_is_replaced_whatever_the_server_speaks(tmp_path, ours, theirs):
    space = made_and_changed(tmp_path, ours, theirs, settings=False, names="a")
    space.run(*APPLY, "--force")
    assert ledger(space) == ["create", "cancel", "create"]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("version", [OLD, MIDDLE, NEW])
def test_a_server_of_the_version_in_force_replaces_them_side_by_side(tmp_path, version):
    space = made_and_changed(tmp_path, version, version)
    space.run(*APPLY, "--force")
    assert sorted(ledger(space)) == ["cancel"] * 3 + ["create"] * 6


def test_a_project_that_is_over_is_replaced_without_asking(tmp_path):
    """Intent: there is nothing to lose, so the create may tell."""
    space = made_and_changed(tmp_path, OLD, NEW, names="a")
    with space.account() as store:
        store.set_status(space.state["projects"]["a"]["project_id"], "failed", error_message="no")
    said = space.run(*APPLY, "--replace", "a", code=1)
    assert "It refused a field" in said.out and ledger(space) == ["create"]


@pytest.mark.parametrize("at_work", [False, True])
@pytest.mark.parametrize("active", [1, 2])
def test_the_first_one_holds_up_no_other_for_ever(tmp_path, at_work, active):
    """Intent: a replacement that waits for the first create holds no slot that it needs."""

    def desired(brief):
        return Desired(
            "ws",
            {
                name: DesiredProject(name, CreateOrigin({"brief": f"{brief} {name}."}), settings={"craft": "humor"})
                for name in "abcd"
            },
        )

    async def go(world):
        await world.apply(desired("Old"))
        if at_work:
            for name in "ab"[:active]:
                world.store.set_status(world.id(name), "running")
        await asyncio.wait_for(world.apply(desired("New"), wait="steps"), 3600)
        kinds = [effect.kind for effect in world.store.ledger()]
        assert (kinds.count("create"), kinds.count("cancel")) == (8, 4)

    in_world(go, tmp_path, active=active)


# ── the signs ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("ours", "body", "versions"),
    [
        (OLD, {"brief": "x"}, set()),
        (OLD, {"brief": "x", "title": "T", "idempotency_key": "k", "references": []}, set()),
        (OLD, {"brief": "x" * 8001}, {MIDDLE, NEW}),
        (OLD, {"brief": "x", "craft": "cinema"}, {NEW}),
        (OLD, {"brief": "x", "craft": "humor"}, {MIDDLE, NEW}),
        (OLD, {"brief": "x", "expected_output": "assets"}, {NEW}),
        (MIDDLE, {"brief": "x", "agent_model": "opus-4.7"}, {OLD}),
        (NEW, {"brief": "x", "skills": []}, {OLD, MIDDLE}),
    ],
)
def test_which_versions_refuse_a_create(ours, body, versions):
    with contract.kept():
        contract.choose(ours)
        assert refusing("create", body) == versions


@pytest.mark.parametrize(
    ("row", "names"),
    [
        (b'{"id": "p", "expected_output": null}', {"expected_output"}),
        (b'{"id":"p","expected_output":"assets"}', {"expected_output"}),
        (b'{"id": "p", "title": "expected_output"}', set()),
        (b'{"id": "p", "brief": "say \\"expected_output\\": now"}', set()),
        (b'{"id": "p"}', set()),
    ],
)
def test_what_a_list_tells(row, names):
    assert telling_names(b'{"projects": [' + row + b"]}") == names


@pytest.mark.parametrize(
    ("ours", "names", "told"),
    [
        (OLD, {"expected_output"}, set()),
        (MIDDLE, {"expected_output"}, set()),
        (NEW, set(), set()),
        (OLD, set(), {NEW}),
        (MIDDLE, set(), {NEW}),
        (NEW, {"expected_output"}, {OLD, MIDDLE}),
    ],
)
def test_the_versions_of_a_list(ours, names, told):
    with contract.kept():
        contract.choose(ours)
        assert told_by_list(frozenset(names)) == told
