"""Every command, as its help and the manual describe it."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys

import jsonschema
import pytest
from ruamel.yaml import YAML

from reconciler.sandbox.store import Fault
from tests.cli import plan_schema
from tests.cli.cli_support import APPLY, CONFIG, ONE, REMOTE, ROOT, Space, copied, make_space

COMMANDS = (
    *("init", "validate", "plan", "apply", "destroy", "show", "status", "messages"),
    *("output", "import", "state", "schema", "sandbox"),
)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory) -> Space:
    """One applied project. Not to be changed."""
    space = make_space(tmp_path_factory.mktemp("one") / "w")
    space.run(*APPLY, "--wait", "idle")
    return space


@pytest.fixture
def one(made_once, tmp_path) -> Space:
    """A copy of a workspace with one applied project, at rest."""
    return copied(made_once, tmp_path / "w")


# init, validate, schema


def test_init_gives_a_workspace_that_applies_and_never_overwrites(tmp_path):
    # Intent: from an empty folder to a first project with two commands; a second init changes no byte.
    space = Space(tmp_path)
    space.write(".gitignore", "*.log")
    ran = space.run("init", "--name", "acme-videos")
    assert "reconciler --api-url sandbox apply" in ran.out
    assert space.run("validate").out == "Valid: 1 project.\n"
    lines = (tmp_path / ".gitignore").read_text().splitlines()
    assert lines[0] == "*.log" and "/reconciler.state.json*" in lines
    space.write("specs/first.yaml", ONE)
    space.write("reconciler.yaml", REMOTE.replace("acme", "mine"))
    before = space.files()
    again = space.run("init")
    assert "kept" in again.err
    assert space.files() == before
    planned = space.run("--api-url", "sandbox", "plan", "--format", "json").document
    assert (planned["workspace"], planned["summary"]["create"]) == ("mine", 1)


def test_init_makes_a_name_of_any_folder_and_says_which_names_will_do(tmp_path):
    # Intent: a folder with blanks or accents still gives a valid workspace; a bad --name is refused.
    space = Space(tmp_path / "Été: our videos!")
    space.root.mkdir()
    assert "Letters, digits" in space.run("init", "--name", "no/slash", code=1).err
    assert not list(space.root.iterdir())
    space.run("init")
    space.run("validate")


def test_validate_speaks_text_json_and_github(fresh):
    # Intent: people, programs and pull requests each get the finding with its file and line.
    fresh.write("specs/b.yaml", "projects:\n  bad:\n    brief: x\n    setings: {}\n")
    text = fresh.run("validate", code=1)
    assert "specs/b.yaml:4:5" in text.err and "settings" in text.err and not text.out
    document = fresh.run("validate", "--format", "json", code=1).document
    jsonschema.validate(document, plan_schema.FAILURE)
    assert document["valid"] is False
    assert [(d["file"], d["line"]) for d in document["diagnostics"]] == [("specs/b.yaml", 4)]
    github = fresh.run("validate", "--format", "github", code=1).out
    assert github.startswith("::error file=specs/b.yaml,line=4,col=5")
    (fresh.root / "specs/b.yaml").unlink()
    assert fresh.run("validate", "--format", "json").document["projects"] == 1


@pytest.mark.sweep
def test_the_schemas_are_valid_and_accept_the_repositorys_files(fresh):
    # Intent: an editor with the published schema marks nothing in specs/ and examples/, and marks a typo.
    specs = json.loads(fresh.run("schema").out)
    config = json.loads(fresh.run("schema", "--config").out)
    for schema in (specs, config):
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        jsonschema.Draft202012Validator.check_schema(schema)
    yaml = YAML(typ="safe")
    files = [*ROOT.glob("specs/*.yaml"), *ROOT.glob("examples/*/specs/*.yaml")]
    assert len(files) >= 5
    for file in files:
        jsonschema.validate(yaml.load(file), specs)
    for file in ROOT.glob("examples/*/reconciler.yaml"):
        jsonschema.validate(yaml.load(file), config)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"projects": {"a": {"brief": "x", "setings": {}}}}, specs)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"polcy": {}}, config)


# plan and its selectors


@pytest.mark.sweep
def test_plan_obeys_target_replace_destroy_refresh_only_and_no_refresh(one):
    # Intent: each selector plans what it says, over an account that drifted.
    with one.account() as store:
        project = store.projects()[0]["id"]
        store.person_sets(project, title="Changed by hand")
        store.clear_requests()
    one.write("specs/b.yaml", "projects: {second: {brief: Two.}}")

    def steps(*options):
        document = one.run("plan", "--format", "json", *options).document
        return [(s["address"], s["action"]) for s in document["steps"]]

    assert steps() == [("teaser", "update"), ("second", "create")]
    assert steps("--target", "second") == [("second", "create")]
    assert steps("--replace", "teaser", "--target", "teaser") == [("teaser", "replace")]
    assert steps("--destroy") == [("teaser", "forget")]
    with one.account() as store:
        store.clear_requests()
    assert steps("--no-refresh", "--target", "teaser") == []
    with one.account() as store:
        assert store.requests() == []


def test_variables_come_from_flags_over_files(fresh):
    # Intent: --var beats --var-file; an unknown or malformed one is an error.
    fresh.write("specs/a.yaml", "projects:\n  teaser: {brief: 'For ${var.season} and ${var.year}'}\n")
    fresh.write("vars.yaml", "season: autumn\nyear: '2026'\n")
    planned = fresh.run("plan", "--format", "json", "--var-file", "vars.yaml", "--var", "season=winter").document
    assert planned["steps"][0]["request"]["body"]["brief"] == "For winter and 2026"
    assert "season" in fresh.run("plan", code=1).err
    assert "name=value" in fresh.run("plan", "--var", "season", code=1).err


def test_selectors_that_exclude_each_other_are_refused(fresh):
    # Intent: contradictory wishes are not half obeyed, nor those that a saved plan can't take.
    assert "--destroy" in fresh.run("plan", "--destroy", "--refresh-only", code=1).err
    fresh.run("plan", "--out", "p.plan")
    assert "saved plan" in fresh.run("apply", "p.plan", "--target", "teaser", code=1).err
    unknown = fresh.run("plan", "--target", "nowhere", code=1).out
    assert "nowhere" in unknown and "No changes" not in unknown


# apply


def test_without_a_terminal_and_without_auto_approve_nothing_is_sent(fresh):
    # Intent: a job that forgot the flag is refused before its first call, and told what to write.
    ran = fresh.run("apply", code=1)
    assert "--auto-approve" in ran.err and "nothing was done" in ran.err
    with fresh.account() as store:
        assert store.ledger() == []
        assert {r.method for r in store.requests()} <= {"GET"}
    assert not fresh.state_path.exists()


def test_wait_none_defers_and_the_next_apply_goes_on(fresh):
    # Intent: --wait none does what can be done now, says what is left, exits 2 only if asked; a timeout likewise.
    fresh.write("reconciler.yaml", CONFIG.replace("200", "0.001"))
    fresh.write("specs/a.yaml", ONE + "    messages: [Softer., Louder.]\n")
    ran = fresh.run("apply", "--auto-approve", "--wait", "none", "--detailed-exitcode", "--format", "json", code=2)
    assert [s["outcome"] for s in ran.document["steps"]] == ["done", "deferred", "deferred"]
    assert ran.document["converged"] is False
    ran = fresh.run("apply", "--auto-approve", "--timeout", "0.2s", "--poll-interval", "0.05")
    assert "2 deferred" in ran.out.splitlines()[-1]
    with fresh.account() as store:
        store.finish_all()
    fresh.write("reconciler.yaml", CONFIG)
    fresh.run(*APPLY)
    with fresh.account() as store:
        assert [e.kind for e in store.ledger()] == ["create", "message", "message"]


def test_events_are_one_json_object_a_line(fresh):
    # Intent: --events lets another program follow an apply; the last line tells how it ended.
    fresh.run(*APPLY, "--events", "e.jsonl")
    lines = [json.loads(line) for line in (fresh.root / "e.jsonl").read_text().splitlines()]
    assert len(lines) > 2 and all("at" in line for line in lines)


# destroy


def test_destroy_skips_what_is_protected_and_exits_1(fresh):
    # Intent: `protect` is never overridden, not by --force either; the others go; it is said.
    fresh.write("specs/a.yaml", "projects:\n  a: {brief: One., lifecycle: {on_remove: protect}}\n  b: {brief: Two.}\n")
    fresh.run(*APPLY, "--wait", "idle")
    ran = fresh.run("destroy", "--auto-approve", "--force", code=1)
    assert "protect" in ran.out + ran.err and "`a`" in ran.out + ran.err
    assert set(fresh.state["projects"]) == {"a"}


def test_destroy_of_many_needs_force_and_then_cancels_what_works(fresh):
    # Intent: the share guard refuses with numbers before the first call; --force lifts it; working agents are cancelled.
    fresh.write("reconciler.yaml", CONFIG.replace("200", "0.001"))
    fresh.write("specs/a.yaml", "projects:\n" + "".join(f"  p{i}: {{brief: B{i}.}}\n" for i in range(4)))
    fresh.run(*APPLY)
    with fresh.account() as store:
        store.clear_requests()
        ids = {p["id"] for p in store.projects()}
        for i in range(6):
            store.person_creates(brief=f"Extra {i}")
        extra = [p["id"] for p in store.projects() if p["id"] not in ids]
    more = "".join(f"  x{i}: {{import: {project}}}\n" for i, project in enumerate(extra))
    fresh.write("specs/a.yaml", (fresh.root / "specs/a.yaml").read_text() + more)
    fresh.run(*APPLY)
    refused = fresh.run("destroy", "--auto-approve", code=1)
    assert "4 of 10" in refused.err and "--force" in refused.err
    fresh.run("destroy", "--auto-approve", "--force")
    with fresh.account() as store:
        assert {p["status"] for p in store.projects() if p["id"] in ids} == {"cancelled"}
        assert {p["status"] for p in store.projects() if p["id"] not in ids} == {"idle"}
    assert fresh.state["projects"] == {}


def test_every_limit_refuses_with_numbers_before_the_first_call_and_force_lifts_none_of_them(fresh):
    # Intent: counts and credits are for the money; a plan saved before the limits is held to them, too.
    fresh.write("specs/a.yaml", ONE + "    messages: [Softer.]\n")
    fresh.run("plan", "--out", "saved.plan")
    limits = "policy: {max_creates: 0, max_messages: 0, min_credits: 1000000000, "
    fresh.write("reconciler.yaml", CONFIG.replace("policy: {", limits))
    for args in (("apply", "--auto-approve", "--force"), ("apply", "saved.plan", "--force"), ("plan", "--force")):
        said = fresh.run(*args, code=1).err
        for says in (
            "1 create, but `policy.max_creates` allows 0",
            "1 message, but `policy.max_messages` allows 0",
            "`policy.min_credits` requires 1000000000",
            "`teaser`",
            "raise `max_creates`",
        ):
            assert says in said
        assert "--force" not in said
    with fresh.account() as store:
        assert store.ledger() == []
        assert {r.method for r in store.requests()} == {"GET"}


# show, status, messages, output


def test_show_needs_no_workspace(fresh, tmp_path):
    # Intent: a reviewer with just the file reads the same plan, in every format.
    planned = fresh.run("plan", "--out", str(tmp_path / "saved.plan")).out
    (tmp_path / "elsewhere").mkdir()
    elsewhere = Space(tmp_path / "elsewhere")
    shown = elsewhere.run("show", "../saved.plan").out
    assert shown.splitlines()[1:] == planned.splitlines()[1:]
    assert shown.startswith("Workspace acme, API sandbox, state serial 0\n"), (
        "a plan file doesn't name the state's place"
    )
    assert "teaser" in elsewhere.run("show", "../saved.plan", "--format", "markdown").out
    assert elsewhere.run("show", "../saved.plan", "--format", "html").out.lstrip().startswith("<!")
    assert not list(elsewhere.root.iterdir())


@pytest.mark.sweep
def test_status_output_and_state_name_what_is_managed(one):
    # Intent: the read-only commands agree with the account, in text and JSON; a wrong address gets a suggestion.
    with one.account() as store:
        project = store.projects()[0]["id"]
    before = one.files()
    assert project in one.run("status").out
    status = one.run("status", "teaser", "--watch", "--format", "json").document
    assert status["teaser"]["live"]["status"] == "idle"
    url = one.run("output", "teaser", "--format", "json").document["teaser"]["assembled_url"]
    assert len(url) > 80 and url in one.run("output").out, "what can't be copied in one piece is no output"
    assert one.run("state", "list", "--format", "json").document == {"teaser": project}
    assert one.run("state", "show", "teaser").document["project_id"] == project
    assert "Did you mean `teaser`?" in one.run("status", "teazer", code=1).err
    assert one.files() == before


def test_messages_follow_ends_with_the_agents_work(one):
    # Intent: --follow prints each message once, those that come later too, and ends by itself.
    with one.account() as store:
        project = store.projects()[0]["id"]
        store.person_writes(project, "Make it blue.")
    out = one.run("messages", "teaser", "--follow").out
    assert out.count("Make it blue.") == 1
    assert out.count("Change 1 is in.") == 1
    document = one.run("messages", "teaser", "--format", "json").document
    assert [m["content"] for m in document["messages"] if m["role"] == "user"][-1] == "Make it blue."


# import, state


def test_import_binds_and_refuses_what_is_bound(one):
    # Intent: import changes the state alone, and neither an address nor a project is taken twice.
    with one.account() as store:
        mine = store.person_creates(brief="Made by hand.", title="By hand")
        managed = store.projects()[0]["id"]
        store.clear_requests()
    assert mine in one.run("import", "byhand", mine).out
    assert "already managed as `teaser`" in one.run("import", "other", managed, code=1).err
    assert "already" in one.run("import", "teaser", mine, code=1).err
    assert "proj_nowhere" in one.run("import", "other", "proj_nowhere", code=1).err
    with one.account() as store:
        assert {r.method for r in store.requests()} == {"GET"}
    assert {a: e["project_id"] for a, e in one.state["projects"].items()} == {"teaser": managed, "byhand": mine}


def test_state_mv_and_rm_change_the_state_alone(one):
    # Intent: renaming follows the project, forgetting leaves it; taken and unknown names are refused; no call is made.
    with one.account() as store:
        store.clear_requests()
    one.run("state", "mv", "teaser", "spot")
    assert "state list" in one.run("state", "mv", "teaser", "x", code=1).err
    assert "Did you mean `spot`?" in one.run("state", "mv", "spott", "x", code=1).err
    assert "state list" in one.run("state", "rm", "spot", "nowhere", code=1).err
    assert set(one.state["projects"]) == {"spot"}
    serial = one.state["serial"]
    one.run("state", "rm", "spot")
    assert one.state["projects"] == {} and one.state["serial"] == serial + 1
    assert stat.S_IMODE(one.state_path.stat().st_mode) == 0o600
    with one.account() as store:
        assert store.requests() == []
        assert len(store.projects()) == 1


def test_state_unlock_clears_what_a_dead_holder_left(one):
    # Intent: after a kill the holder's note may lie around; unlock removes it, and says when there is nothing.
    holder = one.state_path.with_name("reconciler.state.json.holder")
    holder.write_text('{"pid": 1, "host": "gone", "since": "…", "command": "reconciler apply"}')
    assert one.run("state", "unlock").out == "Unlocked.\n"
    assert not holder.exists()
    assert one.run("state", "unlock").out == "It was not locked.\n"


def test_state_recover_finds_everything_after_the_state_is_lost(applied):
    # Intent: a lost state is rebuilt from the account with GETs alone; afterwards there is nothing to create.
    before = {a: e["project_id"] for a, e in applied.state["projects"].items()}
    applied.state_path.unlink()
    with applied.account() as store:
        store.clear_requests()
        ledger = store.ledger()
    refused = applied.run("state", "recover", code=1)
    assert "--auto-approve" in refused.err and not applied.state_path.exists()
    ran = applied.run("state", "recover", "--auto-approve")
    assert "bound" in ran.out
    assert {a: e["project_id"] for a, e in applied.state["projects"].items()} == before
    planned = applied.run("plan", "--format", "json").document
    assert planned["summary"]["create"] == planned["summary"]["adopt"] == 0
    with applied.account() as store:
        assert {r.method for r in store.requests()} == {"GET"}
        assert store.ledger() == ledger


def test_state_resolve_decides_a_message_that_nothing_could_tell(one):
    # Intent: a message of unknown fate is settled by the user's word, never by silence; then nothing is sent again.
    assert "no call of `teaser` has an unknown outcome" in one.run("state", "resolve", "teaser", "--sent", code=1).err
    one.write("specs/a.yaml", ONE + "    messages: [Softer.]\n")
    with one.account() as store:
        store.add_fault(Fault(kind="reset", method="POST", path="/messages", when="after"))
        store.add_fault(Fault(kind="status", method="GET", path="/messages", status=403, skip=1, times=0))
    ran = one.run(*APPLY, "--settle", "0.1", "--timeout", "1s", code=None)
    assert ran.code == 1, ran.out + ran.err
    with one.account() as store:
        store.clear_faults()
    before = one.files()
    assert "--not-sent" in one.run("state", "resolve", "teaser", code=1).err
    assert "it is not known yet" in one.run("state", "accept", "teaser", code=1).err
    assert one.files() == before
    assert "counts as done" in one.run("state", "resolve", "teaser", "--sent").out
    assert "No changes" in one.run(*APPLY).out
    with one.account() as store:
        assert [e.kind for e in store.ledger()] == ["create", "message"]


# sandbox


def test_sandbox_reset_starts_afresh(one):
    # Intent: the account and its state go together, the workspace stays.
    assert "empty again" in one.run("sandbox", "reset").out
    assert not one.db.exists() and not one.state_path.exists()
    assert one.run("plan", "--format", "json").document["summary"]["create"] == 1


def test_sandbox_serve_is_for_loopback_and_says_when_the_port_is_taken(fresh):
    # Intent: an emulated account without locks is never served to the network; a busy port is a plain error.
    assert "loopback" in fresh.run("sandbox", "serve", "--host", "0.0.0.0", "--port", "0", code=1).err
    with fresh.start("sandbox", "serve", "--port", "0") as server:
        try:
            port = re.search(r":(\d+)/", server.stdout.readline())[1]
            assert "--port" in fresh.run("sandbox", "serve", "--port", port, code=1).err
        finally:
            server.terminate()
            server.communicate(timeout=20)


@pytest.mark.sweep
def test_every_command_has_help_with_examples_and_no_command_is_hidden(fresh):
    # Intent: `--help` of each command works and shows how to use it.
    script = (
        "import sys; from reconciler.cli.console import Console; from reconciler.cli.main import COMMANDS, cli\n"
        "for name in sys.argv[1:]:\n"
        "    cli.main([name, '--help'], prog_name='reconciler', standalone_mode=False, obj=Console)\n"
        "    print('\\f')\n"
    )
    listed = re.findall(r"^  (\S+)  ", fresh.run("--help").out.partition("Commands:")[2], re.MULTILINE)
    assert {*COMMANDS} <= {*listed}
    done = subprocess.run([sys.executable, "-c", script, *COMMANDS], capture_output=True, encoding="utf-8", check=True)
    for name, page in zip(COMMANDS, done.stdout.split("\f"), strict=False):
        assert page.lstrip().startswith(f"Usage: reconciler {name}")
        assert "Example" in page, name


def test_a_rename_is_suggested_and_what_is_suggested_can_be_pasted(one):
    # Intent: a changed address is not paid for again: the plan's own words, added to the spec, make it a move.
    one.write("specs/a.yaml", ONE.replace("  teaser:", "  spot:"))
    ran = one.run("plan")
    assert "`teaser` looks renamed to `spot`, which would be created again" in ran.out
    block = "".join(
        f"{line[4:]}\n" for line in ran.out.splitlines() if line.startswith(("    moved:", "      - {from"))
    )
    one.write("specs/a.yaml", ONE.replace("  teaser:", "  spot:") + block)
    planned = one.run("plan", "--format", "json").document
    assert [(s["action"], s["address"]) for s in planned["steps"]] == [("move", "spot")]
    assert planned["diagnostics"] == []
