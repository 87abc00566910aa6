"""Another attempt of a run: what an earlier one kept is in nobody's way, and not lost."""

import re
from pathlib import Path

import pytest

from tests.recipes.test_comment_commands import comment
from tests.recipes.test_github_drift import digest_of, edit, issues, saved_plan
from tests.recipes.test_github_flow import add, api, effects, failures, merged, planned, propose, site
from tests.recipes.test_recipes import WORKFLOWS, steps
from tests.recipes.workflow import ROOT, GitHub

__all__ = ("api", "site")
pytestmark = pytest.mark.long
OWN = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", [*WORKFLOWS, *OWN], ids=lambda path: path.stem)
def test_an_artifact_is_named_after_its_attempt_or_replaces_that_of_an_earlier_one(path):
    """Intent: GitHub refuses a name that the run has. What was done is never replaced; what is found by its name is."""
    for step in steps(path):
        if "upload-artifact@" in step.get("uses", ""):
            given = step["with"]
            events = given["name"].startswith("events-")
            assert events == given["name"].endswith("-${{ github.run_attempt }}")
            assert given.get("overwrite", False) is not events


def refuse(github: GitHub) -> str:
    """The API is down; its address."""
    url = github.vars["EVERSINCE_API_URL"]
    github.vars["EVERSINCE_API_URL"] = "http://127.0.0.1:9/api/v1"
    return url


def forget(body: str) -> str:
    """An issue's text that shows no digest."""
    return re.sub("`[0-9a-f]{64}`", "``", body)


def kept(github: GitHub, run: int) -> dict[str, str]:
    """The events that each attempt of a run kept."""
    found = (github.home / "artifacts" / str(run)).glob("events-*/events.jsonl")
    return {path.parent.name: path.read_text() for path in found}


def failed_comment(repository: Path, github: GitHub) -> int:
    """The run of a comment's apply that failed while the API was down. It is up again."""
    propose(repository, "promo", add("promo"))
    assert not failures(planned(repository, github, "promo"))
    url = refuse(github)
    assert failures(comment(repository, github, "/reconciler apply")) == {"apply campaigns": "Apply"}
    github.vars["EVERSINCE_API_URL"] = url
    return github.account["runs"][-1]["id"]


@pytest.mark.sweep
def test_a_merge_s_failed_apply_is_run_again(site, api):
    """Intent: by "Re-run failed jobs", as its message says: it goes on, and both attempts' events are kept."""
    repository, github = site
    propose(repository, "promo", add("promo"))
    assert not failures(planned(repository, github, "promo"))
    merged(repository, github, "promo")
    url = refuse(github)
    jobs = github.workflow("reconciler-apply", repository, {})
    assert failures(jobs) == {"apply campaigns": "Apply"}
    run = github.account["runs"][-1]["id"]
    for _ in range(2):
        assert failures(github.failed_again(run)) == {"apply campaigns": "Apply"}
    github.vars["EVERSINCE_API_URL"] = url
    jobs = github.failed_again(run)
    assert not failures(jobs), {name: job.log for name, job in jobs.items()}
    assert len(effects(api)) == 4
    events = kept(github, run)
    assert set(events) == {f"events-campaigns-{attempt}" for attempt in (1, 2, 3, 4)}
    assert len(set(events.values())) > 1


@pytest.mark.sweep
def test_a_comment_s_failed_apply_is_run_again(site, api):
    """Intent: the first attempt's events are not replaced by those of the second."""
    repository, github = site
    run = failed_comment(repository, github)
    first = kept(github, run)
    jobs = github.failed_again(run)
    assert not failures(jobs), {name: job.log for name, job in jobs.items()}
    assert len(effects(api)) == 4
    assert kept(github, run) == {**first, "events-campaigns-2": kept(github, run)["events-campaigns-2"]}
    assert set(first) == {"events-campaigns-1"}


@pytest.mark.sweep
def test_another_attempt_of_a_comment_applies_no_newer_plan(site, api):
    """Intent: neither one that was refused as newer before, nor one that came after the first attempt."""
    repository, github = site
    run = failed_comment(repository, github)
    assert not failures(planned(repository, github, "promo", again=1))
    for _ in range(2):
        jobs = github.failed_again(run)
        assert failures(jobs) == {"apply campaigns": "Fetch the plan that was shown"}
        assert "this comment has changed since the command" in jobs["apply campaigns"].log
    assert effects(api) == []


@pytest.mark.sweep
def test_another_attempt_of_the_drift_replaces_plan_page_and_issue(site):
    """Intent: what is found by its name is what the issue shows: the newest."""
    repository, github = site
    github.only = "campaigns"
    assert not failures(github.workflow("reconciler-drift", repository, {}))
    edit(github, lambda account: account["issues"][0].update(body=forget(account["issues"][0]["body"])))
    jobs = github.workflow("reconciler-drift", repository, {}, again=1)
    assert not failures(jobs), {name: job.log for name, job in jobs.items()}
    assert [path.name for path in (github.home / "artifacts").iterdir()] == ["1"]
    assert digest_of(issues(github)[0]) in saved_plan(github).read_text()


@pytest.mark.sweep
def test_another_attempt_of_a_plan_replaces_it(site, api):
    """Intent: the plan that the comment shows is the one that is found."""
    repository, github = site
    propose(repository, "promo", add("promo"))
    assert not failures(planned(repository, github, "promo"))
    for _ in range(2):
        jobs = planned(repository, github, "promo", again=1)
        assert not failures(jobs), {name: job.log for name, job in jobs.items()}
    assert not failures(comment(repository, github, "/reconciler apply"))
    assert len(effects(api)) == 4


def test_the_emulated_runs_refuse_an_artifact_s_name_that_is_taken(site, monkeypatch):
    """Intent: as GitHub does, whichever attempt has it: otherwise the tests above would show nothing."""
    repository, github = site
    github.only = "campaigns"
    workflows = repository.parent / "recipe" / "workflows"
    workflows.mkdir(parents=True)
    monkeypatch.setattr("tests.recipes.workflow.GITHUB", workflows.parent)
    (source,) = [path for path in WORKFLOWS if path.stem == "reconciler-drift"]
    changed = re.sub("          overwrite: true.*\n", "", source.read_text())
    (workflows / source.name).write_text(changed)
    assert not failures(github.workflow("reconciler-drift", repository, {}))
    jobs = github.workflow("reconciler-drift", repository, {}, again=1)
    assert failures(jobs) == {"drift campaigns": "Keep the page"}
    assert "(409) Conflict" in jobs["drift campaigns"].log
