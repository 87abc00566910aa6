"""A setting that the API gets takes one place: its field in the contract's table (``extended.py``)."""

from __future__ import annotations

import json

import jsonschema
import pytest
from ruamel.yaml import YAML

from reconciler.sandbox.store import Store
from tests import command
from tests.architecture.extended import SETTINGS, with_field
from tests.cli.cli_support import APPLY, Ran, make_space
from tests.sampling import every

yaml = YAML(typ="safe", pure=True)


def spec(**settings):
    said = "".join(f"      {name}: {value}\n" for name, value in settings.items())
    return f"projects:\n  teaser:\n    brief: Ten seconds.\n    settings:\n      title: Teaser\n{said}"


class Extended:
    """A workspace whose API knows one more field."""

    def __init__(self, root, field, **env):
        self.space = make_space(root, None)
        self.field, self.env = field, env

    def write(self, **settings):
        self.space.write("specs/a.yaml", spec(**settings))

    def run(self, *args, code=0):
        done = command.run(*args, cwd=self.space.root, setting=self.field, **self.env)
        assert "Traceback" not in done.stderr and "This is a bug" not in done.stderr, done.stderr
        assert done.returncode == code, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return Ran(done.returncode, done.stdout, done.stderr)

    def changes(self, *args):
        """What a plan changes, as (action, path, before, after)."""
        steps = self.run("plan", "--format", "json", *args).document["steps"]
        return [(s["action"], c["path"], c["before"], c["after"]) for s in steps for c in s["changes"]]

    def ledger(self, kind):
        """What the sandbox was asked to do: names and choices; texts of an account on disk are digests."""
        with self.space.account() as store:
            return [effect.detail for effect in store.ledger() if effect.kind == kind]

    def known(self, name):
        return self.space.state["projects"]["teaser"]["settings"][name]["value"]


CASES = [
    ("effort_for_tests", "low", "high", "medium", "E112"),
    ("narrate", "true", "false", '"yes"', "E110"),
    ("voice", "Ann", "Bo", "x" * 13, "E113"),
    ("moods", "[odd, calm]", "[calm, 01234567-89ab-cdef-0123-456789abcdef]", "[calm, calm]", "E112"),
    ("order", "down", "up", "' '", "E118"),
    ("subtitles", "burned-in", "none", "soft", "E112"),
]
"""Setting, two values, a wrong one, and its error."""


@pytest.mark.sampled(6)
@pytest.mark.parametrize("case", every(2, CASES[::-1]), ids=lambda case: case[0])
def test_a_new_setting_goes_from_spec_to_state_and_is_changed_by_a_patch(tmp_path, case):
    # Intent: a new setting is one entry in the table; nothing else knows its name.
    name, first, second, wrong, code = case
    world = Extended(tmp_path, name)
    values = [yaml.load(v) for v in (first, second)]
    values = [sorted(v) if isinstance(v, list) else v for v in values]

    world.write(**{name: wrong})
    refused = world.run("validate", code=1)
    assert "specs/a.yaml:6:" in refused.err and code in refused.err and name in refused.err

    world.write(**{name: first})
    world.run("validate")
    assert ("create", f"settings.{name}", None, values[0]) in world.changes()
    world.run(*APPLY)
    (created,) = world.ledger("create")
    assert name in created
    assert world.known(name) == values[0]
    assert world.changes() == []

    world.write(**{name: second})
    assert world.changes() == [("update", f"settings.{name}", values[0], values[1])]
    world.run(*APPLY)
    (patched,) = world.ledger("settings")
    assert patched["sent"].keys() == patched["before"].keys() == {name}
    assert world.known(name) == values[1]
    assert world.changes() == []
    with world.space.account() as store, store.account() as account:
        (row,) = account.all(f"SELECT [{name}] FROM projects")
    assert row[0] == (json.dumps(values[1]) if isinstance(values[1], list) else values[1])

    world.write()
    assert world.changes() == [], "a setting that is no longer declared is left alone"


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", [name for name in SETTINGS if name != "seed"])
def test_the_schema_knows_a_new_setting(tmp_path, name):
    world = Extended(tmp_path, name)
    schema = json.loads(world.run("schema").out)
    assert name in schema["$defs"]["Settings"]["properties"]
    assert schema["$defs"]["Settings"]["properties"][name]["description"].startswith(SETTINGS[name].help)
    assert name in json.dumps(schema["$defs"]["LifecycleShape"])
    settings = {"voice": "Ann", "narrate": True, "order": "up", "moods": ["odd"]}.get(
        name, SETTINGS[name].values[:1] and SETTINGS[name].values[0]
    )
    jsonschema.validate({"projects": {"a": {"brief": "x", "settings": {name: settings}}}}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"projects": {"a": {"brief": "x", "settings": {name: 7}}}}, schema)


