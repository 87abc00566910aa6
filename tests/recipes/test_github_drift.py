"""The GitHub recipe for drift: a saved plan and one issue for each workspace, whatever others write and whatever is down."""

import json
import os
import re
import subprocess

import pytest

from tests.command import command
from tests.recipes.test_github_flow import BOT, api, effects, failures, site
from tests.recipes.workflow import git

__all__ = ("api", "site")
NAMES = {"campaigns": "campaigns", "teams/brand": "teams%2fbrand"}
ISSUE = "Open, update or close the issue"


def issues(github, workspace="campaigns"):
    """Those that the recipe opened for a workspace."""
    found = github.account["issues"]
    return [issue for issue in found if issue["title"] == f"Drift in {workspace}" and issue["user"] == BOT]


def digest_of(issue):
    return re.search(r"^Digest: `([0-9a-f]{64})`$", issue["body"], re.MULTILINE)[1]


def saved_plan(github, workspace="campaigns"):
    """The plan that the last run kept."""
    found = (github.home / "artifacts").glob(f"*/drift-{NAMES[workspace]}/saved.plan")
    return max(found, key=lambda path: int(path.parts[-3]))


def edit(github, change):
    account = github.account
    change(account)
    github.save(account)


@pytest.mark.sweep
@pytest.mark.long
def test_the_plan_of_the_issue_is_saved_and_its_digest_applies_it(site, api):
    """Intent: from the drift to its end: one issue, the plan that it shows, and nothing else under that digest."""
    repository, github = site
    jobs = github.workflow("reconciler-drift", repository, {})
    assert not failures(jobs), {name: job.log for name, job in jobs.items()}
    (issue,) = issues(github)
    digest, plan = digest_of(issue), saved_plan(github)
    assert digest in jobs["drift campaigns"].summary
    assert digest_of(issues(github, "teams/brand")[0]) != digest
    assert effects(api) == []

    state = github.home / "states" / "campaigns" / "reconciler.state.json"
    env = {**os.environ, **github.env, "RECONCILER_STATE": str(state)}

    def apply(digest):
        arguments = [command(), "-C", str(repository / "campaigns"), "apply", str(plan), "--digest", digest]
        return subprocess.run(arguments, env=env, capture_output=True, text=True, check=False)

    assert apply(digest_of(issues(github, "teams/brand")[0])).returncode == 1
    assert effects(api) == []
    applied = apply(digest)
    assert applied.returncode == 0, applied.stderr
    assert [effect["kind"] for effect in effects(api)] == ["create", "message"]

    assert not failures(github.workflow("reconciler-drift", repository, {}))
    assert [issue["state"] for issue in issues(github)] == ["closed"]
    assert [issue["state"] for issue in issues(github, "teams/brand")] == ["open"]


def forged(account):
    """Somebody else's issue with the marker, before the recipe's."""
    forged = {**account["issues"][0], "number": 1, "title": "Drift", "user": {"login": "eve"}, "labels": []}
    account["issues"].insert(0, forged)


def a_pull_request(account):
    """A bot's pull request is listed with the issues."""
    account["issues"].insert(0, {**account["issues"][0], "number": 2, "title": "Bump", "pull_request": {"url": "x"}})


def without_text(account):
    account["issues"].insert(0, {**account["issues"][0], "number": 3, "title": "Empty", "body": None})


def without_its_label(account):
    for issue in account["issues"]:
        issue["labels"] = []


def edited(account):
    """Those with triage rights may say that another plan is meant."""
    issue = account["issues"][-1]
    issue["body"] = re.sub("`[0-9a-f]{64}`", f"`{'0' * 64}`", issue["body"])


def without_its_marker(account):
    for issue in account["issues"]:
        issue["labels"] = [{"name": "reconciler-drift"}]
    account["issues"][-1]["body"] = account["issues"][-1]["body"].split("\n", 1)[1]


def renamed(account):
    """Nobody's but the bot's: that of another has title and label, too."""
    alike = {**account["issues"][-1], "number": 4, "user": {"login": "eve"}, "body": "Not yours."}
    account["issues"].insert(0, alike)
    account["issues"][-1]["title"] += "!"


def emptied(account):
    account["issues"][-1] |= {"title": "Drift in campaigns", "body": None}


@pytest.mark.sweep
@pytest.mark.long
def test_there_is_one_issue_whatever_others_write(site):
    """Intent: it is found by its author, and its marker or its label and title, and says again what is so; nobody else's is touched."""
    repository, github = site
    github.only = "campaigns"
    assert not failures(github.workflow("reconciler-drift", repository, {}))
    for change in (
        forged,
        a_pull_request,
        without_text,
        without_its_label,
        edited,
        without_its_marker,
        renamed,
        emptied,
    ):
        edit(github, change)
        others = [issue for issue in github.account["issues"] if issue["number"] < 100]
        assert not failures(github.workflow("reconciler-drift", repository, {})), change.__name__
        assert [issue for issue in github.account["issues"] if issue["number"] < 100] == others
        (issue,) = [issue for issue in github.account["issues"] if issue["number"] >= 100]
        assert digest_of(issue) in saved_plan(github).read_text(), change.__name__
    assert not [call for call in github.account["calls"] if "--comment" in call]


def down(repository, github):
    github.vars["EVERSINCE_API_URL"] = github.vars["EVERSINCE_API_URL"].replace("/api/", "/elsewhere/")


def broken(repository, github):
    (repository / "campaigns" / "specs" / "bad.yaml").write_text("projects: {bad: {breef: y}}\n")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "Bad")


@pytest.mark.sweep
@pytest.mark.parametrize(("trouble", "failed"), [(down, set(NAMES)), (broken, {"campaigns"})])
def test_a_workspace_that_can_not_be_planned_fails_and_keeps_its_issue(site, trouble, failed):
    """Intent: an error is neither drift nor its end, and it stops no other workspace."""
    repository, github = site
    assert not failures(github.workflow("reconciler-drift", repository, {}))
    before = json.dumps(issues(github))
    trouble(repository, github)
    jobs = github.workflow("reconciler-drift", repository, {})
    assert failures(jobs) == {f"drift {NAMES[workspace]}": ISSUE for workspace in failed}
    assert "::error::There is no plan" in jobs["drift campaigns"].log
    assert json.dumps(issues(github)) == before
    assert not list((github.home / "artifacts" / "2").glob("drift-campaigns"))


def test_no_issue_is_opened_where_nothing_could_be_read(site):
    repository, github = site
    down(repository, github)
    assert len(failures(github.workflow("reconciler-drift", repository, {}))) == 2
    assert github.account["issues"] == []
