"""What people read before they decide: the question, what a replacement replaces, who else is at work."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from reconciler.adapters.state.local import LocalStateStore
from reconciler.adapters.state.lock import hold_lock
from reconciler.adapters.state.remote import RemoteStateStore
from reconciler.cli.commands.init_ import IGNORED
from reconciler.model.errors import Diagnostic
from reconciler.model.plan import Plan
from reconciler.report.summary import approval_line, replacement_line
from tests.cli.cli_support import APPLY, on_terminal
from tests.cli.report_samples import PLAN, STEPS

KINDS = {step.action: step for step in reversed(STEPS)}


def made(*actions: str) -> Plan:
    return replace(PLAN, steps=tuple(KINDS[action] for action in actions), diagnostics=(), requests_told=4)


@pytest.mark.parametrize(
    ("actions", "said"),
    [
        (("create",), "This will create 1 project. It spends at least 30 credits, and that can't be undone."),
        (("message", "message"), "This will send 2 messages. It spends at least 20 credits, and that can't be undone."),
        (
            ("create", "create", "message", "cancel", "replace"),
            "This will create 2 projects, send 1 message, cancel 1 and replace 1. It spends at least 100 credits,",
        ),
        (("update", "update"), "This will update 2 projects. It spends no credits."),
        (("cancel",), "This will cancel 1 project. It spends no credits."),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else "",
)
def test_the_question_says_how_many_of_what_and_what_it_costs(actions, said):
    line = approval_line(made(*actions))

    assert line.startswith(said) and line.endswith(" It makes at least 4 requests.")


def test_no_least_is_promised_where_the_state_may_be_lost():
    lost = Diagnostic(severity="warning", summary="the state may be lost", kind="lost-state")

    assert "It spends credits, and" in approval_line(replace(made("create"), diagnostics=(lost,)))


def test_the_question_names_the_workspace_and_requests_are_told_once(fresh):
    shown, code = on_terminal(fresh, "apply", answer=b"y\n", NO_COLOR="1")

    assert code == 0
    assert "acme: Apply these changes to 1 project? [y/N]" in shown
    assert "This will create 1 project." in shown
    assert shown.count("Requests: ") == 1 and shown.index("Requests: ") > shown.index("[y/N]")


# Replacements


def test_a_replacement_shows_what_the_state_knows_of_the_old_project(fresh):
    fresh.run(*APPLY)

    same = " ".join(fresh.run("plan", "--replace", "teaser").out.split())
    assert 'brief = "Ten seconds, one product." (unchanged)' in same
    assert 'title = "Teaser" (unchanged)' in same
    assert same.count("not known") == 1  # the secret

    spec = fresh.root / "specs" / "a.yaml"
    path = spec if spec.exists() else next((fresh.root / "specs").iterdir())
    path.write_text(path.read_text(encoding="utf-8").replace("title: Teaser", "title: Other"), encoding="utf-8")
    assert '"Teaser" -> "Other"' in fresh.run("plan", "--replace", "teaser").out


def test_beside_a_replacement_stands_what_else_one_can_do(fresh):
    fresh.run(*APPLY)
    path = next((fresh.root / "specs").iterdir())
    path.write_text(path.read_text(encoding="utf-8").replace("Ten seconds", "Nine seconds"), encoding="utf-8")

    text = " ".join(fresh.run("plan").out.split())

    assert "undo the change and append a message" in text
    assert "`lifecycle.on_immutable_change: ignore` keeps the old project, `error` refuses" in text
    shown, _ = on_terminal(fresh, "plan", answer=b"")
    assert "\x1b[1;31m# teaser" in shown and "\x1b[31m  # forces" in shown


def test_the_choices_are_said_once_and_only_where_a_change_forces_it():
    forced = KINDS["replace"]

    assert replacement_line(forced)
    assert not replacement_line(replace(forced, changes=()))
    assert not any(map(replacement_line, (step for step in STEPS if step.action != "replace")))


# Others at work


def test_plan_says_that_another_run_holds_the_state_and_takes_nothing(fresh):
    fresh.run(*APPLY)
    assert "another run" not in fresh.run("plan").err
    with hold_lock(fresh.state_path, command="reconciler apply", timeout=0):
        before = fresh.files()
        ran = fresh.run("plan", "--format", "json")
        assert fresh.files() == before

    assert "note: another run holds the state" in ran.err
    assert "`reconciler apply`" in ran.err
    assert "another run" not in fresh.run("plan").err


def stores(tmp_path):
    def remote():
        url = (tmp_path / "bucket").as_uri()
        return RemoteStateStore(url, version="0", spill=tmp_path / "spill", lease_seconds=30)

    return {"local": lambda: LocalStateStore(tmp_path / "state.json", version="0"), "remote": remote}


@pytest.mark.parametrize("kind", ["local", "remote"])
def test_a_store_says_who_holds_it_without_taking_it(tmp_path, kind):
    (tmp_path / "bucket").mkdir()
    opened = stores(tmp_path)[kind]
    assert opened().holder() is None
    with opened().lock("reconciler apply", 0):
        there = sorted(tmp_path.rglob("*"))
        assert "`reconciler apply`" in opened().holder()
        assert sorted(tmp_path.rglob("*")) == there
    assert opened().holder() is None


# Other commands


def test_destroy_shows_only_what_it_takes(fresh):
    text = fresh.run("destroy", "--help").out

    assert "--target" in text and "--no-refresh" in text
    assert "--replace" not in text and "--refresh-only" not in text
    assert "can't be combined" in fresh.run("destroy", "--replace", "teaser", code=1).err


def test_what_the_program_writes_is_ignored_by_git(tmp_path, fresh):
    fresh.run("-C", str(tmp_path), "init", "--name", "acme")

    lines = (tmp_path / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert lines == [*IGNORED]
    assert {"*.plan", "/plan.html", "/public/", "/renders/"} <= {*lines}
