"""A workspace that names another host than the variable of the repository: every job of every recipe has the variable's."""

import pytest

from tests.recipes.test_comment_commands import comment, merge, queued
from tests.recipes.test_github_flow import add, api, effects, failures, planned, propose, site
from tests.recipes.workflow import git

__all__ = ("api", "site")


@pytest.mark.sweep
@pytest.mark.long
def test_no_job_goes_by_the_host_that_a_branch_names(site, api, monkeypatch):
    """Intent: where one job passes, none fails at that host, and none asks it."""
    repository, github = site
    github.only = "campaigns"
    url = str(api.base_url).rstrip("/")
    monkeypatch.setenv("EVERSINCE_API_URL", url)  # for `fmt` here; runners don't have it
    config = repository / "campaigns" / "reconciler.yaml"
    config.write_text(config.read_text().replace(url, "https://elsewhere.example/api/v1"))
    git(repository, "commit", "-qam", "Another host")
    propose(repository, "promo", add("promo"))
    runs = {"plan": planned(repository, github, "promo"), "queue": queued(repository, github, "promo")}
    runs["comment"] = comment(repository, github, "/reconciler apply")
    runs["apply"] = merge(repository, github, "promo")
    runs["drift"] = github.workflow("reconciler-drift", repository, {})
    pull = github.account["pulls"][-1]
    closing = {"pull_request": {"number": 7, "merged": False, "head": pull["head"]}}
    runs["claim"] = github.workflow("reconciler-claim", repository, {"event": closing})
    assert all(any("campaigns" in name for name in jobs) for jobs in runs.values())
    for run, jobs in runs.items():
        assert (run, failures(jobs)) == (run, {}), {name: job.log for name, job in jobs.items()}
        assert not [name for name, job in jobs.items() if "elsewhere" in job.log], run
    assert len(effects(api)) == 4
