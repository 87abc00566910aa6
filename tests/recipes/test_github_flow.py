"""The GitHub recipe, step by step, in a scratch repository against `reconciler sandbox serve`."""

import json
import re
import shutil
import subprocess

import httpx
import pytest

from tests.command import command
from tests.recipes.workflow import GITHUB, REPOSITORY, GitHub, git

SPEC = """\
projects:
  {name}:
    brief: {brief}
    settings: {{title: {title}}}
    messages: [Make the music softer.]
"""


@pytest.fixture
def api(tmp_path):
    """A sandbox as users start it."""
    (tmp_path / "served").mkdir()
    serve = [command(), "sandbox", "serve", "--port", "0", "--speed", "500"]
    with subprocess.Popen(serve, cwd=tmp_path / "served", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        try:
            url = server.stdout.readline().decode().strip()
            with httpx.Client(
                verify=False, base_url=url, headers={"Authorization": "Bearer any"}, trust_env=False
            ) as client:
                client.token = next((tmp_path / "served").rglob("*.token")).read_text().strip()
                yield client
        finally:
            server.terminate()


@pytest.fixture
def site(tmp_path, api):
    """A repository with two workspaces, and its GitHub, whose runners keep each state outside of any checkout."""
    repository = tmp_path / "repository"
    for path, name in (("campaigns", "teaser"), ("teams/brand", "intro")):
        folder = repository / path
        (folder / "specs").mkdir(parents=True)
        url = str(api.base_url).rstrip("/")
        config = f"workspace: {name}s\napi: {{url: '{url}'}}\npolicy: {{max_creates: 2}}\n"
        (folder / "reconciler.yaml").write_text(config)
        (folder / "specs" / "projects.yaml").write_text(SPEC.format(name=name, brief="A calm opening.", title=name))
        formatted(folder)
    shutil.copytree(GITHUB, repository / ".github")
    git(repository, "init", "-q", "-b", "main")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "Start")
    env = {"EVERSINCE_API_KEY": "es_live_secret_key", "RECONCILER_APPLY_POLL_INTERVAL": "0.05"}
    github = GitHub(tmp_path / "github", env, {"EVERSINCE_API_URL": str(api.base_url).rstrip("/")})
    return repository, github


def formatted(folder):
    subprocess.run([command(), "-C", str(folder), "fmt"], check=True, capture_output=True)


def effects(api):
    root = str(api.base_url).partition("/api/")[0]
    token = {"Authorization": f"Bearer {api.token}"}
    return httpx.get(f"{root}/_sandbox/ledger", headers=token, trust_env=False).json()["ledger"]


def propose(repository, branch, change):
    """A branch with a change, and the merge of it that GitHub plans; the branch's commit."""
    git(repository, "checkout", "-q", "-B", branch)
    change(repository)
    git(repository, "add", ".")
    git(repository, "commit", "-qm", branch)
    return git(repository, "rev-parse", "HEAD")


def pushed(repository, github, branch, *, number=7, repo=REPOSITORY):
    """What GitHub has of a pull request after a push: its head, the merge of it, and the files that it changes."""
    head = git(repository, "rev-parse", branch)
    git(repository, "checkout", "-q", "--detach", "main")
    git(repository, "merge", "-q", "--no-ff", "-m", "merge ref", branch)
    git(repository, "update-ref", f"refs/pull/{number}/merge", "HEAD")
    git(repository, "update-ref", f"refs/pull/{number}/head", head)
    pull = {
        "number": number,
        "state": "open",
        "merged_at": None,
        "merge_commit_sha": None,
        "base": {"ref": "main"},
        "head": {"sha": head, "repo": {"full_name": repo}},
        "files": [
            {"filename": name} for name in git(repository, "diff", "--name-only", f"main...{branch}").splitlines()
        ],
    }
    account = github.account
    account["pulls"] = [*[each for each in account["pulls"] if each["number"] != number], pull]
    github.save(account)
    return pull


