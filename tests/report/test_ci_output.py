"""What CI gets: plain lines with their time, groups, annotations, the job's summary, events, exit codes."""

import json
import re

import pytest

from tests import command

SPEC = """\
projects:
  teaser:
    brief: A calm opening.
    messages: [Make the music softer.]
  intro:
    brief: "[fail] ::error::pwned"
    lifecycle: {on_failed: keep}
"""


@pytest.fixture
def workspace(tmp_path):
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "a.yaml").write_text(SPEC)
    (tmp_path / "reconciler.yaml").write_text("workspace: w\napi: {url: sandbox}\nsandbox: {speed: 50}\n")
    return tmp_path


def run(root, *arguments, **env):
    return command.run(*arguments, cwd=root, **env)


def test_lines_have_their_time_and_are_grouped_on_github_alone(workspace):
    plain = run(workspace, "apply", "--auto-approve", "--target", "teaser")
    assert plain.returncode == 0, plain.stderr
    lines = plain.stderr.splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z teaser: ", line) for line in lines)
    assert "\x1b" not in plain.stdout + plain.stderr
    grouped = run(workspace, "apply", "--auto-approve", GITHUB_ACTIONS="true")
    lines = grouped.stderr.splitlines()
    assert (lines[0], lines[-1]) == ("::group::Progress", "::endgroup::")
    assert sum(line.startswith("::") for line in lines) == 2


def test_the_job_s_summary_is_appended_to(workspace):
    summary = workspace / "summary.md"
    summary.write_text("before\n")
    env = {"GITHUB_STEP_SUMMARY": str(summary)}
    assert run(workspace, "plan", **env).returncode == 0
    assert run(workspace, "apply", "--auto-approve", "--target", "teaser", **env).returncode == 0
    text = summary.read_text()
    assert text.startswith("before\n<!-- reconciler: . -->\n\n### Plan for `w`")
    assert "### Apply in `w`\n\n**Apply complete: 1 created, 1 message sent." in text
    nowhere = run(workspace, "plan", GITHUB_STEP_SUMMARY=str(workspace / "no" / "such"))
    assert nowhere.returncode == 0
    assert "summary can't be written" in nowhere.stderr


@pytest.mark.parametrize("command", [("plan",), ("apply", "--auto-approve")])
def test_errors_are_annotated_and_summed_up(workspace, command):
    (workspace / "specs" / "b.yaml").write_text("projects:\n  x:\n    brief: a\n    breef: '::warning::b'\n")
    failed = run(workspace, *command, GITHUB_ACTIONS="true")
    assert failed.returncode == 1
    (line,) = [line for line in failed.stderr.splitlines() if line.startswith("::")]
    assert line.startswith("::error file=specs/b.yaml,line=4,")
    assert not any(line.lstrip().startswith("::") for line in run(workspace, *command).stderr.splitlines())


def test_a_refused_apply_is_annotated_and_summed_up(workspace):
    (workspace / "reconciler.yaml").write_text("workspace: w\napi: {url: sandbox}\npolicy: {max_creates: 1}\n")
    summary = workspace / "summary.md"
    env = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    refused = run(workspace, "apply", "--auto-approve", **env)
    assert refused.returncode == 1
    assert any(line.startswith("::error") for line in refused.stderr.splitlines())
    assert "#### Errors: 1" in summary.read_text()
    shown = run(workspace, "plan", "--format", "markdown")
    assert shown.returncode == 1
    assert "max_creates" in shown.stdout
    assert not (workspace / "x.plan").exists()


def test_a_failed_plan_in_markdown_is_a_document_too(workspace):
    failed = run(
        workspace, "plan", "--format", "markdown", EVERSINCE_API_URL="https://api.invalid", EVERSINCE_API_KEY=""
    )
    assert failed.returncode == 1
    assert failed.stdout.startswith("<!-- reconciler: . -->\n\n### No plan for `w`\n\n#### Errors: 1")


FIELDS = {
    "apply_started": {"steps", "addresses"},
    "step_started": {"address", "action", "project_id"},
    "step_waiting": {"address", "action", "project_id", "waits_for", "seconds"},
    "status_changed": {"address", "project_id", "status"},
    "step_ended": {"address", "action", "project_id", "outcome", "note", "error"},
    "recovered": {"address", "kind", "result", "note"},
    "noted": {"diagnostic"},
    "apply_ended": {"converged", "interrupted", "counts", "requests", "serial"},
}


def test_events_are_one_object_a_line_with_the_documented_fields(workspace):
    first = run(workspace, "apply", "--auto-approve", "--events", "e.jsonl")
    assert first.returncode == 0, first.stderr
    run(workspace, "apply", "--auto-approve", "--events", "e.jsonl")
    events = [json.loads(line) for line in (workspace / "e.jsonl").read_text().splitlines()]
    for event in events:
        assert set(event) == FIELDS[event["event"]] | {"at", "event"}
    ends = [event for event in events if event["event"] == "apply_ended"]
    assert (len(ends), events[-1]) == (2, ends[-1])
    assert ends[0]["counts"] == {"done": 3}
    told = [
        (e["event"], e["action"]) for e in events if e.get("address") == "teaser" and e["event"] != "status_changed"
    ]
    assert told[:2] == [("step_started", "create"), ("step_ended", "create")]
    assert told[-1] == ("step_ended", "message")


@pytest.mark.sweep
def test_events_that_can_not_be_written_stop_nothing_but_a_bad_path_does(workspace):
    bad = run(workspace, "apply", "--auto-approve", "--events", "no/such/file")
    assert bad.returncode == 1
    assert not (workspace / ".reconciler").exists()
    full = run(workspace, "apply", "--auto-approve", "--target", "teaser", "--events", "/dev/full")
    assert full.returncode == 0
    assert full.stderr.count("no more events are written") == 1


@pytest.mark.sweep
def test_a_time_out_leaves_a_state_from_which_the_next_run_goes_on(workspace):
    """Intent: a job that ends at its limit loses nothing and repeats nothing; exit codes are as documented."""
    (workspace / "reconciler.yaml").write_text("workspace: w\napi: {url: sandbox}\nsandbox: {speed: 3}\n")
    assert run(workspace, "plan", "--target", "teaser", "--out", "p.plan", "--detailed-exitcode").returncode == 2
    cut = run(workspace, "apply", "p.plan", "--timeout", "1s", "--detailed-exitcode", "--events", "e.jsonl")
    assert cut.returncode == 2, cut.stdout + cut.stderr
    assert "1 created. 1 deferred, 0 failed." in cut.stdout
    assert json.loads((workspace / "e.jsonl").read_text().splitlines()[-1])["counts"] == {"done": 1, "deferred": 1}
    rest = run(workspace, "apply", "p.plan", "--detailed-exitcode")
    assert rest.returncode == 0, rest.stdout
    assert "1 message sent, 1 already done" in rest.stdout
    assert run(workspace, "plan", "--target", "teaser", "--detailed-exitcode").returncode == 0


@pytest.mark.sweep
def test_formats_of_show_are_those_of_plan(workspace):
    assert run(workspace, "plan", "--out", "p.plan").returncode == 0
    html = run(workspace, "show", "p.plan", "--format", "html").stdout
    assert html.startswith("<!doctype html>")
    assert html.rstrip().endswith("</html>")
    assert run(workspace, "show", "p.plan", "--format", "markdown").stdout.startswith("<!-- reconciler: . -->")
