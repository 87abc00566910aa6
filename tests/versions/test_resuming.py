"""Messages to projects that are over: where the version allows it, and only if the spec says so."""

from __future__ import annotations

import pytest

from tests.cli.cli_support import APPLY, CONFIG, make_space

OLD, MIDDLE, NEW = "2025-03", "2026-04", "2026-05"
NEW_CONFIG = CONFIG.replace("sandbox}", f"sandbox, version: {NEW}}}")


def spec(lifecycle="", messages="[Softer., Louder.]", brief="Ten seconds."):
    kept = f"    lifecycle: {{{lifecycle}}}\n" if lifecycle else ""
    return f"projects:\n  a:\n    brief: {brief}\n    settings: {{title: T}}\n{kept}    messages: {messages}\n"


def over(root, status):
    """A workspace whose project is over."""
    space = make_space(root, spec(messages="[]", brief="Fail. [fail]" if status == "failed" else "Ten."), NEW_CONFIG)
    space.run(*APPLY, "--wait", "idle")
    if status == "cancelled":
        with space.account() as store:
            store.set_status(store.projects()[0]["id"], "cancelled")
    with space.account() as store:
        assert store.projects()[0]["status"] == status
    return space, "Fail. [fail]" if status == "failed" else "Ten."


def steps(space, *args):
    return space.run("plan", "--format", "json", *args).document["steps"]


def ledger(space):
    with space.account() as store:
        return [effect.kind for effect in store.ledger()]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("status", ["failed", "cancelled"])
@pytest.mark.parametrize("lifecycle", ["", "resume_from: []", "on_remove: stop"])
def test_no_message_is_sent_unless_the_spec_says_so(tmp_path, status, lifecycle):
    space, brief = over(tmp_path, status)
    space.write("specs/a.yaml", spec(lifecycle, brief=brief))
    planned = space.run("plan", "--format", "json").document
    assert planned["steps"] == [] and planned["summary"]["attention"] == 1
    (found,) = [d for d in planned["diagnostics"] if d["attention"]]
    assert f"`lifecycle.resume_from: [{status}]`" in found["detail"]
    space.run(*APPLY)
    assert ledger(space) == ["create"]


@pytest.mark.sampled(6)
@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_new_message_sets_it_to_work_again_and_the_next_one_waits_for_idle(tmp_path, status):
    space, brief = over(tmp_path, status)
    space.write("specs/a.yaml", spec(f"resume_from: [{status}]", brief=brief))
    first, second = steps(space)
    assert (first["action"], first["ready"], first["resumes"]) == ("message", True, status)
    assert (second["action"], second["ready"]) == ("message", False) and "resumes" not in second
    assert f"the project is {status}" in first["reason"]
    space.run("plan", "--out", "saved.plan")
    space.run("apply", "saved.plan", "--poll-interval", "0.05")
    assert ledger(space) == ["create", "message", "message"]
    assert steps(space) == []


def test_other_changes_go_along(tmp_path):
    space, brief = over(tmp_path, "failed")
    space.write("specs/a.yaml", spec("resume_from: [failed]", "[Softer.]", brief).replace("title: T", "title: U"))
    assert [step["action"] for step in steps(space)] == ["update", "message"]
    space.run(*APPLY)
    assert ledger(space) == ["create", "settings", "message"]


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("status", "lifecycle", "messages"),
    [
        ("failed", "resume_from: [cancelled]", "[Softer.]"),
        ("cancelled", "resume_from: [failed]", "[Softer.]"),
        ("failed", "resume_from: [failed]", "[]"),
    ],
)
def test_another_status_or_no_message_leaves_the_finding(tmp_path, status, lifecycle, messages):
    space, brief = over(tmp_path, status)
    space.write("specs/a.yaml", spec(lifecycle, messages, brief))
    planned = space.run("plan", "--format", "json").document
    assert planned["steps"] == [] and planned["summary"]["attention"] == 1


def test_recreating_wins(tmp_path):
    # Intent: on_failed keeps its meaning.
    space, brief = over(tmp_path, "failed")
    space.write("specs/a.yaml", spec("resume_from: [failed], on_failed: recreate", brief=brief))
    assert steps(space)[0]["action"] == "replace"


def test_one_that_fails_again_gets_no_further_message_in_this_apply(tmp_path):
    # Intent: each message costs; the user looks before the next one.
    space, brief = over(tmp_path, "failed")
    space.write("specs/a.yaml", spec("resume_from: [failed]", '["Again. [fail]", More., And more.]', brief))
    space.run(*APPLY, code=1)
    assert ledger(space) == ["create", "message"]


def test_a_saved_plan_is_stale_once_the_project_is_not_over_any_more(tmp_path):
    space, brief = over(tmp_path, "failed")
    space.write("specs/a.yaml", spec("resume_from: [failed]", brief=brief))
    space.run("plan", "--out", "saved.plan")
    with space.account() as store:
        store.set_status(store.projects()[0]["id"], "idle")
    assert "stale" in space.run("apply", "saved.plan", code=1).out
    assert ledger(space) == ["create"]


@pytest.mark.parametrize("version", [OLD, MIDDLE])
def test_versions_without_it_refuse_the_key_at_its_line(tmp_path, version):
    space = make_space(tmp_path, spec("resume_from: [failed]"), CONFIG)
    refused = space.run("validate", code=1, EVERSINCE_API_VERSION=version).err
    assert "error[E139]" in refused and "specs/a.yaml:5" in refused
    assert f"resume_from needs api.version {NEW}; this workspace uses {version}" in refused
    space.run("fmt", "--upgrade-api", version)
    space.run("validate", EVERSINCE_API_VERSION=version)