def planned(repository, github, branch, *, fork=False, number=7, again=None):
    """Runs the plan workflow on the merge of a branch. ``again`` is the run of which it is another attempt."""
    pull = pushed(repository, github, branch, number=number, repo="eve/videos" if fork else REPOSITORY)
    event = {"pull_request": {"number": number, "head": pull["head"]}}
    return github.workflow("reconciler-plan", repository, {"event": event, "head_sha": pull["head"]["sha"]}, again)


def merged(repository, github, branch, *, repo=REPOSITORY, number=7):
    """What GitHub does on a squash merge."""
    pull = pushed(repository, github, branch, number=number, repo=repo)
    git(repository, "checkout", "-q", "main")
    git(repository, "merge", "-q", "--squash", branch)
    git(repository, "commit", "-qm", f"{branch} (#{number})")
    account = github.account
    merge = git(repository, "rev-parse", "HEAD")
    account["pulls"][-1] |= {"state": "closed", "merged_at": "2026-01-01T00:00:00Z", "merge_commit_sha": merge}
    assert account["pulls"][-1]["head"] == pull["head"]
    github.save(account)


def add(name):
    def change(repository):
        folder = repository / "campaigns"
        (folder / "specs" / f"{name}.yaml").write_text(SPEC.format(name=name, brief="Fast <b>cuts</b>.", title=name))
        formatted(folder)

    return change


def in_both(name):
    """As :func:`add`, with a change in the other workspace, too."""

    def change(repository):
        add(name)(repository)
        spec = repository / "teams" / "brand" / "specs" / "projects.yaml"
        spec.write_text(f"# {name}\n{spec.read_text()}")

    return change


def failures(jobs):
    """The jobs that failed, and where; the last one does if any does."""
    found = {name: job.failed for name, job in jobs.items() if job.failed}
    if "reconciler" in jobs:
        assert found.pop("reconciler", None) == ("Fail where a job did" if found else None)
    return found


@pytest.mark.long
def test_plan_approve_merge_apply_and_drift(site, api):
    """Intent: the pull-request flow as the recipe's comments promise it, from the plan to a drift found and mended."""
    repository, github = site
    foreign = {"id": 999, "user": {"login": "eve"}, "body": "<!-- reconciler: campaigns -->\nnot yours"}
    github.save({**github.account, "comments": [foreign]})

    propose(repository, "promo", in_both("promo"))
    jobs = planned(repository, github, "promo")
    assert set(jobs) == {
        "workspaces",
        "reconciler",
        *(f"{job} {name}" for job in ("validate", "plan") for name in ("campaigns", "teams%2fbrand")),
    }
    assert not failures(jobs), {name: job.log for name, job in jobs.items()}
    comments = github.account["comments"]
    assert [c["body"].split("\n")[0] for c in comments[1:]] == [
        "<!-- reconciler: campaigns -->",
        "<!-- reconciler: teams%2fbrand -->",
    ]
    assert "**2 creates and 2 messages spend credits" in comments[1]["body"]
    assert comments[0] == foreign
    assert "### Plan for `teasers`" in jobs["plan campaigns"].summary
    assert effects(api) == []
    assert not any("es_live" in str(value) for value in (github.account, [j.log + j.summary for j in jobs.values()]))

    git(repository, "checkout", "-q", "promo")
    spec = repository / "campaigns" / "specs" / "promo.yaml"
    spec.write_text(spec.read_text().replace("Fast", "Faster"))
    git(repository, "commit", "-qam", "Faster")
    assert not failures(planned(repository, github, "promo"))
    assert len(github.account["comments"]) == 3
    assert "Faster" in github.account["comments"][1]["body"]

    merged(repository, github, "promo")
    jobs = github.workflow("reconciler-apply", repository, {})
    assert not failures(jobs), {name: job.log for name, job in jobs.items()}
    assert "2 created, 2 messages sent" in jobs["apply campaigns"].summary
    done = effects(api)
    assert sorted(effect["kind"] for effect in done) == ["create"] * 3 + ["message"] * 3
    assert "::group::Progress" in jobs["apply campaigns"].log
    assert not failures(github.workflow("reconciler-apply", repository, {}))
    assert effects(api) == done

    assert not failures(github.workflow("reconciler-drift", repository, {}))
    assert github.account["issues"] == []
    project = next(p for p in api.get("/projects").json()["projects"] if p["title"] == "promo")
    assert api.patch(f"/projects/{project['id']}/settings", json={"title": "By hand @everyone"}).status_code == 200
    for _ in range(2):
        assert not failures(github.workflow("reconciler-drift", repository, {}))
    (issue,) = github.account["issues"]
    assert issue["title"] == "Drift in campaigns"
    assert "By hand @everyone" in issue["body"]
    assert issue["state"] == "open"
    assert list((github.home / "artifacts").glob("*/fleet-campaigns/index.html"))
    api.patch(f"/projects/{project['id']}/settings", json={"title": "promo"})
    assert not failures(github.workflow("reconciler-drift", repository, {}))
    assert github.account["issues"][0]["state"] == "closed"
    assert effects(api)[: len(done)] == done


