"""`/reconciler apply` as a comment on an issue of the drift: exactly the plan that it shows, or nothing."""

import json
import shutil

import pytest

from tests.recipes import gh
from tests.recipes.gh import now
from tests.recipes.test_comment_commands import ROLES, claims, reactions
from tests.recipes.test_github_drift import NAMES, digest_of, edit, issues, saved_plan
from tests.recipes.test_github_flow import BOT, SPEC, api, effects, failures, formatted, site
from tests.recipes.workflow import GITHUB, REPOSITORY, git, load

__all__ = ("api", "site")
pytestmark = pytest.mark.long
FETCH, TAKE = "Fetch the plan that the issue shows", "Take the command"


def drift(repository, github):
    jobs = github.workflow("reconciler-drift", repository, {})
    assert not failures(jobs), {name: job.log for name, job in jobs.items()}


def write(github, body="/reconciler apply", *, login="ann", kind="User", workspace="campaigns", **issue):
    """Somebody comments on the drift's issue; the event."""
    (shown,) = issues(github, workspace)
    account = github.account
    account["collaborators"] = ROLES
    written = {"id": 1000 + len(account["comments"]), "user": {"login": login, "type": kind}, "body": body}
    written["created_at"] = written["updated_at"] = now(account)
    account["comments"].append({**written, "issue": str(shown["number"])})
    account["reactions"] = []
    github.save(account)
    return {"comment": written, "issue": {"number": shown["number"], "user": shown["user"], **issue}}


def run(repository, github, event):
    git(repository, "checkout", "-q", "main")
    return github.workflow("reconciler-drift-apply", repository, {"event": event})


def claimed(github):
    """The claim of another pull request on `campaigns`."""
    claim = github.home / "states" / "campaigns" / "reconciler.claim.json"
    claim.parent.mkdir(parents=True, exist_ok=True)
    facts = {
        "version": 1,
        "pull_request": f"{REPOSITORY}#70",
        "url": None,
        "actor": "ann",
        "since": "2026-01-01T00:00:00Z",
    }
    claim.write_text(json.dumps(facts))
    return claim


def answers(github):
    return [c["body"].split("\n")[1] for c in github.account["comments"] if "reconciler-answer" in c["body"]]


def kinds(api):
    return [effect["kind"] for effect in effects(api)]


@pytest.mark.sweep
def test_the_plan_of_the_issue_is_applied(site, api):
    """Intent: from the drift to its end; another workspace's issue stays; the command a second time does nothing twice."""
    repository, github = site
    drift(repository, github)
    commit = git(repository, "rev-parse", "main")
    (issue,) = issues(github)
    assert issue["body"].split("\n")[1] == f"<!-- drift: 1 {commit} -->"
    jobs = run(repository, github, write(github, "/reconciler apply\r\n"))
    assert not failures(jobs), {name: job.log for name, job in jobs.items()}
    assert set(jobs) == {"command", "apply campaigns", "answer"}
    assert kinds(api) == ["create", "message"]
    assert reactions(github) == ["eyes", "rocket"]
    assert answers(github)[0].startswith(f"**Applied**, as ann asked, for commit `{commit}`")
    assert issues(github) == [issue]  # its text is what was reviewed

    git(repository, "commit", "-qm", "Elsewhere", "--allow-empty")
    assert not failures(run(repository, github, write(github)))
    assert len(effects(api)) == 2
    drift(repository, github)
    assert [each["state"] for each in (*issues(github), *issues(github, "teams/brand"))] == ["closed", "open"]


COMMENTS = {
    "no command": ("please /reconciler apply", "ann", None, None),
    "a plan": ("/reconciler plan", "ann", "This is no command.", "confused"),
    "an expansion": ("/reconciler apply$(touch canary)", "ann", "This is no command.", "confused"),
    "an output": ("/reconciler apply\nlist=[1]\n", "ann", "This is no command.", "confused"),
    "a reader": ("/reconciler apply", "eve", "for those who may write", "confused"),
    "a triager": ("/reconciler apply", "tom", "for those who may write", "confused"),
    "a stranger": ("/reconciler apply", "mallory", "for those who may write", "confused"),
    "a name that is a path": ("/reconciler apply", "../../ann", "for those who may write", "confused"),
}


