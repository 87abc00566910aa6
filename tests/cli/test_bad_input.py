"""Anything wrong in specs, configuration, flags, state or plan file: exit 1, place and remedy, no call, nothing written."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.cli.cli_support import APPLY, CONFIG, ONE, REMOTE, Space, copied, make_space

SPECS = {
    "duplicate_key": ("projects:\n  a1:\n    brief: x\n    brief: y\n", ":4:5", "brief"),
    "unknown_key": ("projects:\n  a2:\n    brief: x\n    setings: {title: x}\n", ":4:5", "did you mean"),
    "wrong_type": ("projects:\n  a3:\n    brief: [1, 2]\n", ":3:", "brief"),
    "bad_mode": ("projects:\n  a4:\n    brief: x\n    settings: {mode: automatic}\n", ":4:22", "autonomous"),
    "bad_ratio": ("projects:\n  a5:\n    brief: x\n    aspect_ratio: 5:4\n", ":4:19", "9:16"),
    "no_brief": ("projects:\n  a7:\n    settings: {title: x}\n", ":2:", "brief"),
    "both": ("projects:\n  a8:\n    brief: x\n    adopt: y\n", ":", "adopt"),
    "address": ("projects:\n  Big One:\n    brief: x\n", ":2:3", "Big One"),
    "same_address": ("projects:\n  teaser:\n    brief: x\n", ":2:3", "teaser"),
    "unclosed": ("projects:\n  a9:\n    brief: 'x ${var.y'\n", ":3:", "${"),
    "unknown_var": ("projects:\n  b1:\n    brief: 'x ${var.nowhere}'\n", ":3:", "nowhere"),
    "env_not_allowed": ("projects:\n  b2:\n    brief: 'x ${env.HOME}'\n", ":3:", "allowed_env"),
    "outside_file": ("projects:\n  b3:\n    brief_file: ../../etc/passwd\n", ":3:17", "outside"),
    "missing_file": ("projects:\n  b4:\n    brief_file: nowhere.md\n", ":3:17", "nowhere.md"),
    "not_yaml": ("projects:\n  b5: {brief: 'x\n", ":", "not_yaml.yaml"),
    "a_list": ("- projects\n", ":1:1", "a_list.yaml"),
    "long_brief": (f"projects:\n  b7:\n    brief: {'x' * 60_000}\n", ":3:", "brief"),
}


def test_every_error_of_every_spec_is_told_at_once_with_its_place(fresh):
    # Intent: one run names all mistakes, each with file:line:column and what would do; nothing is sent or written.
    for name, (text, _, _) in SPECS.items():
        fresh.write(f"specs/{name}.yaml", text)
    before = fresh.files()
    ran = fresh.run("apply", "--auto-approve", "--format", "json", code=1)
    assert fresh.files() == before and not fresh.db.exists()
    found = {}
    for error in ran.errors:
        found.setdefault(error["file"], []).append(error)
    for name, (_, place, says) in SPECS.items():
        errors = found.get(f"specs/{name}.yaml", [])
        told = [f":{e['line']}:{e['column']} {e['summary']}\n{e['detail']} {e['file']}" for e in errors]
        assert any(t.startswith(place) and says.lower() in t.lower() for t in told), (name, told)


CONFIGS = {
    "wrong keys": ("polcy: {max_creates: 1}\nlimits: {active_projects: many}\n", "reconciler.yaml:1:1", ":2:27"),
    "plain http": (REMOTE + "api: {url: 'http://example.com/api/v1'}\n", "https", "clear"),
    "the key allowed": ("workspace: acme\npolicy: {allowed_env: [EVERSINCE_API_KEY]}\n", "reconciler.yaml:2:24", "key"),
    "state elsewhere": ("workspace: acme\napi: {url: sandbox}\nstate: ftp://x/y\n", "state", "local file"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_wrong_configuration_is_told_with_its_place(fresh, name):
    # Intent: nothing runs on a configuration that is not understood.
    text, place, says = CONFIGS[name]
    fresh.write("reconciler.yaml", text)
    before = fresh.files()
    ran = fresh.run("apply", "--auto-approve", code=1, EVERSINCE_API_KEY="sk-1234")
    assert place in ran.err and says in ran.err
    assert fresh.files() == before


def test_without_a_key_nothing_is_sent_to_a_real_address(fresh):
    # Intent: the missing key is named by its variable, with the way to try without one.
    fresh.write("reconciler.yaml", REMOTE + "api: {key_env: EVERSINCE_ACME_KEY}\n")
    ran = fresh.run("plan", code=1)
    assert "EVERSINCE_ACME_KEY" in ran.err and "--api-url sandbox" in ran.err


@pytest.fixture(scope="module")
def planned(tmp_path_factory) -> Space:
    """An applied project and a saved plan for one more. Not to be changed."""
    space = make_space(tmp_path_factory.mktemp("planned") / "w")
    space.run(*APPLY)
    space.write("specs/b.yaml", "projects: {second: {brief: Two.}}")
    space.run("plan", "--out", "saved.plan")
    with space.account() as store:
        store.clear_requests()
    return space


def refused(space: Space, *args: str) -> str:
    """Run a command that has to be refused before any call, with nothing written; what it said."""
    before = space.files()
    ran = space.run(*args, code=1)
    after = space.files()
    for path in (*before, *after):  # the lock's own file carries nothing
        assert before.get(path) == after.get(path) or path.endswith(".lock"), path
    with space.account() as store:
        assert store.requests() == []
        assert [e.kind for e in store.ledger()] == ["create"]
    assert not ran.out
    return ran.err


def damaged(text: str, what: str) -> str:
    document = json.loads(text)
    match what:
        case "cut":
            return text[: len(text) // 2]
        case "empty":
            return ""
        case "other json":
            return '{"version": 4, "resources": []}'
        case "newer":
            number = document["format_version"]
            document["format_version"] = "9.0" if isinstance(number, str) else number + 8
            document["reconciler_version"] = "9.9.9"
        case "edited":
            if "steps" in document:
                document["steps"][0]["request"]["body"]["brief"] = "Something else."
                document["steps"][0]["request"]["body"]["idempotency_key"] = "other"
            else:
                document["projects"]["teaser"]["generation"] = "many"
        case "other workspace":
            document["workspace"] = "rival"  # a state; a plan would no longer go with its own keys
    return json.dumps(document)


def test_a_mode_that_no_project_can_begin_with_is_refused(fresh):
    # Intent: whether `mode: none` makes sense depends on the state, so the plan says it, and nothing is sent.
    fresh.write("specs/a.yaml", ONE.replace("title: Teaser", "mode: none"))
    ran = fresh.run("apply", "--auto-approve", "--format", "json", code=1)
    assert [e["address"] for e in ran.errors] == ["teaser"] and "adopt" in ran.out
    assert not fresh.state_path.exists()


@pytest.mark.sampled(3)
@pytest.mark.parametrize("what", ["cut", "other json", "newer", "edited"])
def test_a_damaged_or_foreign_plan_file_is_refused(planned, tmp_path, what):
    # Intent: a plan that is not exactly what was saved, or is for somewhere else, is never half executed.
    space = copied(planned, tmp_path / "w")
    path = space.root / "saved.plan"
    path.write_text(damaged(path.read_text(), what))
    said = refused(space, "apply", "saved.plan")
    assert "plan" in said
    if what == "newer":
        assert "9.9.9" in said
    else:
        assert "saved.plan" in said


@pytest.mark.sampled(3)
@pytest.mark.parametrize("what", ["cut", "empty", "newer", "edited", "other workspace"])
def test_a_damaged_or_foreign_state_is_refused(planned, tmp_path, what):
    # Intent: a state that can't be trusted is never taken for an empty one, which would create everything again.
    space = copied(planned, tmp_path / "w")
    space.state_path.write_text(damaged(space.state_path.read_text(), what))
    said = refused(space, "apply", "--auto-approve")
    assert "reconciler.state.json" in said or what == "other workspace"
    if what == "newer":
        assert "9.9.9" in said
    if what == "other workspace":
        assert "rival" in said and "--state" in said


def test_a_damaged_journal_is_refused(planned, tmp_path):
    # Intent: records that can't be read may be calls that were made: they are not skipped.
    space = copied(planned, tmp_path / "w")
    journal = space.state_path.with_name("reconciler.state.json.journal")
    journal.write_text("garbage\nmore garbage\n")
    assert "journal" in refused(space, "apply", "--auto-approve")


def test_a_plan_of_a_lost_state_is_refused_as_stale(planned, tmp_path):
    # Intent: a plan is bound to the state that it was made from; with the word "stale".
    space = copied(planned, tmp_path / "w")
    state = json.loads(space.state_path.read_text())
    state["lineage"] = "0" * 32
    space.state_path.write_text(json.dumps(state))
    assert "stale" in refused(space, "apply", "saved.plan")


def test_a_plan_of_another_workspace_is_refused(planned, tmp_path):
    # Intent: a plan file that was carried to the wrong checkout says where it belongs.
    space = make_space(tmp_path / "w", ONE, CONFIG.replace("acme", "rival"))
    shutil.copy(planned.root / "saved.plan", space.root)
    ran = space.run("apply", "saved.plan", code=1)
    assert "`acme`" in ran.err and "`rival`" in ran.err
    assert not space.state_path.exists()


def test_files_that_cannot_be_read_or_written_are_named(fresh, tmp_path):
    # Intent: a missing plan file, an unwritable --out and a --state that is a folder are plain errors.
    assert "nowhere.plan" in fresh.run("apply", "nowhere.plan", code=1).err
    assert "no/such/x.plan" in fresh.run("plan", "--out", "no/such/x.plan", code=1).err
    (fresh.root / "folder").mkdir()
    assert "folder" in fresh.run("--state", "folder", "plan", code=1).err
    assert "nowhere.yaml" in fresh.run("plan", "--var-file", "nowhere.yaml", code=1).err


def test_a_workspace_without_specs_is_told_apart_from_one_that_wants_nothing(tmp_path):
    # Intent: a mistyped specs folder must not look like the wish to remove every project.
    space = make_space(tmp_path / "w")
    space.run(*APPLY)
    shutil.rmtree(space.root / "specs")
    ran = space.run("plan", code=None)
    assert ran.code == 1, ran.out + ran.err
    assert "specs" in ran.err
    space.write("reconciler.yaml", CONFIG + "specs: spec\n")
    space.write("specs/a.yaml", ONE)
    assert "spec" in space.run("apply", "--auto-approve", code=1).err
