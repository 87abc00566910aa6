"""A pull request's claim: one applies until its merge, the others wait and are told so."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal

import jsonschema
import pytest
from markdown_it import MarkdownIt

from reconciler.adapters.state.lock import hold_lock
from tests.cli.cli_support import APPLY, CONFIG, ONE, Space, copied, make_space, on_terminal
from tests.cli.plan_schema import APPLY as APPLY_SCHEMA
from tests.cli.plan_schema import PLAN as PLAN_SCHEMA

A, B = "acme/shop#12", "acme/shop#13"
URL = "https://github.com/acme/shop/pull/12"
MORE = ONE + "  other: {brief: Five seconds.}\n"
BY_A = ("--pull-request", A, "--pull-request-url", URL)
BY_B = ("--pull-request", B)
DIVIDED = CONFIG + "environments: {prod: {}, staging: {}}\n"


def calls(space: Space) -> int:
    """The calls that the account got; none if nothing ever reached it."""
    if not space.db.exists():
        return 0
    with space.account() as account:
        return len(account.requests())


def claim(space: Space, *args: str) -> dict | None:
    return space.run("claim", "--format", "json", *args).document["claim"]


@pytest.fixture(scope="module")
def held_space(tmp_path_factory):
    """A workspace that A has applied, with a change that waits for somebody to apply it."""
    space = make_space(tmp_path_factory.mktemp("claim") / "w")
    space.run(*APPLY, *BY_A, GITHUB_ACTOR="alice")
    space.write("specs/a.yaml", MORE)
    return space


@pytest.fixture
def held(held_space, tmp_path):
    return copied(held_space, tmp_path / "w")


@pytest.fixture
def free(tmp_path):
    return make_space(tmp_path / "free")


# ── taking ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_first_apply_claims_and_says_how_to_release(free):
    # Intent: who has it, since when, and for how long is said where people look.
    ran = free.run(*APPLY, "--format", "json", *BY_A, GITHUB_ACTOR="alice")
    jsonschema.validate(ran.document, APPLY_SCHEMA)
    found = claim(free)
    assert found["since"].endswith("Z")
    assert {**found, "since": ""} == {"pull_request": A, "url": URL, "actor": "alice", "since": "", "mine": False}
    assert ran.document["claim"] == {**found, "mine": True}
    assert f"unlock --pull-request '{A}'" in ran.err
    assert claim(free, "--pull-request", A)["mine"]
    shown = free.run("claim").out
    assert all(words in shown for words in (A, "alice", URL, found["since"]))


def test_an_apply_that_changes_nothing_claims_nothing(free):
    # Intent: only an apply that changes something makes others wait.
    free.run(*APPLY)
    free.run(*APPLY, *BY_A)
    assert claim(free) is None


def test_who_says_no_claims_nothing(free):
    # Intent: the claim comes after the approval.
    shown, code = on_terminal(free, "apply", "--poll-interval", "0.05", *BY_A, answer=b"n\n")
    assert code == 1, shown
    assert claim(free) is None
    free.run("apply", *BY_A, code=1)  # nobody to ask
    assert claim(free) is None


@pytest.mark.sampled(6)
@pytest.mark.parametrize("how", ["specs", "saved plan", "destroy"])
def test_its_owner_applies_again(held, how):
    # Intent: a claim is from the first apply to the merge, whatever the applies between.
    before = claim(held)
    match how:
        case "specs":
            held.run(*APPLY, *BY_A)
        case "saved plan":
            held.run("plan", *BY_A, "--out", "saved.plan")
            held.run(*APPLY, "saved.plan", RECONCILER_PULL_REQUEST=A)
        case "destroy":
            held.run("destroy", "--auto-approve", *BY_A)
    assert claim(held) == before


# ── refusing ────────────────────────────────────────────────────────────────────────────────────────────────────────────


REFUSED = {
    "another": (*APPLY, *BY_B),
    "nobody's": APPLY,
    "destroy": ("destroy", "--auto-approve"),
    "refresh only": (*APPLY, "--refresh-only"),
    "other letters": (*APPLY, "--pull-request", A.upper()),
    "part of its name": (*APPLY, "--pull-request", A[:-1]),
    "named by hand": (*APPLY, "--force", "--target", "other"),
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", REFUSED)
def test_everybody_else_s_apply_is_refused_before_any_call(held, name):
    # Intent: exit 1, nothing called, nothing changed; the message says who, since when, where, and what to do.
    before, files_before = calls(held), held.files()
    ran = held.run(*REFUSED[name], code=1)
    since = claim(held)["since"]
    for words in (f"`{A}` has claimed this workspace", "alice", since, URL, f"unlock --pull-request '{A}'"):
        assert words in ran.err
    assert calls(held) == before
    kept = {name: found for name, found in held.files().items() if not name.endswith((".lock", ".holder"))}
    assert kept == {name: found for name, found in files_before.items() if not name.endswith((".lock", ".holder"))}


def test_a_refusal_is_a_document_for_tools(held):
    # Intent: `kind` is stable, so that a workflow can tell it from other failures.
    (error,) = held.run(*APPLY, "--format", "json", code=1).errors
    assert error["kind"] == "claimed"


def test_a_plan_saved_before_the_claim_is_refused_too(free):
    # Intent: `apply saved.plan` is an apply like any other.
    free.run("plan", *BY_B, "--out", "b.plan")
    free.run(*APPLY, *BY_A)
    before = calls(free)
    assert A in free.run(*APPLY, "b.plan", *BY_B, code=1).err
    assert A in free.run(*APPLY, "b.plan", code=1).err
    assert calls(free) == before


def test_a_plan_that_was_behind_is_stale_for_good(held):
    # Intent: it does not know what the other's merge changed, and would revert it.
    held.run("plan", *BY_B, "--out", "b.plan")
    held.run("unlock", "--pull-request", A)
    before = calls(held)
    ran = held.run(*APPLY, "b.plan", *BY_B, code=1)
    assert "stale" in ran.err
    assert A in ran.err
    edited = json.loads((held.root / "b.plan").read_text())
    del edited["claim"]
    held.write("edited.plan", json.dumps(edited))
    assert "changed after it was written" in held.run(*APPLY, "edited.plan", *BY_B, code=1).err
    assert calls(held) == before
    held.run("plan", *BY_B, "--out", "b.plan")
    held.run(*APPLY, "b.plan", *BY_B)


@pytest.mark.parametrize(
    "change", [{"pull_request": "a\nerror: b"}, {"actor": "x" * 201}, {"since": ""}, {"mine": "no"}, {"more": 1}]
)
def test_a_plan_file_has_no_claim_that_this_program_would_not_write(held, change):
    # Intent: who edits a plan file and its digest can't have it say what they like.
    held.run("plan", *BY_B, "--out", "b.plan")
    document = json.loads((held.root / "b.plan").read_text())
    document["claim"] |= change
    del document["digest"]
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    held.write("b.plan", json.dumps({**document, "digest": hashlib.sha256(text.encode()).hexdigest()}))
    ran = held.run("show", "b.plan", code=1)
    assert "claim" in ran.err
    assert "b.plan" in ran.err or "the plan file is not valid" in ran.err
    assert not ran.out


def test_environments_are_claimed_apart(tmp_path):
    # Intent: staging may be one pull request's and prod another's.
    space = make_space(tmp_path / "w", config=DIVIDED)
    space.run("-e", "staging", *APPLY, *BY_A)
    space.run("-e", "prod", *APPLY, *BY_B)
    ran = space.run("-e", "prod", *APPLY, *BY_A, code=1)
    assert f"`{B}` has claimed environment `prod`" in ran.err
    assert f"reconciler -e prod unlock --pull-request '{B}'" in ran.err
    assert f"`{A}` has claimed environment `staging`" in space.run("-e", "staging", *APPLY, code=1).err
    assert {path.name for path in space.root.rglob("*.claim.json")} == {
        "reconciler.prod.claim.json",
        "reconciler.staging.claim.json",
    }
    space.run("-e", "prod", "unlock", "--pull-request", B)
    assert claim(space, "-e", "prod") is None
    assert claim(space, "-e", "staging")["pull_request"] == A


def test_watch_stands_by(held):
    # Intent: a watch of the main branch does not revert what a pull request applied; it goes on once that is merged.
    with held.start("watch", "--interval", "1s") as watch:
        try:
            lines = iter(watch.stderr.readline, "")
            line = next(line for line in lines if A in line)
            assert " note: " in line
            before = calls(held)
            held.run("unlock", "--pull-request", A, "--lock-timeout", "1m")
            assert any("created" in line for line in lines)
            assert calls(held) > before
        finally:
            watch.send_signal(signal.SIGINT)
            watch.stdout.read()
            watch.stderr.read()


# ── plans ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.sampled(3)
@pytest.mark.parametrize("format_", ["text", "json", "markdown", "html"])
def test_another_s_plan_says_on_top_that_it_is_behind(held, format_):
    # Intent: the reviewer of the second pull request learns of the first before reading on. The exit code is as ever.
    for args, code in ((BY_B, 2), ((), 2)):
        made = held.run("plan", "--detailed-exitcode", "--format", format_, *args, code=code)
        shown = held.run("plan", "--out", "b.plan", *args) and held.run("show", "b.plan", "--format", format_)
        for out in (made.out, shown.out):
            if format_ == "json":
                document = json.loads(out)
                jsonschema.validate(document, PLAN_SCHEMA)
                assert document["claim"] == claim(held)
                assert all(d["kind"] != "claimed" for d in document["diagnostics"])
            else:
                words = ("is behind", A, "alice", URL, claim(held)["since"])
                assert all(word in out for word in words)
                assert out.index("is behind") < out.index("will be created" if format_ != "markdown" else "1 to create")


@pytest.mark.sampled(3)
@pytest.mark.parametrize("format_", ["text", "markdown", "html"])
def test_its_own_plan_has_a_plain_line(held, format_):
    # Intent: nothing is wrong.
    out = held.run("plan", "--format", format_, *BY_A).out
    assert "Claimed by this pull request" in out
    assert "behind" not in out
    assert held.run("plan", "--format", "json", *BY_A).document["claim"]["mine"] is True


def test_without_a_claim_plans_are_as_they_were(free):
    # Intent: who uses no claims sees nothing of them.
    assert "claim" not in free.run("plan", "--format", "json").document
    assert "laimed" not in free.run("plan", *BY_A).out


# ── releasing ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_unlock_releases_its_own_claim_only(held):
    # Intent: the job of a closed pull request can't release another's, and may run twice.
    ran = held.run("unlock", "--pull-request", B, code=1)
    assert f"the claim is of `{A}`" in ran.err
    assert f"unlock --pull-request '{A}'" in ran.err
    assert claim(held)
    assert A in held.run("unlock", "--pull-request", A, CI="true").out
    assert "no claim" in held.run("unlock", "--pull-request", A).out
    assert "no claim" in held.run("unlock", CI="true").out
    held.run(*APPLY, *BY_B)
    assert claim(held)["pull_request"] == B


@pytest.mark.parametrize(
    ("args", "env", "released"),
    [
        ((), {}, False),
        (("--yes",), {}, True),
        (("--yes",), {"CI": "true"}, False),
        (("--yes",), {"GITHUB_ACTIONS": "true"}, False),
        (("--force",), {}, True),
        (("--force",), {"CI": "true"}, True),
        (("--pull-request", B, "--force"), {"CI": "true"}, True),
        ((), {"RECONCILER_PULL_REQUEST": A, "CI": "1"}, True),
    ],
)
def test_unlock_without_a_name_asks_or_is_forced(held, args, env, released):
    # Intent: a job that forgot to say for whom it works releases nothing.
    ran = held.run("unlock", *args, code=0 if released else 1, **env)
    assert (claim(held) is None) is released
    if not released:
        assert "stays" in ran.err


@pytest.mark.parametrize(("answer", "code"), [(b"y\n", 0), (b"n\n", 1)])
def test_unlock_shows_whose_it_is_and_asks(held, answer, code):
    # Intent: who releases another's claim knows whose it is.
    shown, ended = on_terminal(held, "unlock", answer=answer)
    assert ended == code, shown
    assert all(words in shown for words in (A, "alice", URL))
    assert (claim(held) is None) is (code == 0)


def test_unlock_waits_for_a_run_that_is_under_way(held):
    # Intent: a claim does not go while an apply is at work.
    with hold_lock(held.state_path, command="reconciler apply", timeout=0):
        ran = held.run("unlock", "--pull-request", A, code=1)
        assert "is locked" in ran.err
        assert "is locked" in held.run("unlock", "--force", code=1).err
        assert claim(held)
        waiting = held.start("unlock", "--pull-request", A, "--lock-timeout", "60s")
    with waiting:
        assert "Released" in waiting.communicate()[0]
    assert claim(held) is None


# ── what can go wrong ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--pull-request", ""),
        ("--pull-request", "   "),
        ("--pull-request", "a\nb"),
        ("--pull-request", "a\x1b[2Jb"),
        ("--pull-request", "a\u202eb"),
        ("--pull-request", "x" * 201),
        ("--pull-request-url", "javascript:alert(1)"),
        ("--pull-request-url", "https://x.example/\x1b[2J"),
        ("--pull-request-url", "https://x.example/" + "x" * 1000),
    ],
)
def test_what_names_no_pull_request_is_refused(free, option, value):
    # Intent: the name is shown to others, so it is one line that can be shown.
    given = (option, value) if option == "--pull-request" else (*BY_B, option, value)
    ran = free.run(*APPLY, *given, code=1)
    assert "\x1b" not in ran.err
    assert calls(free) == 0
    assert claim(free) is None


def test_a_page_needs_a_pull_request(free):
    ran = free.run(*APPLY, "--pull-request-url", URL, code=1)
    assert "needs `--pull-request`" in ran.err
    free.run(*APPLY, RECONCILER_PULL_REQUEST="", RECONCILER_PULL_REQUEST_URL="")
    assert claim(free) is None


GOOD = {"pull_request": A, "url": None, "actor": None, "since": "2026-11-28T05:00:00Z"}
FOREIGN = {
    "empty": "",
    "torn": json.dumps(GOOD)[:40],
    "no JSON": "\x00\x01\x02",
    "a list": "[]",
    "nested deeply": "[" * 100_000,
    "half of it": json.dumps({"pull_request": A}),
    "a number": json.dumps({**GOOD, "pull_request": 12}),
    "no name": json.dumps({**GOOD, "pull_request": ""}),
    "a long name": json.dumps({**GOOD, "pull_request": "x" * 201}),
    "two lines": json.dumps({**GOOD, "pull_request": "a\n::error::b"}),
    "escapes": json.dumps({**GOOD, "actor": "\x1b]0;owned\x07\x1b[2J"}),
    "other way round": json.dumps({**GOOD, "url": "https://x.example/\u202egnp.exe"}),
    "half a character": json.dumps({**GOOD, "since": "\ud800"}),
    "huge": json.dumps({**GOOD, "actor": "x" * 200_000_000}),
}


@pytest.mark.sampled(5)
@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("place", ["file", "object"])
def test_what_is_no_claim_is_named_with_the_way_out(held, tmp_path, name, place):
    # Intent: a torn or foreign file stops applies, is never trusted or printed, and `unlock --force` removes it.
    if place == "object":
        path = tmp_path / "shared" / "claim.json"
        path.parent.mkdir()
        held.env["RECONCILER_STATE"] = path.parent.as_uri()
    else:
        path = held.state_path.with_name("reconciler.claim.json")
    path.write_text(FOREIGN[name])
    before = calls(held)
    for command in ((*APPLY, *BY_A), ("plan",), ("claim",), ("unlock", "--pull-request", A)):
        ran = held.run(*command, code=1)
        assert "claim.json" in ran.err
        assert "unlock --force" in ran.err
        assert not {"\x1b", "\x07", "\u202e"} & set(ran.out + ran.err)
        assert "\n::" not in ran.err
        assert len(ran.err) < 2000
    assert calls(held) == before
    assert "could not be read" in held.run("unlock", "--force").out
    assert claim(held) is None
    held.run(*APPLY, *BY_B)


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    "text",
    ["::error::hostile", "##vso[task.hostile]x", "<b>@hostile</b> [hostile](//hostile)", "`` `hostile", "```hostile"],
)
def test_hostile_words_are_inert_where_they_are_shown(held, text):
    # Intent: who can write the claim commands neither the CI service nor the comment's readers.
    path = held.state_path.with_name("reconciler.claim.json")
    path.write_text(json.dumps({**GOOD, "pull_request": text, "actor": text, "url": f"https://x.example/{text}"}))
    for command, code in ((APPLY, 1), (("plan",), 0), (("claim",), 0)):
        ran = held.run(*command, code=code, GITHUB_ACTIONS="true")
        assert not re.search(r"^(::error::hostile|.*##vso)", ran.out + ran.err, re.MULTILINE)
    for mine in ((), (f"--pull-request={text}",)):
        shown = MarkdownIt("commonmark", {"html": True}).render(held.run("plan", "--format", "markdown", *mine).out)
        assert "hostile" in shown
        assert "hostile" not in re.sub(r"<(pre|code)\b.*?</\1>", "", shown, flags=re.DOTALL)
        assert "<b>@" not in held.run("plan", "--format", "html", *mine).out


@pytest.mark.sampled(4)
@pytest.mark.parametrize("remote", [False, True], ids=["file", "object"])
@pytest.mark.parametrize("kind", ["link", "dangling link", "folder", "pipe"])
def test_a_planted_claim_is_neither_followed_nor_written(held, tmp_path, kind, remote):
    # Intent: a branch that commits a link in the claim's place gets nothing written or shown elsewhere.
    if remote:
        path = tmp_path / "shared" / "claim.json"
        path.parent.mkdir()
        held.env["RECONCILER_STATE"] = path.parent.as_uri()
    else:
        path = held.state_path.with_name("reconciler.claim.json")
        path.unlink()
    precious = tmp_path / "precious"
    precious.write_text(json.dumps(GOOD))
    match kind:
        case "link":
            path.symlink_to(precious)
        case "dangling link":
            path.symlink_to(tmp_path / "new")
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
    before = calls(held)
    for command in ((*APPLY, *BY_A), ("plan",), ("claim",)):
        ran = held.run(*command, code=1)
        assert "claim.json" in ran.err
        assert "is a link" in ran.err or "regular file" in ran.err
        assert "unlock --force" in ran.err
    assert calls(held) == before
    assert precious.read_text() == json.dumps(GOOD)
    assert not (tmp_path / "new").exists()
    if kind != "folder":
        held.run("unlock", "--force")
        assert claim(held) is None
    assert precious.exists()


def test_a_claim_is_its_owner_s_file_and_the_sandbox_s_goes_with_it(held):
    # Intent: as private as the state; a sandbox that was reset is nobody's.
    path = held.state_path.with_name("reconciler.claim.json")
    assert path.stat().st_mode & 0o777 == 0o600
    held.run("sandbox", "reset")
    assert claim(held) is None
