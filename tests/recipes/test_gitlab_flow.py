"""The GitLab recipe from merge request to drift: jobs for real, by their rules, against `reconciler sandbox serve`."""

import re
import shutil
import subprocess

import httpx
import pytest

from tests.command import command
from tests.recipes.gitlab import BEFORE_MERGE, PATH, Api, GitLab, chosen, jobs, serving
from tests.recipes.workflow import git

SPEC = "projects:\n  {0}:\n    brief: |-\n      /merge this calm opening.\n    settings: {{title: {0}}}\n"
CLAIM = f"{PATH}!1"


@pytest.fixture
def sandbox(tmp_path):
    """A sandbox as users start it."""
    (tmp_path / "served").mkdir()
    serve = [command(), "sandbox", "serve", "--port", "0", "--speed", "500"]
    with subprocess.Popen(serve, cwd=tmp_path / "served", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        try:
            url = server.stdout.readline().decode().strip().rstrip("/")
            with httpx.Client(
                verify=False, base_url=url, headers={"Authorization": "Bearer any"}, trust_env=False
            ) as it:
                it.ledger_token = next((tmp_path / "served").rglob("*.token")).read_text().strip()
                yield it
        finally:
            server.terminate()


def effects(sandbox):
    root = str(sandbox.base_url).partition("/api/")[0]
    headers = {"Authorization": f"Bearer {sandbox.ledger_token}"}
    return len(httpx.get(f"{root}/_sandbox/ledger", headers=headers, trust_env=False).json()["ledger"])


@pytest.fixture
def gitlab(tmp_path, sandbox):
    origin = tmp_path / "origin"
    for name in ("campaigns", "brand"):
        folder = origin / name
        (folder / "specs").mkdir(parents=True)
        (folder / "reconciler.yaml").write_text(f"workspace: {name}\n")
        (folder / "specs" / "first.yaml").write_text("projects: {}\n")
    git(origin, "init", "-q", "-b", "main")
    git(origin, "add", ".")
    git(origin, "commit", "-qm", "Start")
    api = Api()
    with serving(api) as url:
        variables = {"EVERSINCE_API_URL": str(sandbox.base_url).rstrip("/"), "RECONCILER_APPLY_POLL_INTERVAL": "0.05"}
        yield GitLab(tmp_path / "gitlab", origin, api, url, variables)


def commit(gitlab, branch, name, folder="campaigns", base="main"):
    """A commit on a branch, which begins at ``base`` if it is new."""
    origin = gitlab.origin
    known = branch in git(origin, "branch", "--format=%(refname:short)").split()
    git(origin, "checkout", "-q", *([branch] if known else ["-b", branch, base]))
    (origin / folder / "specs" / f"{name}.yaml").write_text(SPEC.format(name))
    git(origin, "add", ".")
    git(origin, "commit", "-qm", name)


def merge(gitlab, branch):
    git(gitlab.origin, "checkout", "-q", "main")
    git(gitlab.origin, "merge", "-q", "--no-ff", "-m", f"Merge {branch}", branch)


def mine(gitlab, iid):
    return [note["body"] for note in gitlab.api.requests[iid]["notes"] if note["author"]["id"] == 7]


def digest(text):
    return re.search(r"(?m)^Digest: `([0-9a-f]{64})`$", text)[1]


def said(done):
    return done.stdout + done.stderr


def failed(pipeline):
    return {name: said(done) for name, done in pipeline.results.items() if done.returncode}


def claim(gitlab):
    found = gitlab.home / "states" / "campaigns" / "reconciler.claim.json"
    return found.read_text() if found.exists() else ""


def test_which_jobs_are_in_which_pipeline():
    """Intent: forks and trains get no job that has a secret or writes; manual jobs never hold up a merge."""
    here = {
        "CI_PIPELINE_SOURCE": "merge_request_event",
        "CI_PROJECT_PATH": PATH,
        "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": PATH,
        "CI_DEFAULT_BRANCH": "main",
        "CI_MERGE_REQUEST_EVENT_TYPE": "merged_result",
    }
    main = {"CI_DEFAULT_BRANCH": "main", "CI_COMMIT_BRANCH": "main"}

    def names(variables):
        return {name for name, job in jobs().items() if chosen(job["rules"], variables)}

    assert names(here) == {"validate", "plan", "note"}
    assert names({**here, **BEFORE_MERGE}) == {"validate", "plan", "note", "apply", "hold", "release"}
    for settings in ({}, BEFORE_MERGE):
        assert names({**here, **settings, "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": "eve/videos"}) == {"validate"}
        assert names({**here, **settings, "CI_MERGE_REQUEST_EVENT_TYPE": "merge_train"}) == {"validate", "plan"}
        assert names({**main, **settings, "CI_PIPELINE_SOURCE": "push"}) == {"validate", "plan", "apply"}
        assert names({**main, **settings, "CI_COMMIT_BRANCH": "b", "CI_PIPELINE_SOURCE": "push"}) == set()
        assert names({**main, **settings, "CI_COMMIT_BRANCH": "b", "CI_PIPELINE_SOURCE": "schedule"}) == set()
    assert names({**main, "CI_PIPELINE_SOURCE": "schedule"}) == {"drift", "drift-issue", "apply"}
    assert names({**main, **BEFORE_MERGE, "CI_PIPELINE_SOURCE": "schedule"}) >= {"release-ended"}
    for name, job in jobs().items():
        for rule in job["rules"]:
            if rule.get("when") == "manual" and "push" not in rule["if"]:
                assert rule["allow_failure"] is True, name


def test_no_job_has_both_the_key_and_the_token():
    where = {name: job.get("environment", "") for name, job in jobs().items()}
    where = {name: at if isinstance(at, str) else at["name"] for name, at in where.items()}
    keys = {name for name, at in where.items() if at.startswith(("plan/", "production/"))}
    tokens = {name for name, at in where.items() if at == "reports" or at.startswith("claims/")}
    assert keys == {"plan", "apply", "drift"}
    assert tokens == {"note", "drift-issue", "hold", "release", "release-ended"}
    assert jobs()["apply"]["resource_group"] == "reconciler-$RECONCILER_ACCOUNT-$RECONCILER_ENVIRONMENT"


def test_a_merge_request_is_planned_applied_and_its_claim_released(gitlab, sandbox):
    """Intent: before the merge, by its digest; another merge request waits, says so, and is planned again when it is free."""
    gitlab.variables |= BEFORE_MERGE
    gitlab.only = "campaigns"
    commit(gitlab, "one", "teaser")
    first = gitlab.push(1, "one")
    assert not failed(first)
    gitlab.api.note(1, 8, f"{mine(gitlab, 1)[0]}\nnot the bot's")
    (note,) = mine(gitlab, 1)
    assert "**1 create spends credits" in note and "DIGEST" in note and "/pipelines/1)" in note
    assert "DIGEST" in first.run("apply", "campaigns").stderr
    refused = first.run("apply", "campaigns", DIGEST="0" * 64)
    assert refused.returncode == 1 and effects(sandbox) == 0 and not claim(gitlab)
    applied = first.run("apply", "campaigns", DIGEST=digest(note))
    assert applied.returncode == 0, said(applied)
    assert effects(sandbox) == 1 and CLAIM in claim(gitlab)

    commit(gitlab, "two", "other")
    second = gitlab.push(2, "two")
    assert not failed(second)
    (behind,) = mine(gitlab, 2)
    assert "**This plan is behind another pull request.**" in behind and CLAIM in behind
    late = second.run("apply", "campaigns", DIGEST=digest(behind))
    assert late.returncode == 1 and CLAIM in late.stderr and effects(sandbox) == 1
    closed = gitlab.end(2, second, "closed")
    assert closed.returncode == 0 and CLAIM in claim(gitlab), said(closed)
    gitlab.api.requests[2]["state"] = "opened"

    released = gitlab.end(1, first, "merged")
    assert released.returncode == 0, said(released)
    assert not claim(gitlab)
    assert gitlab.api.pipelines == [2]


@pytest.mark.sweep
def test_only_the_newest_commit_on_an_unchanged_target_is_applied(gitlab, sandbox):
    """Intent: an older pipeline's plan, and one whose workspace has changed on the target branch, are refused."""
    gitlab.variables |= BEFORE_MERGE
    commit(gitlab, "one", "teaser")
    old = gitlab.push(1, "one")
    (shown,) = mine(gitlab, 1)
    commit(gitlab, "one", "more")
    for kind in ("detached", "merged_result"):
        new = gitlab.push(1, "one", kind=kind)
        assert not failed(new)
        (note,) = mine(gitlab, 1)
        assert "2 creates" in note
        refused = old.run("apply", "campaigns", DIGEST=digest(shown))
        assert refused.returncode == 1 and "newer commit" in refused.stderr
    older = old.run("note")
    assert older.returncode == 0 and "newer commit" in older.stdout
    assert mine(gitlab, 1) == [note]

    commit(gitlab, "elsewhere", "b", folder="brand")
    merge(gitlab, "elsewhere")
    commit(gitlab, "two", "here")
    merge(gitlab, "two")
    refused = new.run("apply", "campaigns", DIGEST=digest(note))
    assert refused.returncode == 1 and "The plan is stale: main has changed this workspace" in refused.stderr
    assert effects(sandbox) == 0
    commit(gitlab, "three", "c", folder="brand")
    planned = gitlab.push(3, "three")
    commit(gitlab, "four", "again")
    merge(gitlab, "four")  # another workspace's change makes nothing stale
    applied = planned.run("apply", "brand", DIGEST=digest(mine(gitlab, 3)[0]))
    assert applied.returncode == 0, said(applied)


@pytest.mark.sweep
def test_a_note_is_updated_in_place_and_never_shows_an_older_plan(gitlab):
    """Intent: one note for each workspace; after a push that fails, or leaves it alone, no digest stays."""
    commit(gitlab, "one", "teaser")
    commit(gitlab, "one", "b", folder="brand")
    gitlab.push(1, "one")
    assert len(mine(gitlab, 1)) == 2
    for body in (*mine(gitlab, 1), "Nice!"):
        gitlab.api.note(1, 8, body)
    (gitlab.origin / "campaigns" / "specs" / "teaser.yaml").write_text("projects: [\n")
    git(gitlab.origin, "rm", "-q", "brand/specs/b.yaml")
    git(gitlab.origin, "commit", "-qam", "Broken")
    broken = gitlab.push(1, "one")
    assert set(failed(broken)) == {"validate campaigns", "plan campaigns"}
    assert len(mine(gitlab, 1)) == 2
    assert all("### No plan" in body and "Digest" not in body for body in mine(gitlab, 1)), mine(gitlab, 1)
    train = gitlab.push(1, "one", kind="merge_train")
    assert set(failed(train)) == {"validate campaigns", "plan campaigns"}


@pytest.mark.sweep
def test_a_branch_writes_no_note(gitlab):
    """Intent: what a branch has where the plans come from is not shown, neither as files nor behind a link."""
    commit(gitlab, "one", "teaser")
    gitlab.push(1, "one")
    (note,) = mine(gitlab, 1)
    marker = note.partition("\n")[0]
    forged = gitlab.origin / "reconciler-plan" / "zzz"
    forged.mkdir(parents=True)
    (forged / "plan.md").write_text(f"{marker}\nNothing to see.\nDigest: `{digest(note)}`\n")
    (forged / "code").write_text("0 campaigns\n")
    git(gitlab.origin, "add", "-f", ".")
    commit(gitlab, "one", "more")
    pipeline = gitlab.push(1, "one")
    assert not failed(pipeline)
    (note,) = mine(gitlab, 1)
    assert "2 creates" in note and "Nothing to see" not in note
    (text,) = (gitlab.home / "artifacts" / str(pipeline.number)).rglob("plan.md")
    text.write_text(f"{text.read_text()}\n/merge\n\n \t/close\r/approve\n")
    assert pipeline.run("note").returncode == 0  # GitLab would do what such a line says
    (note,) = mine(gitlab, 1)
    assert "merge\n" in note


@pytest.mark.sweep
def test_without_a_token_there_is_no_note_and_the_claim_is_released(gitlab, sandbox):
    gitlab.variables |= BEFORE_MERGE
    gitlab.secrets = [secret for secret in gitlab.secrets if secret[1] != "RECONCILER_GITLAB_TOKEN"]
    commit(gitlab, "one", "teaser")
    pipeline = gitlab.push(1, "one")
    assert not failed(pipeline)
    assert "RECONCILER_GITLAB_TOKEN is not set" in pipeline.results["note"].stdout
    (page,) = (gitlab.home / "artifacts").rglob("plan.md")
    assert pipeline.run("apply", "campaigns", DIGEST=digest(page.read_text())).returncode == 0
    assert CLAIM in claim(gitlab)
    (gitlab.origin / "brand" / "specs" / "first.yaml").write_text("projects: [\n")
    git(gitlab.origin, "commit", "-qam", "Broken")
    assert gitlab.end(1, gitlab.push(1, "one"), "closed").returncode == 0  # an error elsewhere does not stop it
    assert not claim(gitlab)
    assert gitlab.api.calls == []


@pytest.mark.sweep
def test_the_schedule_releases_what_gitlab_missed_and_nothing_of_an_open_request(gitlab):
    gitlab.variables |= BEFORE_MERGE
    commit(gitlab, "one", "teaser")
    pipeline = gitlab.push(1, "one")
    pipeline.run("apply", "campaigns", DIGEST=digest(mine(gitlab, 1)[0]))
    assert gitlab.branch("schedule").results["release-ended"].returncode == 0
    assert CLAIM in claim(gitlab)
    gitlab.api.requests[1]["state"] = "merged"
    assert gitlab.branch("schedule").results["release-ended"].returncode == 0
    assert not claim(gitlab)


@pytest.mark.sweep
def test_drift_is_a_saved_plan_to_apply_and_an_issue_that_closes_itself(gitlab, sandbox):
    commit(gitlab, "one", "teaser")
    merge(gitlab, "one")
    pushed = gitlab.branch("push")
    assert not failed(pushed)
    (page,) = (gitlab.home / "artifacts").rglob("plan.md")
    assert pushed.run("apply", "campaigns", DIGEST=digest(page.read_text())).returncode == 0
    assert not failed(gitlab.branch("schedule")) and gitlab.api.issues == []
    project = sandbox.get("/projects").json()["projects"][0]["id"]
    for _ in range(2):
        sandbox.patch(f"/projects/{project}/settings", json={"title": "By hand @everyone"})
        night = gitlab.branch("schedule")
        assert set(failed(night)) == {"drift campaigns", "drift-issue"}
        assert night.results["drift campaigns"].returncode == jobs()["drift"]["allow_failure"]["exit_codes"] == 2
    (issue,) = gitlab.api.issues
    assert issue["title"] == "Drift in campaigns" and "By hand" in issue["description"]
    assert f"/pipelines/{night.number})" in issue["description"]
    refused = night.run("apply", "campaigns", DIGEST="0" * 64)
    assert refused.returncode == 1
    applied = night.run("apply", "campaigns", DIGEST=digest(issue["description"]))
    assert applied.returncode == 0, said(applied)
    assert sandbox.get("/projects").json()["projects"][0]["title"] == "teaser"
    assert not failed(gitlab.branch("schedule"))
    assert issue["state"] == "closed" and len(gitlab.api.issues) == 1
    shutil.rmtree(gitlab.home / "states")
    assert effects(sandbox) >= 1


@pytest.mark.sweep
@pytest.mark.parametrize("token", ["expired", "other"])
def test_a_token_that_gitlab_refuses_is_told_in_one_line(gitlab, token):
    gitlab.secrets = [(scope, name, token if "TOKEN" in name else value) for scope, name, value in gitlab.secrets]
    commit(gitlab, "one", "teaser")
    pipeline = gitlab.push(1, "one")
    assert set(failed(pipeline)) == {"note"}
    assert pipeline.results["note"].stderr.strip() == "GitLab's API: HTTP Error 401: Unauthorized"