@pytest.mark.sweep
def test_only_a_writer_s_whole_comment_is_a_command(site, api):
    """Intent: on an issue of the drift only; nothing of a comment reaches a shell."""
    repository, github = site
    drift(repository, github)
    for name, (body, login, said, reaction) in COMMENTS.items():
        jobs = run(repository, github, write(github, body, login=login))
        if said is None:
            assert jobs == {}, name
        else:
            assert (name, set(jobs), jobs["command"].failed) == (name, {"command", "answer"}, TAKE)
            assert (name, said in answers(github)[-1]) == (name, True)
            assert (name, reactions(github)) == (name, [reaction])
    assert run(repository, github, write(github, login="github-actions[bot]", kind="Bot")) == {}
    assert run(repository, github, write(github, user={"login": "eve"})) == {}
    assert run(repository, github, write(github, pull_request={"url": "x"})) == {}
    assert effects(api) == []
    assert not list(github.home.rglob("canary"))
    for login in ("mia", "ada"):
        assert not failures(run(repository, github, write(github, login=login)))
    assert kinds(api) == ["create", "message"]


def test_an_edited_comment_starts_nothing():
    """Intent: what counts is the text as it was written, by the one who wrote it."""
    assert load(GITHUB / "workflows" / "reconciler-drift-apply.yml")["on"] == {"issue_comment": {"types": ["created"]}}


def body(change, by=BOT):
    """The issue's text is changed."""

    def tamper(repository, github):
        def change_it(account):
            gh.edited(account, account["issues"][0], change(account["issues"][0]["body"]), by)

        edit(github, change_it)

    return tamper


def digest(text):
    at = text.index("Digest: `") + 9
    return text[:at] + "0" * 64 + text[at + 64 :]


def of_the_run(**facts):
    def tamper(repository, github):
        edit(github, lambda account: account["runs"][0].update(facts))

    return tamper


def closed(repository, github):
    edit(github, lambda account: account["issues"][0].update(state="closed"))


def a_newer_plan(repository, github):
    """Of a run that has not come to the issue yet."""
    plan = saved_plan(github)
    account = github.account
    account["runs"].append({**account["runs"][0], "id": 50})
    github.save(account)
    shutil.copytree(plan.parent, plan.parents[2] / "50" / plan.parent.name)


def another_merge(repository, github):
    spec = repository / "campaigns" / "specs" / "more.yaml"
    spec.write_text(SPEC.format(name="more", brief="More.", title="more"))
    formatted(repository / "campaigns")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "More")


def another_artifact(repository, github):
    shutil.copy(saved_plan(github, "teams/brand"), saved_plan(github))


def no_artifact_s_tree(repository, github):
    (saved_plan(github).parent / "tree").write_text("0" * 40 + "\n")


def no_such_workspace(repository, github):
    git(repository, "rm", "-rq", "campaigns")
    git(repository, "commit", "-qm", "No campaigns")


def same(text):
    return text