@pytest.mark.sweep
def test_a_new_create_only_field_replaces_a_project_when_it_changes(tmp_path):
    # Intent: what is fixed at creation follows from the table, too: it stands beside the brief and forces a replacement.
    world = Extended(tmp_path, "seed")
    text = "projects:\n  teaser:\n    brief: Ten seconds.\n    seed: {}\n"
    world.space.write("specs/a.yaml", text.format("123456789"))
    assert "specs/a.yaml:4:" in world.run("validate", code=1).err
    world.space.write("specs/a.yaml", text.format('"123456789"'))
    assert "E113" in world.run("validate", code=1).err
    world.space.write("specs/a.yaml", text.format("seven"))
    world.run(*APPLY)
    assert world.changes() == []
    world.space.write("specs/a.yaml", text.format("eight"))
    assert ("replace", "seed", "seven", "eight") in world.changes()
    schema = json.loads(world.run("schema").out)
    assert schema["$defs"]["Project"]["properties"]["seed"]["description"].endswith("Fixed at creation.")


@pytest.mark.sweep
def test_a_new_setting_with_a_secret_is_sealed_everywhere(tmp_path):
    # Intent: a table that says "secret" is enough: neither plan, state, account nor output has the value.
    value = "hush-5c1e-hush"[:12]
    world = Extended(tmp_path, "voice", VOICE=value)
    world.space.write("reconciler.yaml", "workspace: acme\napi: {url: sandbox}\npolicy: {allowed_env: [VOICE]}\n")
    world.write(voice="${env.VOICE}")
    out = [world.run("plan"), world.run("plan", "--format", "json"), world.run(*APPLY), world.run("plan")]
    assert not any(value in ran.out + ran.err for ran in out)
    for path in world.space.root.rglob("*"):
        assert not path.is_file() or value.encode() not in path.read_bytes(), path
    assert world.changes() == []


def test_a_setting_that_may_hold_no_secret_takes_none(tmp_path):
    world = Extended(tmp_path, "effort_for_tests", MODE="low")
    world.space.write("reconciler.yaml", "workspace: acme\napi: {url: sandbox}\npolicy: {allowed_env: [MODE]}\n")
    world.write(effort_for_tests="${env.MODE}")
    assert "E134" in world.run("validate", code=1).err


@pytest.mark.sampled(6)
@pytest.mark.parametrize("name", every(2, ["effort_for_tests", "narrate", "voice", "subtitles"]))
def test_a_sandbox_of_before_goes_on_with_a_new_setting_and_back(tmp_path, name):
    # Intent: users who update the tool keep what they tried; those who go back to the old one, too.
    value = {"narrate": "true", "voice": "Ann"}.get(name) or SETTINGS[name].values[1]
    world = Extended(tmp_path, name)
    world.write()
    world.space.run(*APPLY)
    assert world.changes() == []
    world.write(**{name: value})
    assert [change[:2] for change in world.changes()] == [("update", f"settings.{name}")]
    world.run(*APPLY)
    assert world.changes() == []
    world.write()
    assert world.space.run("plan", "--format", "json").document["steps"] == []
    world.space.write("specs/b.yaml", "projects: {later: {brief: Another.}}\n")
    world.space.run(*APPLY)
    world.run("status")
    assert world.changes() == []


@pytest.mark.sweep
def test_a_setting_that_only_a_patch_takes_is_not_sent_with_a_create(tmp_path):
    # Intent: which call takes a field is said in the table; a create without it, and a PATCH after it.
    world = Extended(tmp_path, "quality")
    world.write(quality="final")
    world.run(*APPLY)
    assert "quality" not in world.ledger("create")[0]
    while world.changes():
        world.run(*APPLY)
    assert world.ledger("settings")[-1]["sent"] == {"quality": "final"}
    assert world.known("quality") == "final"


def test_an_api_that_lacks_a_field_refuses_it_in_specs(tmp_path):
    # Intent: the table is all there is: a spec for another version of the API is an error at its line.
    world = Extended(tmp_path, "voice")
    world.write(effort_for_tests="low")
    refused = world.run("validate", code=1)
    assert (
        "specs/a.yaml:6:7" in refused.err and "unknown key 'effort_for_tests'" in refused.err and "voice" in refused.err
    )


@pytest.mark.sweep
def test_saved_plans_formatting_and_what_is_written_for_people_know_a_new_setting(tmp_path):
    # Intent: the other ways through the program go by the table, too: a plan file, fmt, export, a refreshed state.
    world = Extended(tmp_path, "subtitles")
    text = "projects:\n  teaser:\n    settings:\n      subtitles: burned-in\n      title: Teaser\n    brief: Ten seconds.\n"
    world.space.write("specs/a.yaml", text)
    world.run("fmt")
    formatted = (world.space.root / "specs/a.yaml").read_text()
    assert formatted.index("brief:") < formatted.index("title:") < formatted.index("subtitles:")
    world.run("plan", "--out", "saved.plan")
    assert "burned-in" in world.run("show", "saved.plan").out
    refused = world.space.run("show", "saved.plan", code=1)
    assert "subtitles" in refused.err, "an API without the field refuses the plan"
    world.run("apply", "saved.plan", "--poll-interval", "0.05")
    assert world.changes() == []
    store = Store(world.space.db, api=with_field("subtitles"))
    store.person_creates(brief="By hand.", title="Theirs", subtitles="none")
    store.close()
    world.run("export", "--out", "specs/found")
    assert any("subtitles: none" in path.read_text() for path in (world.space.root / "specs/found").rglob("*.yaml"))
    world.run(*APPLY)
    assert world.changes() == []