@pytest.mark.sweep
def test_a_fork_is_validated_only(site):
    repository, github = site
    propose(repository, "fork", add("promo"))
    jobs = planned(repository, github, "fork", fork=True)
    assert {name.partition(" ")[0] for name in jobs} == {"workspaces", "validate", "reconciler"}
    assert all("--method" not in call for call in github.account["calls"])
    assert not failures(jobs)
    merged(repository, github, "fork", repo="eve/videos")
    jobs = github.workflow("reconciler-apply", repository, {})
    assert failures(jobs) == {"apply campaigns": "Fetch the approved plan"}
    assert "::error::No approved plan goes with this commit" in jobs["apply campaigns"].log


@pytest.mark.sweep
def test_an_invalid_spec_is_annotated_and_the_other_workspace_is_planned(site):
    repository, github = site

    def change(repository):
        in_both("good")(repository)
        (repository / "campaigns" / "specs" / "bad.yaml").write_text("projects: {bad: {brief: x, breef: y}}\n")

    propose(repository, "bad", change)
    jobs = planned(repository, github, "bad")
    assert failures(jobs) == {"validate campaigns": "Validate", "plan campaigns": "Fail where the plan did"}
    assert [c["body"].split("\n")[2].partition(",")[0] for c in github.account["comments"]] == [
        "### No plan for `teasers`",
        "### Plan for `intros`",
    ]
    assert not list((github.home / "artifacts").glob("*/plan-campaigns"))
    assert "::error file=campaigns/specs/bad.yaml,line=1," in jobs["validate campaigns"].log


@pytest.mark.sweep
def test_a_refused_plan_is_shown_and_fails_the_job(site):
    """Intent: reviewers see why there is no plan, and no artifact can be applied."""
    repository, github = site

    def change(repository):
        add("one")(repository)
        add("two")(repository)

    propose(repository, "many", change)
    jobs = planned(repository, github, "many")
    assert failures(jobs) == {"plan campaigns": "Fail where the plan did"}
    body = next(c["body"] for c in github.account["comments"] if "`teasers`" in c["body"])
    assert "max_creates" in body
    assert "::error" in jobs["plan campaigns"].log
    assert not list((github.home / "artifacts").glob("*/plan-campaigns"))


@pytest.mark.sweep
def test_an_account_that_can_not_be_read_is_told_in_the_comment(site, api):
    repository, github = site
    propose(repository, "promo", add("promo"))
    github.vars["EVERSINCE_API_URL"] = str(api.base_url).replace("/api/", "/elsewhere/")
    jobs = planned(repository, github, "promo")
    assert set(failures(jobs).values()) == {"Fail where the plan did"}
    assert "### No plan for `teasers`" in github.account["comments"][0]["body"]


@pytest.mark.sweep
def test_a_plan_for_other_files_than_were_merged_is_refused(site, api):
    repository, github = site
    propose(repository, "one", add("one"))
    assert not failures(planned(repository, github, "one"))
    git(repository, "checkout", "-q", "main")
    propose(repository, "main", add("two"))
    merged(repository, github, "one")
    jobs = github.workflow("reconciler-apply", repository, {})
    assert failures(jobs) == {"apply campaigns": "Fetch the approved plan"}
    assert "The plan is stale" in jobs["apply campaigns"].log
    assert effects(api) == []


