"""What makes the command line easy: options where people type them, words of other tools, completion."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from reconciler.model.version import VERSION
from tests.cli.cli_support import APPLY, CONFIG, ONE, REMOTE, environment, on_terminal
from tests.command import command

TWO = "projects:\n  summer-teaser: {brief: One., tags: [summer]}\n  promo: {for_each: [us, de], brief: 'For ${each.key}.'}\n"


@pytest.mark.parametrize("flag", ["-y", "--yes", "--auto-approve"])
def test_approval_has_short_names(fresh, flag):
    fresh.run("apply", flag, "--poll-interval", "0.05")
    assert len(fresh.state["projects"]) == 1


def test_global_options_may_stand_after_the_command(fresh, tmp_path):
    other = tmp_path / "other"
    (other / "specs").mkdir(parents=True)
    (other / "reconciler.yaml").write_text(REMOTE)
    (other / "specs" / "a.yaml").write_text(ONE)
    where = ("-C", str(other), "--api-url", "sandbox", "--state", str(tmp_path / "own.json"))
    fresh.run("apply", "-y", "--poll-interval", "0.02", *where, HOOK_TOKEN="x")
    assert json.loads((tmp_path / "own.json").read_text())["projects"]
    before = fresh.run(*where, "output", "--format", "json").out
    assert fresh.run("output", "--format", "json", *where).out == before
    assert "GET" in fresh.run("plan", "-vv").err
    assert "\x1b" not in fresh.run("plan", "--no-color").out


def test_global_options_keep_their_meaning_in_groups_of_commands(fresh):
    fresh.run(*APPLY)
    assert "teaser" in fresh.run("state", "list", "--api-url", "sandbox").out
    assert "teaser" not in fresh.run("state", "list", "--state", "elsewhere.json").out


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("taint", "--replace"),
        ("refresh", "--refresh-only"),
        ("workspace", "reconciler environments"),
        ("preview", "reconciler plan"),
        ("up", "reconciler apply"),
        ("get", "reconciler status"),
        ("force-unlock", "state unlock"),
    ],
)
def test_a_word_of_another_tool_is_answered_with_ours(fresh, word, said):
    ran = fresh.run(word, "x", code=1)
    assert said in ran.err and not ran.out


@pytest.mark.parametrize("option", ["-target=teaser", "-out=x", "-refresh-only", "-destroy", "-detailed-exitcode"])
def test_an_option_with_one_dash_is_answered_with_two(fresh, option):
    ran = fresh.run("plan", option, code=1)
    assert f"`-{option.partition('=')[0]}`" in ran.err


def test_version_says_what_it_runs_on(fresh):
    assert fresh.run("version").out.startswith(f"reconciler {VERSION} (Python 3.")
    assert fresh.run("version", "--format", "json").document["version"] == VERSION


def failed(fresh):
    fresh.run(*APPLY, "--wait", "idle")
    with fresh.account() as store, store.account() as account:
        account.run("UPDATE projects SET status = 'failed'")
    return fresh


@pytest.mark.sweep
def test_a_failed_project_is_3_only_if_asked_for(fresh):
    failed(fresh)
    assert "1 needs attention" in fresh.run("plan").out
    fresh.run("plan", "--fail-on", "attention", code=3)
    fresh.run("plan", "--fail-on", "attention", "--detailed-exitcode", code=3)
    fresh.run(*APPLY, "--fail-on", "attention", code=3)
    fresh.run(*APPLY)


def test_errors_and_changes_keep_their_codes_beside_fail_on(fresh):
    fresh.run("plan", "--fail-on", "attention", "--detailed-exitcode", code=2)
    fresh.run("plan", "--fail-on", "attention", "--target", "nope", code=1)
    fresh.run(*APPLY, "--fail-on", "attention")
    fresh.run("plan", "--fail-on", "attention", "--detailed-exitcode")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_each_shell(fresh, shell):
    ran = fresh.run("completion", shell)
    assert "_RECONCILER_COMPLETE" in ran.out and not ran.err


def completed(space, line, **env):
    words = line.split(" ")
    done = subprocess.run(
        command(),
        cwd=space.root,
        env=environment(
            _RECONCILER_COMPLETE="bash_complete",
            COMP_WORDS=line,
            COMP_CWORD=str(len(words) - 1),
            **{**space.env, **env},
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr, done.stderr
    return {row.partition(",")[2] for row in done.stdout.split()}


@pytest.mark.sweep
def test_addresses_tags_and_environments_are_completed_without_a_network(fresh):
    fresh.write("reconciler.yaml", CONFIG + "default_environment: dev\nenvironments: {dev: {}, prod: {}}\n")
    fresh.write("specs/a.yaml", TWO)
    assert completed(fresh, "reconciler plan --target s") == {"summer-teaser"}
    assert completed(fresh, "reconciler apply --exclude promo") == {"promo[us]", "promo[de]"}
    assert completed(fresh, "reconciler plan --tag ") == {"summer"}
    assert completed(fresh, "reconciler -e p") == {"prod"}
    assert completed(fresh, "reconciler plan -e ") == {"dev", "prod"}
    assert completed(fresh, "reconciler comp") == {"completion"}
    fresh.write("reconciler.yaml", "workspace: acme\napi: {url: 'https://127.0.0.1:1/api/v1'}\nstate: s3://nowhere/x\n")
    assert completed(fresh, "reconciler status s") == {"summer-teaser"}


@pytest.mark.sweep
def test_saved_plans_and_their_digests_are_completed(fresh):
    """Intent: plans are known by their content; a digest is that of the plan on the command line; a pipe is not opened."""
    fresh.write("specs/a.yaml", TWO)
    fresh.run("plan", "--out", "first.plan")
    fresh.run("plan", "--target", "summer-teaser", "--out", "plans")
    (fresh.root / "out").mkdir()
    fresh.run("plan", "--out", "out/third.json")
    os.mkfifo(fresh.root / "pipe")
    fresh.write("first.txt", "{}")
    fresh.write("odd\nname", (fresh.root / "first.plan").read_text())
    digests = {
        name: fresh.run("show", name).out.rpartition("Digest: ")[2].split()[0] for name in ("first.plan", "plans")
    }
    for typed in ("show", "apply", "apply --auto-approve"):
        assert completed(fresh, f"reconciler {typed} ") == {"first.plan", "plans"}
        assert completed(fresh, f"reconciler {typed} f") == {"first.plan"}
        assert completed(fresh, f"reconciler {typed} out/") == {"out/third.json"}
        assert completed(fresh, f"reconciler {typed} none") == {"none"}  # as a file, which the shell completes
    assert completed(fresh, "reconciler apply first.plan --digest ") == {digests["first.plan"]}
    assert completed(fresh, "reconciler apply --digest ") == set(digests.values())
    start = digests["plans"][:8]
    assert completed(fresh, f"reconciler apply --digest {start}") == {digests["plans"]}
    assert completed(fresh, "reconciler apply pipe --digest ") == set()
    assert completed(fresh, "reconciler apply nowhere --digest ") == set()


@pytest.mark.sweep
def test_beside_a_saved_plan_no_selectors_are_completed(fresh):
    """Intent: apply refuses them there."""
    fresh.write("specs/a.yaml", TWO)
    for option in ("--target", "--exclude", "--replace", "--tag"):
        assert completed(fresh, f"reconciler apply {option} s") != set()
        assert completed(fresh, f"reconciler apply first.plan {option} s") == set()


def test_an_import_completes_what_is_declared_and_not_managed(fresh):
    fresh.write("specs/a.yaml", TWO)
    fresh.run(*APPLY, "--target", "summer-teaser")
    assert completed(fresh, "reconciler import ") == {"promo[us]", "promo[de]"}


@pytest.mark.parametrize("broken", ["reconciler.yaml", "specs/a.yaml"])
def test_completion_is_silent_where_files_are_broken(fresh, broken):
    fresh.run(*APPLY)
    fresh.write(broken, "a: [")
    assert completed(fresh, "reconciler status t") == ({"teaser"} if broken.startswith("specs") else set())


def test_state_rm_asks_on_a_terminal_only(fresh):
    fresh.run(*APPLY)
    shown, code = on_terminal(fresh, "state", "rm", "teaser", answer=b"n\n")
    assert "Remove `teaser` from the state?" in shown and code == 1
    assert "teaser" in fresh.state["projects"]
    fresh.run("state", "rm", "teaser")
    assert not fresh.state["projects"]
