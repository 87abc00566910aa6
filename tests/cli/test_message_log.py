"""What was sent can't be rewritten: `validate` and `plan` say so, with three ways out, and nothing is ever sent again."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.cli.cli_support import APPLY, CONFIG, Space, copied, make_space

SPEC = "projects:\n  promo:\n    brief: One film.\n    messages:\n"
ONE = "      - {id: softer, message: Softer.}\n"
TWO = "      - {id: logo, message: End on the logo.}\n"
NEW = "      - {id: voice, message: Add a voice.}\n"
EDITED = ONE.replace("Softer", "Louder")


@pytest.fixture(scope="module")
def sent_once(tmp_path_factory) -> Space:
    """A project that was sent two messages. Not to be changed."""
    space = make_space(tmp_path_factory.mktemp("log") / "w", SPEC + ONE + TWO)
    space.run(*APPLY)
    return space


@pytest.fixture
def space(sent_once, tmp_path) -> Space:
    return copied(sent_once, tmp_path / "w")


def messages(space):
    """What the account was sent, and whether nothing but GET reached it since it was last asked."""
    with space.account() as store:
        quiet = {r.method for r in store.requests()} <= {"GET"}
        store.clear_requests()
        texts = {m["id"]: m["content"] for p in store.projects() for m in store.conversation(p["id"])}
        return [texts[e.detail["message_id"]] for e in store.ledger() if e.kind == "message"], quiet


REWRITES = {
    "edited": (EDITED + TWO, "specs/a.yaml:5:9", "Sent: Softer.\n    Spec: Louder."),
    "preceded": (NEW + ONE + TWO, "specs/a.yaml:5:9", "Sent: Softer. (message `softer`)"),
    "reordered": (TWO + ONE, "specs/a.yaml:2:3", "They were sent in this order: softer, logo."),
    "taken out": (TWO, "specs/a.yaml:2:3", "Sent: Softer."),
}


@pytest.mark.sweep
def test_an_edit_is_refused_everywhere_and_restoring_the_log_is_a_way_out(space):
    # Intent: validate finds it offline, plan and apply refuse; all name the place, what was sent and the ways out.
    text, place, says = REWRITES["edited"]
    before = messages(space)[0]
    space.write("specs/a.yaml", SPEC + text)
    for command in (("validate",), ("plan",), APPLY):
        ran = space.run(*command, code=1)
        said = ran.out + ran.err
        assert "error[E201]" in said and place in said and says in said
        assert "Restore" in said and "append" in said and "`reconciler state accept promo`" in said
    document = space.run("validate", "--format", "json", code=1).document
    assert [(d["code"], d["address"], d["line"]) for d in document["diagnostics"]] == [("E201", "promo", 5)]
    assert space.run("validate", "--format", "github", code=1).out.startswith("::error file=specs/a.yaml,line=5")
    space.write("specs/a.yaml", SPEC + ONE + TWO)
    assert "No changes" in space.run(*APPLY).out
    assert messages(space) == (before, True)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("what", REWRITES)
def test_accepting_the_log_is_a_way_out_and_sends_nothing_but_what_is_appended(space, what):
    # Intent: after `state accept` the spec as it stands is in order; what was sent is not sent again.
    before = messages(space)[0]
    text, place, says = REWRITES[what]
    space.write("specs/a.yaml", SPEC + text)
    refused = space.run("validate", code=1).err
    assert place in refused and says in refused
    assert "`promo`: the log is accepted" in space.run("state", "accept", "promo").out
    assert messages(space) == (before, True)
    space.write("specs/a.yaml", SPEC + text + "      - {id: last, message: Last.}\n")
    space.run(*APPLY)
    assert messages(space)[0] == [*before, "Last."]


def test_accepting_says_what_it_means_and_changes_nothing_where_there_is_nothing_to_accept(space):
    # Intent: a line for each message that is dealt with; a log in order, an unknown address and no address change no byte.
    before = space.files()
    assert "nothing to accept" in space.run("state", "accept", "promo").out
    assert "state list" in space.run("state", "accept", "promo", "nowhere", code=1).err
    space.run("state", "accept", code=1)
    space.write("specs/a.yaml", "projects: {}\n")
    assert "the specs have no `promo`" in space.run("state", "accept", "promo", code=1).err
    space.write("specs/a.yaml", SPEC + ONE + TWO)
    assert {k: v for k, v in space.files().items() if not k.endswith(".lock")} == {
        k: v for k, v in before.items() if not k.endswith(".lock")
    }
    space.write("specs/a.yaml", SPEC + NEW + EDITED + "      - {id: more, message: More.}\n")
    assert space.run("state", "accept", "promo").out.splitlines() == [
        "`promo`: the log is accepted as the spec has it.",
        "  message `softer`: edited; the agent has the old text",
        "  message `voice`: counts as sent; the agent never got it",
        "  message `logo`: was sent and left the log",
        "  message `more`: still to be sent",
    ]
    assert [m["text"] for m in space.state["projects"]["promo"]["messages"]] == ["Add a voice.", "Softer."]


def test_accepting_follows_a_rename_that_was_not_applied_yet(space):
    # Intent: a project that was renamed and whose log was rewritten in one change is no dead end.
    moved = SPEC.replace("promo", "spot") + EDITED + TWO + "moved: [{from: promo, to: spot}]\n"
    space.write("specs/a.yaml", moved)
    assert "state accept spot" in space.run("validate", code=1).err
    space.run("state", "accept", "spot")
    space.run(*APPLY)
    assert set(space.state["projects"]) == {"spot"}
    assert len(messages(space)[0]) == 2


def test_validate_without_a_usable_state(space):
    # Intent: no state: as ever. Another workspace's or a remote one: a note. A damaged one, or a device: an error.
    space.write("specs/a.yaml", SPEC + EDITED)
    space.run("--state", "elsewhere.json", "validate")
    space.write("reconciler.yaml", CONFIG.replace("acme", "rival"))
    ran = space.run("validate")
    assert "was not checked" in ran.err and "`acme`" in ran.err
    document = space.run("--state", "s3://bucket/prefix", "validate", "--format", "json").document
    assert document["valid"] and "`reconciler plan` checks it" in document["diagnostics"][0]["detail"]
    space.write("reconciler.yaml", CONFIG)
    space.state_path.write_text("<<<<<<< HEAD\n")
    assert "reconciler.state.json" in space.run("validate", code=1).err
    os.mkfifo(space.root / "pipe")
    for place in ("/dev/zero", "pipe"):
        assert "not a regular file" in space.run("--state", place, "validate", code=1).err


def test_two_branches_that_append_the_same_id(space):
    # Intent: git merges both lines; the second is an error at its place, and so is one that goes out under a sent id.
    def git(*args):
        subprocess.run(
            ["git", "-c", "user.name=x", "-c", "user.email=x@example.com", *args],
            cwd=space.root,
            check=True,
            capture_output=True,
        )

    def branch(name, start, text):
        git("checkout", "-qb", name, start)
        space.write("specs/a.yaml", text)
        git("commit", "-qam", name)

    tail = "    settings: {title: Promo}\n"
    space.write("specs/a.yaml", SPEC + ONE + TWO + tail)
    space.write(".gitattributes", "*.yaml merge=union\n")
    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-qm", "start")
    branch("ours", "main", SPEC + ONE + TWO + NEW + tail)
    branch("theirs", "main", SPEC + ONE + TWO + NEW.replace("a voice", "two voices") + tail)
    git("checkout", "-q", "main")
    git("merge", "-q", "ours")
    space.run(*APPLY)  # the first branch's message is sent
    git("merge", "-q", "theirs")
    ran = space.run("validate", code=1)
    assert "error[E122]" in ran.err and "specs/a.yaml:8:14" in ran.err
    space.write("specs/a.yaml", SPEC + ONE + TWO + NEW.replace("a voice", "two voices") + tail)
    ran = space.run("validate", code=1)
    assert "error[E201]" in ran.err and "Sent: Add a voice.\n    Spec: Add two voices." in ran.err
    assert messages(space)[0] == ["Softer.", "End on the logo.", "Add a voice."]


def test_a_hook_that_cleans_files_changes_nothing_of_what_was_sent(tmp_path):
    # Intent: a replacement or a refused log for blanks that nobody sees would cost money, or stop the team.
    dirty = 'projects:\n  it:\n    brief: "One  \\nTwo gru\\u0308n"\n    messages: ["Softer \\nplease"]\n'
    clean = 'projects:\n  it:\n    brief: "One\\nTwo grün"\n    messages: ["Softer\\nplease"]\n'
    space = make_space(tmp_path / "w", dirty)
    space.run(*APPLY)
    space.write("specs/a.yaml", clean)
    ran = space.run("plan", "--detailed-exitcode")
    assert ran.code == 0
    assert ran.out.count("but reads the same") == 1
    space.run(*APPLY)
    with space.account() as store:
        assert [e.kind for e in store.ledger()] == ["create", "message"]


@pytest.mark.sampled(6)
@pytest.mark.parametrize("cleaned_first", [True, False])
def test_a_hook_that_cleans_texts_with_secrets_changes_nothing_either(tmp_path, cleaned_first):
    # Intent: of these the state has digests only; what a reader sees has a digest of its own.
    dirty = 'projects:\n  it:\n    brief: "${env.WEBHOOK_TOKEN}  \\nTwo gru\\u0308n"\n    messages: ["${env.WEBHOOK_TOKEN} \\nplease"]\n'
    clean = 'projects:\n  it:\n    brief: "${env.WEBHOOK_TOKEN}\\nTwo grün"\n    messages: ["${env.WEBHOOK_TOKEN}\\nplease"]\n'
    first, then = (clean, dirty) if cleaned_first else (dirty, clean)
    space = make_space(tmp_path / "w", first, CONFIG)
    space.run(*APPLY)
    space.write("specs/a.yaml", then)
    ran = space.run("plan", "--detailed-exitcode")
    assert ran.out.count("but reads the same") == 1
    space.run(*APPLY)
    with space.account() as store:
        assert [e.kind for e in store.ledger()] == ["create", "message"]
    space.write("specs/a.yaml", then.replace("please", "thanks"))
    assert "was edited after it was sent" in space.run("plan", code=1).out
    space.write("specs/a.yaml", then.replace("Two", "Three"))
    space.run("plan", "--detailed-exitcode", code=2)