BOT = {"login": "github-actions[bot]"}


def another_artifact(github, _, artifact):
    """The run's artifact is a plan that nobody reviewed."""
    plan = artifact / "saved.plan"
    other = next((github.home / "artifacts").glob("*/plan-teams%2fbrand/saved.plan"))
    shutil.copy(other, plan)


def another_comment(_, account, __):
    """Others say that they reviewed another plan, before and after the bot's comment."""
    text = re.sub("Digest: `[0-9a-f]{64}`", f"Digest: `{'0' * 64}`", account["comments"][0]["body"])
    forged = {"id": 50, "user": {"login": "eve"}, "body": text}
    bot = {"id": 51, "user": BOT, "body": "<!-- reconciler: other -->\n" + text}
    account["comments"] = [
        forged,
        bot,
        *[{**c, "body": c["body"].replace("Digest: `", "Digest: ")} for c in account["comments"]],
    ]


def no_comment(_, account, __):
    account["comments"] = []


def a_failed_plan(_, account, __):
    """A later push has no plan; its comment says so."""
    comment = account["comments"][0]
    comment["body"] = comment["body"].split("\n")[0] + "\n\n### No plan for `teasers`\n"


def a_fork_s_run(_, account, __):
    account["runs"][-1]["head_repository"] = {"full_name": "eve/videos"}


def another_commit_s_run(_, account, __):
    account["runs"][-1]["head_sha"] = "0" * 40


def another_workflow_s_run(_, account, __):
    account["runs"][-1]["workflow"] = "evil.yml"


def a_failed_run(_, account, __):
    account["runs"][-1]["conclusion"] = "failure"


def another_event_s_run(_, account, __):
    account["runs"][-1]["event"] = "workflow_dispatch"


def a_recipe_of_its_own(_, account, __):
    account["pulls"][-1]["files"].append({"filename": ".github/workflows/reconciler-plan.yml"})


def a_recipe_moved_away(_, account, __):
    account["pulls"][-1]["files"].append(
        {"filename": "x", "previous_filename": ".github/actions/reconciler/action.yml"}
    )


def a_pull_request_that_was_not_merged(_, account, __):
    account["pulls"][-1]["merged_at"] = None


def a_pull_request_of_another_commit(github, account, _):
    account["pulls"][-1]["merge_commit_sha"] = "0" * 40


FETCH = "Fetch the approved plan"
TAMPERED = {
    another_artifact: ("Apply", "digest"),
    another_comment: (FETCH, "shows no plan of this workspace"),
    no_comment: (FETCH, "shows no plan of this workspace"),
    a_failed_plan: (FETCH, "shows no plan of this workspace"),
    a_fork_s_run: (FETCH, "No approved plan goes with this commit"),
    another_commit_s_run: (FETCH, "No approved plan goes with this commit"),
    another_workflow_s_run: (FETCH, "No approved plan goes with this commit"),
    a_failed_run: (FETCH, "No approved plan goes with this commit"),
    another_event_s_run: (FETCH, "No approved plan goes with this commit"),
    a_recipe_of_its_own: (FETCH, "changed the recipe"),
    a_recipe_moved_away: (FETCH, "changed the recipe"),
    a_pull_request_that_was_not_merged: (FETCH, "No approved plan goes with this commit"),
    a_pull_request_of_another_commit: (FETCH, "No approved plan goes with this commit"),
}


@pytest.mark.sweep
@pytest.mark.long
def test_only_what_was_reviewed_is_applied(site, api):
    """Intent: neither an artifact, nor somebody's comment, nor another run decides what is applied."""
    repository, github = site
    propose(repository, "promo", in_both("promo"))
    assert not failures(planned(repository, github, "promo"))
    merged(repository, github, "promo")
    (artifact,) = (github.home / "artifacts").glob("*/plan-campaigns")
    account, kept = github.account, github.home / "kept"
    shutil.copytree(artifact, kept)
    github.only = "campaigns"
    for tamper, (step, said) in TAMPERED.items():
        changed = json.loads(json.dumps(account))
        tamper(github, changed, artifact)
        github.save(changed)
        job = github.workflow("reconciler-apply", repository, {})["apply campaigns"]
        assert (tamper.__name__, job.failed) == (tamper.__name__, step)
        assert said in job.log, (tamper.__name__, job.log)
        assert effects(api) == []
        shutil.rmtree(artifact)
        shutil.copytree(kept, artifact)
    github.save(account)
    assert not failures(github.workflow("reconciler-apply", repository, {}))
    assert len(effects(api)) == 4