BEFORE = {
    "edited by somebody": (body(same, {"login": "eve"}), FETCH, "somebody has edited the issue"),
    "edited by a writer": (body(digest, {"login": "ann"}), FETCH, "somebody has edited the issue"),
    "edited by who is gone": (body(same, None), FETCH, "somebody has edited the issue"),
    "edited by one with a name alike": (
        body(same, {"login": "github-actions"}),
        FETCH,
        "somebody has edited the issue",
    ),
    "closed": (closed, FETCH, "the issue is closed"),
    "another digest": (body(digest), FETCH, "another digest than the issue shows"),
    "no digest": (body(lambda text: text.replace("Digest: ", "")), FETCH, "shows no plan of this workspace"),
    "no run": (body(lambda text: text.replace("<!-- drift: ", "<!-- ")), TAKE, "does not show a plan"),
    "no marker": (body(lambda text: text.replace("<!-- reconciler: ", "<!-- ")), TAKE, "does not show a plan"),
    "another workspace": (
        body(lambda text: text.replace("reconciler: campaigns", "reconciler: teams%2fbrand")),
        FETCH,
        "another digest than the issue shows",
    ),
    "no such workspace": (no_such_workspace, "Find its workspace", "no workspace of this name"),
    "a run of a branch": (of_the_run(head_branch="evil"), FETCH, "on the main branch"),
    "a run of a fork": (of_the_run(head_repository={"full_name": "eve/videos"}), FETCH, "on the main branch"),
    "a run of another commit": (of_the_run(head_sha="0" * 40), FETCH, "on the main branch"),
    "a run of another workflow": (of_the_run(path=".github/workflows/evil.yml"), FETCH, "on the main branch"),
    "a run for another event": (of_the_run(event="pull_request"), FETCH, "on the main branch"),
    "a newer plan": (a_newer_plan, FETCH, "there is a newer plan"),
    "another merge": (another_merge, FETCH, "the plan is stale"),
    "another artifact": (another_artifact, FETCH, "another digest than the issue shows"),
    "files that were not planned": (no_artifact_s_tree, FETCH, "the plan is stale"),
}
AFTER = {
    "a newer text": (body(same), FETCH, "the issue has changed since the command"),
    "edited after it": (body(digest, {"login": "eve"}), FETCH, "somebody has edited the issue"),
    "closed meanwhile": (closed, FETCH, "the issue is closed"),
}
DEFAULT = ("edited by a writer", "another digest")
CASES = [
    pytest.param(tamper, step, said, when, id=name, marks=[] if name in DEFAULT else pytest.mark.sweep)
    for when, cases in (("before", BEFORE), ("after", AFTER))
    for name, (tamper, step, said) in cases.items()
]


@pytest.mark.parametrize(("tamper", "step", "said", "when"), CASES)
def test_only_what_the_issue_shows_is_applied(site, api, tamper, step, said, when):
    """Intent: it says why not, and nothing is called."""
    repository, github = site
    drift(repository, github)
    if when == "before":
        tamper(repository, github)
        event = write(github)
    else:
        event = write(github)
        tamper(repository, github)
    jobs = run(repository, github, event)
    (failed,) = failures(jobs).values()
    assert failed == step, {name: job.log for name, job in jobs.items()}
    assert said in answers(github)[-1]
    assert reactions(github)[-1] == "confused"
    assert effects(api) == []


@pytest.mark.sweep
def test_what_the_account_has_changed_makes_the_plan_stale(site, api):
    """Intent: the apply refuses, the answer leads to its log, and the next drift's plan can be applied."""
    repository, github = site
    drift(repository, github)
    assert not failures(run(repository, github, write(github)))
    project = api.get("/projects").json()["projects"][0]
    for title in ("By hand", "By another hand"):
        assert api.patch(f"/projects/{project['id']}/settings", json={"title": title}).status_code == 200
        if title == "By hand":
            drift(repository, github)
    done = effects(api)
    jobs = run(repository, github, write(github))
    assert failures(jobs) == {"apply campaigns": "Apply"}
    assert "changed outside" in jobs["apply campaigns"].log
    assert answers(github)[-1].startswith("**The apply has failed**")
    assert effects(api) == done
    drift(repository, github)
    assert not failures(run(repository, github, write(github)))
    assert api.get("/projects").json()["projects"][0]["title"] == project["title"]


@pytest.mark.sweep
def test_a_claim_goes_first_and_the_job_can_be_run_again(site, api):
    """Intent: what a pull request has claimed is not reverted; another attempt takes the same plan."""
    repository, github = site
    drift(repository, github)
    claim = claimed(github)
    jobs = run(repository, github, write(github))
    assert failures(jobs) == {"apply campaigns": "Apply"}
    assert f"{REPOSITORY}#70" in jobs["apply campaigns"].log, jobs["apply campaigns"].log
    assert claims(github) == {"campaigns": f"{REPOSITORY}#70"} and effects(api) == []
    claim.unlink()
    jobs = github.failed_again(2)
    assert not failures(jobs), {name: job.log for name, job in jobs.items()}
    assert kinds(api) == ["create", "message"]
    assert (
        digest_of(issues(github)[0])
        in (github.home / "artifacts" / "1" / f"drift-{NAMES['campaigns']}" / "saved.plan").read_text()
    )
