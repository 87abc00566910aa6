"""The whole job on every version of the API, with the same campaign; and the default stays what it was."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from reconciler.model import contract
from tests.cli.cli_support import APPLY, campaign_space, make_space

OLD, MIDDLE, NEW = "2025-03", "2026-04", "2026-05"


def steps(space):
    return space.run("plan", "--format", "json", "--detailed-exitcode", code=None).document["steps"]


def effects(space):
    with space.account() as store:
        return Counter(effect.kind for effect in store.ledger())


@pytest.mark.sampled(6)
@pytest.mark.parametrize("version", contract.versions())
def test_the_campaign_is_applied_changed_and_left_alone(tmp_path, version):
    space = campaign_space(tmp_path)
    space.run("fmt", "--upgrade-api", version)
    space.run("validate")
    planned = Counter(step["action"] for step in steps(space))
    space.run(*APPLY, "--wait", "idle")
    assert effects(space)["create"] == planned["create"] > 0
    assert effects(space)["message"] == planned["message"] > 0
    assert steps(space) == []
    done = effects(space)
    space.write(
        "specs/more.yaml",
        "projects:\n  more: {brief: One more., settings: {title: More}, messages: [Softer., Louder.], deliver: {render: 1080p, "
        "share: {title: More}}}\n",
    )
    space.run(*APPLY)
    assert effects(space) - done == Counter(create=1, message=2, render=1, share=1)
    assert steps(space) == []
    for command in (("status",), ("output",), ("report", "--out", "page.html"), ("export", "--out", "found")):
        space.run(*command)


@pytest.mark.sampled(6)
@pytest.mark.parametrize("path", [(OLD, MIDDLE, NEW), (NEW, MIDDLE, OLD), (OLD, NEW)], ids=" ".join)
def test_a_campaign_moves_through_the_versions_without_a_second_create_or_message(tmp_path, path):
    space = campaign_space(tmp_path)
    spent = None
    for version in path:
        space.run("fmt", "--upgrade-api", version)
        assert all(step["action"] == "update" for step in steps(space)) or spent is None
        space.run(*APPLY, "--wait", "idle")
        assert steps(space) == []
        now = {kind: effects(space)[kind] for kind in ("create", "message", "cancel", "adopt")}
        assert spent in (None, now)
        spent = now


def test_the_first_commands_speak_the_default_version(tmp_path):
    # Intent: who follows the README meets the API that the product was ordered for.
    space = make_space(tmp_path, "projects: {a: {brief: x, settings: {craft: humor, expected_output: assets}}}\n")
    (space.root / "reconciler.yaml").unlink()
    space.run("--api-url", "sandbox", *APPLY)
    with space.account() as store:
        (project,) = store.projects()
    assert (project["craft"], project["agent_model"]) == ("humor", "opus")
    assert contract.DEFAULT_VERSION == contract.current().version == OLD


def test_adding_a_version_is_adding_a_file():
    # Intent: nothing else names a version but the file of the first one, which others are made from.
    from reconciler.model.contract_2025_03 import V2025_03
    from tests.command import ROOT

    found = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "reconciler").rglob("*.py")
        if not path.name.startswith("contract_20") and re.search(r"2026[-_]0[45]", path.read_text(encoding="utf-8"))
    ]
    assert [path for path in found if not path.startswith("reconciler/cli/commands/")] == []
    assert contract.named(OLD) is V2025_03