@pytest.mark.sweep
def test_only_what_a_change_affects_is_planned_and_applied_and_drift_looks_at_all(site, api):
    repository, github = site
    propose(repository, "promo", add("promo"))
    jobs = planned(repository, github, "promo")
    assert not failures(jobs)
    assert set(jobs) == {"workspaces", "validate campaigns", "plan campaigns", "reconciler"}
    merged(repository, github, "promo")
    jobs = github.workflow("reconciler-apply", repository, {})
    assert (set(jobs), failures(jobs)) == ({"workspaces", "apply campaigns", "again"}, {})
    assert len(effects(api)) == 4
    jobs = github.workflow("reconciler-drift", repository, {})
    assert not failures(jobs)
    assert [issue["title"] for issue in github.account["issues"]] == ["Drift in teams/brand"]


@pytest.mark.sweep
def test_those_who_read_a_shared_folder_are_planned(site):
    repository, github = site
    config = repository / "teams" / "brand" / "reconciler.yaml"
    config.write_text(config.read_text() + "specs: [specs, ../../shared]\n")
    (repository / "shared").mkdir()
    shared = repository / "shared" / "all.yaml"
    shared.write_text("projects:\n  common:\n    brief: For all.\n")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "Shared")
    propose(repository, "wider", lambda _: shared.write_text("projects:\n  common:\n    brief: For most.\n"))
    jobs = planned(repository, github, "wider")
    assert not failures(jobs)
    assert set(jobs) == {"workspaces", "validate teams%2fbrand", "plan teams%2fbrand", "reconciler"}


@pytest.mark.sweep
def test_a_comment_of_an_earlier_push_is_brought_up_to_date(site):
    """Intent: a push that takes a change back leaves no plan standing that shows it."""
    repository, github = site
    propose(repository, "promo", in_both("promo"))
    assert not failures(planned(repository, github, "promo"))
    assert "promo" in github.account["comments"][0]["body"]
    git(repository, "checkout", "-q", "promo")
    (repository / "campaigns" / "specs" / "promo.yaml").unlink()
    git(repository, "commit", "-qam", "Not that one")
    jobs = planned(repository, github, "promo")
    assert not failures(jobs)
    assert "plan campaigns" in jobs
    assert len(github.account["comments"]) == 2
    assert "promo" not in github.account["comments"][0]["body"]


@pytest.mark.sweep
def test_a_change_that_affects_nothing_plans_nothing(site):
    repository, github = site
    propose(repository, "words", lambda repository: (repository / "README.md").write_text("Words.\n"))
    jobs = planned(repository, github, "words")
    assert (set(jobs), failures(jobs)) == ({"workspaces", "reconciler"}, {})
    assert github.account["comments"] == []


@pytest.mark.sweep
def test_a_merge_that_changes_the_recipe_only_applies_nothing_and_fails_nothing(site, api):
    """Intent: an update of the actions' pins is no failure of every workspace."""
    repository, github = site

    def change(repository):
        path = repository / ".github" / "workflows" / "reconciler-plan.yml"
        path.write_text(path.read_text() + "# newer\n")

    propose(repository, "bump", change)
    assert not failures(planned(repository, github, "bump"))
    merged(repository, github, "bump")
    jobs = github.workflow("reconciler-apply", repository, {})
    assert not failures(jobs)
    assert set(jobs) == {"workspaces"}
    assert effects(api) == []


