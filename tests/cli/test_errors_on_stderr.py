"""Where a command exits with 1 because of what it found, the errors stand on stderr too, each once; stdout is the result."""

import json
import signal

import pytest

from tests.cli.cli_support import APPLY, make_space

TWO = "projects:\n  a: {brief: A film., settings: {title: A}}\n  b: {brief: Another film.}\n"
GUARDED = (
    "workspace: acme\npolicy: {max_creates: 1}\napi: {url: sandbox}\nsandbox: {speed: 200}\n"  # two creates are refused
)
CASES = {
    "an unknown target": (("--target", "nobody"), "nobody"),
    "an unknown replacement": (("--replace", "nobody"), "nobody"),
    "both": (("--target", "nobody", "--replace", "noone"), "noone"),
}
FORMATS = ("text", "json", "markdown", "html")


def said_once(text, what):
    errors = [line for line in text.splitlines() if line.lstrip("! ").startswith("error") and what in line]
    assert len(errors) == 1, text
    told = [line for line in text.splitlines() if "error:" in line]
    assert len(told) == len(set(told)), text


@pytest.mark.sampled(3)
@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("case", CASES)
def test_plan(tmp_path, case, format_):
    args, what = CASES[case]
    ran = make_space(tmp_path, TWO).run("plan", *args, "--format", format_, code=1)
    said_once(ran.err, what)
    assert what in ran.out
    if format_ == "json":
        assert [d["summary"] for d in ran.errors if what in d["summary"]]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("format_", FORMATS)
def test_plan_that_a_policy_refuses(tmp_path, format_):
    ran = make_space(tmp_path, TWO, GUARDED).run("plan", "--format", format_, code=1)
    said_once(ran.err, "max_creates")


@pytest.mark.sampled(3)
@pytest.mark.parametrize("format_", ["text", "json"])
@pytest.mark.parametrize("case", CASES)
def test_apply(tmp_path, case, format_):
    args, what = CASES[case]
    ran = make_space(tmp_path, TWO).run(*APPLY, *args, "--format", format_, code=1)
    said_once(ran.err, what)
    assert format_ == "text" or json.loads(ran.out)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("format_", ["text", "json"])
def test_destroy(tmp_path, format_):
    space = make_space(tmp_path, TWO.replace("Another film.}", "Another film., lifecycle: {on_remove: protect}}"))
    space.run(*APPLY)
    ran = space.run("destroy", "--auto-approve", "--force", "--format", format_, code=1)
    said_once(ran.err, "b")
    assert format_ == "text" or json.loads(ran.out)
    ran = space.run("plan", "--destroy", "--format", format_, code=1)
    said_once(ran.err, "b")


WRONG = {
    "a key": ("projects:\n  a: {breif: A film.}\n", (), "breif"),
    "two files' worth": ("projects:\n  a: {brief: x, settings: {mood: y}}\n  b: {breif: x}\n", (), "breif"),
    "a variable's form": (TWO, ("--var", "season"), "season"),
    "an unknown variable": (TWO.replace("A film.", "'${var.season}'"), (), "season"),
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("on_github", [False, True])
@pytest.mark.parametrize("format_", ["text", "json", "github"])
@pytest.mark.parametrize("case", WRONG)
def test_validate(tmp_path, case, format_, on_github):
    # Intent: stdout is the result, in its form; people read each error on stderr, once; GitHub gets each mark once.
    specs, args, what = WRONG[case]
    env = {"GITHUB_ACTIONS": "true"} if on_github else {}
    ran = make_space(tmp_path, specs).run("validate", *args, "--format", format_, code=1, **env)
    people = "\n".join(line for line in ran.err.splitlines() if not line.startswith("::"))
    said_once(people, what)
    marks = [line for line in (ran.out + ran.err).splitlines() if line.startswith("::error") and what in line]
    assert len(marks) == (format_ == "github" or on_github)
    match format_:
        case "text":
            assert not ran.out
        case "json":
            assert [d for d in ran.errors if what in d["summary"]]
        case "github":
            assert all(line.startswith("::error") for line in ran.out.splitlines())
            assert "::" not in ran.err


def test_validate_that_only_warns(tmp_path):
    # Intent: a warning is a mark on stdout, and no error on stderr.
    space = make_space(tmp_path, TWO, "api: {url: https://api.example.com}\n")
    ran = space.run("validate", "--format", "github", RECONCILER_ALLOWED_HOSTS="api.example.com")
    assert ran.out.startswith("::warning") and not ran.err


def test_a_plan_without_errors_says_nothing_on_stderr_that_is_one(tmp_path):
    space = make_space(tmp_path, TWO)
    for format_ in FORMATS:
        assert "error" not in space.run("plan", "--format", format_).err


def test_watch_that_only_plans(tmp_path):
    with make_space(tmp_path, TWO).start("watch", "--plan-only", "--target", "nobody") as process:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "nobody" in line:
                break
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert "error" in lines[-1]
