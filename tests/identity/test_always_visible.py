"""Workspace, environment, API, state and serial stand first wherever somebody decides; the balance beside the cost."""

from __future__ import annotations

import html
import re

import pytest

from tests.cli.cli_support import APPLY, Space, make_space, on_terminal

SPEC = "projects:\n  a: {brief: One.}\n"
CONFIG = "workspace: acme\napi: {url: sandbox}\nsandbox: {speed: 200}\npolicy: {min_credits: 10}\nenvironments: {dev: {}, prod: {}}\n"
PLAIN = CONFIG.partition("environments")[0]
PLACE = ".reconciler/sandbox/reconciler.prod.state.json"


def first(text: str) -> str:
    return text.split("\n", 1)[0]


def heading(serial: int) -> str:
    return f"Workspace acme, environment prod, API sandbox, state {PLACE} (serial {serial})"


@pytest.fixture
def space(tmp_path) -> Space:
    return make_space(tmp_path / "w", SPEC, CONFIG, RECONCILER_ENVIRONMENT="prod")


@pytest.mark.sweep
def test_the_first_line_of_each_command(space):
    """Intent: before and after the first apply, also for a saved plan, which show prints without a workspace."""
    assert first(space.run("plan", "--out", "p").out) == heading(0)
    shown = first(space.run("show", "p").out)
    assert shown == "Workspace acme, environment prod, API sandbox, state serial 0"
    assert first(space.run("apply", "p", "--poll-interval", "0.05").out) == heading(1)
    assert first(space.run("plan").out) == heading(1)
    assert first(space.run("status").out) == heading(1)
    assert first(space.run(*APPLY).out) == heading(1)
    assert heading(2) in space.run("report", "--out", "public").err
    assert first(space.run("destroy", "--auto-approve").out) == heading(2)


def test_without_environments_there_is_none_to_name(tmp_path):
    space = make_space(tmp_path / "w", SPEC, PLAIN)
    place = ".reconciler/sandbox/reconciler.state.json"
    assert first(space.run("plan").out) == f"Workspace acme, API sandbox, state {place} (serial 0)"


def test_a_url_is_named_by_its_host_and_a_bucket_by_its_address(tmp_path):
    """Intent: the place that is meant, with the environment's folder; no call is needed to see it."""
    space = make_space(tmp_path / "w", SPEC, CONFIG)
    (tmp_path / "b").mkdir()
    out = space.run("-e", "prod", "--state", f"file://{tmp_path / 'b'}", "plan").out
    assert first(out).endswith(f"state file://{tmp_path / 'b'}/prod (serial 0)")


@pytest.mark.sweep
def test_pages_and_summaries_name_it_too(space, tmp_path):
    summary = tmp_path / "summary.md"
    markdown = space.run("plan", "--format", "markdown", GITHUB_STEP_SUMMARY=str(summary)).out
    marker, _, head = markdown.split("\n")[:3]
    assert marker == "<!-- reconciler: . prod -->" or marker.endswith(" prod -->")
    where = f"environment `prod`, API `sandbox`, state `{PLACE}` (serial 0)"
    assert head == f"### Plan for `acme`, {where}"
    assert where in summary.read_text()
    page = html.unescape(re.sub("<[^>]+>", "", space.run("plan", "--format", "html").out))
    assert heading(0) in page
    space.run(*APPLY, GITHUB_STEP_SUMMARY=str(summary))
    assert summary.read_text().count(f"Workspace `acme`, environment `prod`, API `sandbox`, state `{PLACE}`") == 1
    space.run("report", "--out", "public")
    assert heading(1) in html.unescape(re.sub("<[^>]+>", "", (space.root / "public" / "index.html").read_text()))


def test_two_environments_have_two_comments(space):
    """Intent: a matrix over environments writes one comment for each; also where there is no plan."""
    other = space.run("-e", "dev", "plan", "--format", "markdown").out
    assert first(other) != first(space.run("plan", "--format", "markdown").out)
    space.write("specs/a.yaml", "projects: {a: {}}\n")
    assert first(space.run("-e", "dev", "plan", "--format", "markdown", code=1).out) == first(other)


@pytest.mark.parametrize("command", ["apply", "destroy"])
def test_the_question_names_it(space, command):
    if command == "destroy":
        space.run(*APPLY)
    shown, code = on_terminal(space, command, answer=b"n\n")
    question = " ".join(shown.split()).partition("[y/N]")[0].rpartition("Plan: ")[2]  # it may be wrapped
    assert heading(1 if command == "destroy" else 0) in question and code == 1


def test_plan_json_has_the_environment(space):
    assert space.run("plan", "--format", "json").document["environment"] == "prod"
    applied = space.run(*APPLY, "--format", "json").document
    assert (applied["environment"], applied["workspace"]) == ("prod", "acme")


@pytest.mark.sweep
def test_the_balance_stands_beside_the_cost(space):
    """Intent: where it was read for a limit, it is shown, in each form; where nothing costs, it is not."""
    for form in ("text", "markdown", "html"):
        out = space.run("plan", "--format", form).out
        assert re.search(r"spends credits and can.{1,6}t be undone\. The balance is [\d,]+ credits\.", out), out
    space.run(*APPLY)
    assert "balance" not in space.run("plan").out