@pytest.mark.sweep
def test_environments_are_a_matrix(site, api):
    """Intent: a job, a comment, an artifact and a GitHub environment for each; each plan is applied in its own."""
    repository, github = site
    github.vars["RECONCILER_ENVIRONMENTS"] = "dev prod"
    github.only = "campaigns"
    config = repository / "campaigns" / "reconciler.yaml"
    git(repository, "checkout", "-q", "main")
    config.write_text(
        config.read_text() + "default_environment: dev\nenvironments: {dev: {}, prod: {policy: {max_creates: 9}}}\n"
    )
    git(repository, "commit", "-qam", "Environments")

    propose(repository, "promo", add("promo"))
    jobs = planned(repository, github, "promo")
    assert not failures(jobs), {name: job.log for name, job in jobs.items()}
    assert {name for name in jobs if name.startswith("plan")} == {"plan campaigns dev", "plan campaigns prod"}
    bodies = [c["body"] for c in github.account["comments"]]
    assert [body.split("\n")[0] for body in bodies] == [f"<!-- reconciler: campaigns {e} -->" for e in ("dev", "prod")]
    assert all(f"environment `{e}`" in body for e, body in zip(("dev", "prod"), bodies, strict=True))
    listed = json.loads(jobs["workspaces"].outputs["list"]["list"])
    assert [(each["environment"], each["plan"]) for each in listed if each["path"] == "campaigns"] == [
        ("dev", "plan-dev"),
        ("prod", "plan-prod"),
    ]

    merged(repository, github, "promo")
    applied = github.workflow("reconciler-apply", repository, {})
    assert not failures(applied), {name: job.log for name, job in applied.items()}
    keys = sorted(e["idempotency_key"] for e in effects(api) if e["kind"] == "create")
    assert keys == [f"teasers@{e}/{a}/1" for e in ("dev", "prod") for a in ("promo", "teaser")]


def share(repository, text="A calm opening."):
    """A folder of specs above the workspace `campaigns`, which reads it."""
    (repository / "shared").mkdir(exist_ok=True)
    (repository / "shared" / "common.yaml").write_text(SPEC.format(name="common", brief=text, title="common"))
    config = repository / "campaigns" / "reconciler.yaml"
    if "shared" not in config.read_text():
        config.write_text(config.read_text().replace("creates: 2", "creates: 9") + "specs: [specs, ../shared]\n")
    formatted(repository / "campaigns")


@pytest.mark.sweep
def test_specs_above_the_workspace_are_files_of_its_plan(site, api):
    """Intent: another merge that changes them makes the plan one for other files; and a pull request that changes just
    them and the recipe does change something of this workspace.
    """
    repository, github = site
    github.only = "campaigns"
    propose(repository, "main", share)
    propose(repository, "one", add("one"))
    assert not failures(planned(repository, github, "one"))
    git(repository, "checkout", "-q", "main")
    propose(repository, "main", lambda repository: share(repository, "Another opening."))
    merged(repository, github, "one")
    jobs = github.workflow("reconciler-apply", repository, {})
    assert failures(jobs) == {"apply campaigns": "Fetch the approved plan"}
    assert "The plan is stale" in jobs["apply campaigns"].log

    def both(repository):
        share(repository, "A third opening.")
        path = repository / ".github" / "workflows" / "reconciler-plan.yml"
        path.write_text(path.read_text() + "# newer\n")

    propose(repository, "both", both)
    assert not failures(planned(repository, github, "both"))
    github.save({**github.account, "pulls": []})
    merged(repository, github, "both")
    jobs = github.workflow("reconciler-apply", repository, {})
    assert failures(jobs) == {"apply campaigns": "Fetch the approved plan"}
    assert "changed the recipe, so its plan was made by another recipe" in jobs["apply campaigns"].log
    assert effects(api) == []

    git(repository, "checkout", "-q", "main")
    propose(repository, "again", lambda repository: share(repository, "The last opening."))
    assert not failures(planned(repository, github, "again"))
    github.save({**github.account, "pulls": []})
    merged(repository, github, "again")
    assert not failures(github.workflow("reconciler-apply", repository, {}))
    assert {e["idempotency_key"] for e in effects(api) if e["kind"] == "create"} == {
        f"teasers/{name}/1" for name in ("teaser", "one", "common")
    }
