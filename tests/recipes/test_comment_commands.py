"""`/reconciler plan` and `/reconciler apply` as comments, the claim of a pull request, and the merge queue."""

import json

import pytest

from tests.recipes.gh import now
from tests.recipes.test_github_flow import (
    BOT,
    add,
    api,
    effects,
    failures,
    in_both,
    merged,
    planned,
    propose,
    pushed,
    site,
)
from tests.recipes.workflow import GITHUB, REPOSITORY, git, load

__all__ = ("api", "site")
pytestmark = pytest.mark.long
ROLES = {"ann": "write", "mia": "maintain", "ada": "admin", "tom": "triage", "eve": "read"}


def comment(repository, github, body, *, login="ann", number=7, kind="User"):
    """Somebody comments on a pull request; what the workflow does."""
    git(repository, "checkout", "-q", "main")
    account = github.account
    account["collaborators"] = ROLES
    written = {"id": 1000 + len(account["comments"]), "user": {"login": login, "type": kind}, "body": body}
    written["created_at"] = written["updated_at"] = now(account)
    account["comments"].append({**written, "issue": str(number)})
    account["reactions"] = []
    github.save(account)
    url = f"https://github.com/{REPOSITORY}/pull/{number}"
    event = {"comment": written, "issue": {"number": number, "html_url": url, "pull_request": {"url": url}}}
    return github.workflow("reconciler-comment", repository, {"event": event})


def reactions(github):
    return [content for _, content in github.account["reactions"]]


def answers(github):
    return [c["body"].split("\n", 1)[1] for c in github.account["comments"] if "reconciler-answer" in c["body"]]


def plan_of(github, number=7, name="campaigns"):
    """The comment that shows the plan."""
    marker = f"<!-- reconciler: {name} -->"
    (found,) = [
        c
        for c in github.account["comments"]
        if c["body"].startswith(marker) and c["issue"] == str(number) and c["user"] == BOT
    ]
    return found["body"]


def claims(github):
    found = (github.home / "states").rglob("*claim.json")
    return {path.parent.name: json.loads(path.read_text())["pull_request"] for path in found}


def merge(repository, github, branch, number=7):
    merged(repository, github, branch, number=number)
    return github.workflow("reconciler-apply", repository, {})


def kinds(api):
    return sorted(effect["kind"] for effect in effects(api))


@pytest.mark.sweep
def test_what_a_comment_has_applied_is_not_applied_again_on_the_merge(site, api):
    """Intent: the claim is the pull request's from its first apply to its merge, and nothing is done twice."""
    repository, github = site
    propose(repository, "promo", add("promo"))
    assert not failures(planned(repository, github, "promo"))
    head = git(repository, "rev-parse", "promo")
    assert plan_of(github).split("\n")[1] == f"<!-- commit: {head} -->"

    jobs = comment(repository, github, "/reconciler apply\r\n")
    assert not failures(jobs), {name: job.log for name, job in jobs.items()}
    assert set(jobs) == {"command", "apply campaigns", "answer"}
    assert kinds(api) == ["create"] * 2 + ["message"] * 2
    assert claims(github) == {"campaigns": f"{REPOSITORY}#7"}
    assert reactions(github) == ["eyes", "rocket"]
    assert plan_of(github).split("\n")[-1].startswith(f"**Applied**, as ann asked, for commit `{head}`")
    assert answers(github) == []

    jobs = merge(repository, github, "promo")
    assert not failures(jobs), {name: job.log for name, job in jobs.items()}
    assert "already done" in jobs["apply campaigns"].log
    assert len(effects(api)) == 4
    assert claims(github) == {}


@pytest.mark.sweep
def test_of_two_pull_requests_one_goes_first(site, api):
    """Intent: the second neither reverts the first nor waits unseen: its plan says so, and is made again after the merge."""
    repository, github = site
    for number, name in ((7, "one"), (8, "two")):
        git(repository, "checkout", "-q", "main")
        propose(repository, name, add(name))
        assert not failures(planned(repository, github, name, number=number))
    assert not failures(comment(repository, github, "/reconciler apply"))
    done = effects(api)

    refused = comment(repository, github, "/reconciler apply", number=8)
    assert failures(refused) == {"apply campaigns": "Apply"}
    assert f"{REPOSITORY}#7" in refused["apply campaigns"].log
    assert "The apply has failed" in plan_of(github, 8)
    assert reactions(github)[-1] == "confused"
    assert effects(api) == done
    comment(repository, github, "/reconciler plan", number=8)
    (run,) = github.account["reruns"]
    assert not failures(planned(repository, github, "two", number=8, again=run))
    assert "**This plan is behind another pull request.**" in plan_of(github, 8)
    assert "outcome" not in plan_of(github, 8)
    assert effects(api) == done

    assert not failures(merge(repository, github, "one"))
    assert github.account["reruns"] == [run, run]
    assert not failures(planned(repository, github, "two", number=8, again=run))
    assert "behind" not in plan_of(github, 8)
    jobs = comment(repository, github, "/reconciler apply", number=8)
    assert not failures(jobs), {name: job.log for name, job in jobs.items()}
    assert claims(github) == {"campaigns": f"{REPOSITORY}#8"}
    assert not failures(merge(repository, github, "two", 8))
    assert kinds(api) == ["create"] * 3 + ["message"] * 3
    assert claims(github) == {}


WRONG = "This is no command."
COMMENTS = {
    "no command": ("please /reconciler apply", "ann", None, None),
    "a quotation": ("> /reconciler apply\n\nShall I?", "ann", None, None),
    "words before": ("\n/reconciler apply", "ann", None, None),
    "words after": ("/reconciler apply now", "ann", WRONG, "confused"),
    "a second line": ("/reconciler apply\nbut not the second", "ann", WRONG, "confused"),
    "two commands": ("/reconciler plan\n/reconciler apply", "ann", WRONG, "confused"),
    "an expansion": ("/reconciler apply$(touch canary)", "ann", WRONG, "confused"),
    "a command behind it": ("/reconciler apply; touch canary", "ann", WRONG, "confused"),
    "an option": ("/reconciler apply --force", "ann", WRONG, "confused"),
    "another case": ("/reconciler Apply", "ann", WRONG, "confused"),
    "an output": ("/reconciler apply\ncommand=apply\n", "ann", WRONG, "confused"),
    "one command glued": ("/reconcilerapply", "ann", WRONG, "confused"),
    "a reader": ("/reconciler apply", "eve", "", "-1"),
    "a reader's plan": ("/reconciler plan", "eve", "", "-1"),
    "a triager": ("/reconciler apply", "tom", "", "-1"),
    "a stranger": ("/reconciler apply", "mallory", "", "-1"),
    "a name that is a path": ("/reconciler apply", "../../ann", "", "-1"),
}


@pytest.mark.sweep
def test_only_a_writer_s_whole_comment_is_a_command(site, api):
    """Intent: others make nobody say anything; nothing of a comment reaches a shell."""
    repository, github = site
    propose(repository, "promo", add("promo"))
    assert not failures(planned(repository, github, "promo"))
    for name, (body, login, said, reaction) in COMMENTS.items():
        jobs = comment(repository, github, body, login=login)
        if said is None:
            assert jobs == {}, name
        else:
            assert (name, set(jobs), jobs["command"].failed) == (name, {"command", "answer"}, "Take the command")
            assert (name, reactions(github)) == (name, [reaction])
            assert (name, bool(said)) == (name, any(said in answer for answer in answers(github)) and said != "")
        github.save(
            {**github.account, "comments": [c for c in github.account["comments"] if "answer" not in c["body"]]}
        )
        assert effects(api) == []
    assert comment(repository, github, "/reconciler apply", login="github-actions[bot]", kind="Bot") == {}
    assert not list(github.home.rglob("canary"))
    for login in ("mia", "ada"):
        assert not failures(comment(repository, github, "/reconciler apply", login=login))
    assert len(effects(api)) == 4


def test_an_edited_comment_starts_nothing():
    """Intent: what counts is the text as it was written, by the one who wrote it."""
    assert load(GITHUB / "workflows" / "reconciler-comment.yml")["on"] == {"issue_comment": {"types": ["created"]}}


def a_fork(repository, github):
    planned(repository, github, "promo", fork=True)


def closed(repository, github):
    account = github.account
    account["pulls"][-1]["state"] = "closed"
    github.save(account)


def another_base(repository, github):
    account = github.account
    account["pulls"][-1]["base"]["ref"] = "next"
    github.save(account)


def a_push(repository, github):
    """Its plan is not there yet."""
    git(repository, "checkout", "-q", "promo")
    git(repository, "commit", "-qm", "More", "--allow-empty")
    pushed(repository, github, "promo")


def a_push_that_github_has_not_merged_yet(repository, github):
    account = github.account
    git(repository, "checkout", "-q", "promo")
    git(repository, "commit", "-qm", "More", "--allow-empty")
    account["pulls"][-1]["head"]["sha"] = git(repository, "rev-parse", "promo")
    github.save(account)


def another_merge(repository, github):
    """Of a change to the same workspace."""
    git(repository, "checkout", "-q", "main")
    propose(repository, "main", add("other"))
    pushed(repository, github, "promo")


def a_red_check(repository, github):
    account = github.account
    account["runs"][-1]["conclusion"] = "failure"
    github.save(account)


def a_recipe_of_its_own(repository, github):
    account = github.account
    account["pulls"][-1]["files"].append({"filename": ".github/workflows/reconciler-plan.yml"})
    github.save(account)


def shown(change):
    def tamper(repository, github):
        account = github.account
        account["comments"] = [{**c, **(change(c) if c["user"] == BOT else {})} for c in account["comments"]]
        github.save(account)

    return tamper


def another_digest(each):
    digest = each["body"].partition("Digest: `")[2][:64]
    return {"body": each["body"].replace(digest, "0" * 64)}


STALE = {
    "a fork": (a_fork, "Take the command", "from a fork"),
    "closed": (closed, "Take the command", "closed"),
    "another base": (another_base, "Take the command", "not for `main`"),
    "a push": (a_push, "Fetch the plan that was shown", "made for another commit"),
    "a push without a merge": (a_push_that_github_has_not_merged_yet, "Compare the commit", "a push came in between"),
    "another merge": (another_merge, "Fetch the plan that was shown", "another merge changed files of the workspace"),
    "a red check": (a_red_check, "Fetch the plan that was shown", "not green"),
    "a recipe": (a_recipe_of_its_own, "Fetch the plan that was shown", "changes the recipe"),
    "another digest": (shown(another_digest), "Apply", "digest"),
    "a newer plan": (
        shown(lambda _: {"updated_at": "2027-01-01T00:00:00Z"}),
        "Fetch the plan that was shown",
        "has changed since the command",
    ),
    "no commit": (
        shown(lambda each: {"body": each["body"].replace("<!-- commit", "<!-- comit")}),
        "Fetch the plan that was shown",
        "made for another commit",
    ),
    "another's comment": (
        shown(lambda _: {"user": {"login": "eve", "type": "User"}}),
        "Compare the commit",
        "no plan yet",
    ),
}


@pytest.mark.sweep
@pytest.mark.parametrize("change", STALE)
def test_only_what_was_shown_for_the_commit_is_applied(site, api, change):
    """Intent: a push, a merge, a newer plan or another digest in between: it says so, and nothing is called."""
    repository, github = site
    github.only = "campaigns"
    propose(repository, "promo", add("promo"))
    assert not failures(planned(repository, github, "promo"))
    tamper, step, said = STALE[change]
    tamper(repository, github)
    jobs = comment(repository, github, "/reconciler apply")
    (failed,) = failures(jobs).values()
    assert failed == step, {name: job.log for name, job in jobs.items()}
    told = "\n".join([*(job.log for job in jobs.values()), *answers(github)])
    assert said.lower() in told.lower()
    assert effects(api) == []
    assert claims(github) == {}
    assert reactions(github)[-1] == "confused"
    if step == "Fetch the plan that was shown":
        assert said in plan_of(github).split("\n")[-1]


@pytest.mark.sweep
def test_a_plan_is_made_again_with_the_base_of_now(site, api):
    """Intent: a base that moved makes the plan stale; the same commit is planned again, and can be applied then."""
    repository, github = site
    github.only = "campaigns"
    propose(repository, "promo", add("promo"))
    assert not failures(planned(repository, github, "promo"))
    another_merge(repository, github)
    assert "apply campaigns" in failures(comment(repository, github, "/reconciler apply"))
    assert "the plan is stale" in plan_of(github)
    config = repository / "campaigns" / "reconciler.yaml"
    git(repository, "checkout", "-q", "main")
    config.write_text(config.read_text().replace("creates: 2", "creates: 9"))
    git(repository, "commit", "-qam", "More")
    jobs = comment(repository, github, "/reconciler plan")
    assert (set(jobs), failures(jobs), reactions(github)) == ({"command", "again", "answer"}, {}, ["eyes", "rocket"])
    (run,) = github.account["reruns"]
    account = github.account
    account["runs"][0]["status"] = "in_progress"
    github.save(account)
    assert not failures(comment(repository, github, "/reconciler plan"))
    assert len(github.account["reruns"]) == 1  # it is under way already
    assert not failures(planned(repository, github, "promo", again=run))
    assert "other" in plan_of(github)
    jobs = comment(repository, github, "/reconciler apply")
    assert not failures(jobs), {name: job.log for name, job in jobs.items()}
    assert kinds(api) == ["create"] * 3 + ["message"] * 3


@pytest.mark.sweep
def test_a_pull_request_that_is_closed_releases_its_claim(site, api):
    """Intent: also where it claimed more than its last push changes; others that were behind are planned again."""
    repository, github = site
    propose(repository, "one", in_both("one"))
    assert not failures(planned(repository, github, "one"))
    git(repository, "checkout", "-q", "main")
    propose(repository, "two", add("two"))
    assert not failures(comment(repository, github, "/reconciler apply"))
    assert set(claims(github)) == {"campaigns", "teams%2fbrand"}
    assert not failures(planned(repository, github, "two", number=8))
    assert "behind" in plan_of(github, 8)

    git(repository, "checkout", "-q", "main")
    pull = next(each for each in github.account["pulls"] if each["number"] == 7)
    closing = {"pull_request": {"number": 8, "merged": False, "head": pull["head"]}}
    git(repository, "update-ref", "refs/pull/8/head", "two")
    other = github.workflow("reconciler-claim", repository, {"event": closing})
    assert not failures(other), {name: job.log for name, job in other.items()}
    assert set(claims(github)) == {"campaigns", "teams%2fbrand"}  # it isn't that one's
    github.save(
        {**github.account, "reruns": [], "runs": [{**r, "status": "completed"} for r in github.account["runs"]]}
    )
    closing["pull_request"]["number"] = 7
    assert not github.workflow(
        "reconciler-claim", repository, {"event": {"pull_request": {**closing["pull_request"], "merged": True}}}
    )
    jobs = github.workflow("reconciler-claim", repository, {"event": closing})
    assert not failures(jobs), {name: job.log for name, job in jobs.items()}
    assert claims(github) == {}
    (run,) = github.account["reruns"]
    assert next(each for each in github.account["runs"] if each["id"] == run)["head_sha"] == git(
        repository, "rev-parse", "two"
    )


@pytest.mark.sweep
def test_an_applied_change_that_a_push_takes_back_is_undone_on_the_merge(site, api):
    """Intent: the workspace is none that the merge changes, and its claim is not left."""
    repository, github = site
    propose(repository, "one", in_both("one"))
    assert not failures(planned(repository, github, "one"))
    assert not failures(comment(repository, github, "/reconciler apply"))
    git(repository, "checkout", "-q", "one")
    (repository / "campaigns" / "specs" / "one.yaml").unlink()
    git(repository, "commit", "-qam", "Not that one")
    assert not failures(planned(repository, github, "one"))
    jobs = merge(repository, github, "one")
    assert not failures(jobs), {name: job.log for name, job in jobs.items()}
    assert "apply campaigns" in jobs
    assert claims(github) == {}


@pytest.mark.sweep
def test_a_failed_apply_on_the_merge_keeps_the_claim(site, api):
    """Intent: nobody comes in between until somebody runs it again."""
    repository, github = site
    propose(repository, "one", add("one"))
    assert not failures(planned(repository, github, "one"))
    assert not failures(comment(repository, github, "/reconciler apply"))
    url, github.vars["EVERSINCE_API_URL"] = github.vars["EVERSINCE_API_URL"], "http://127.0.0.1:9/api/v1"
    assert failures(merge(repository, github, "one")) == {"apply campaigns": "Apply"}
    assert claims(github) == {"campaigns": f"{REPOSITORY}#7"}
    github.vars["EVERSINCE_API_URL"] = url
    assert not failures(github.workflow("reconciler-apply", repository, {}))
    assert claims(github) == {}


def queued(repository, github, branch, number=7):
    """The merge queue's check of a pull request: of a commit on top of the base, with its changes."""
    base = git(repository, "rev-parse", "main")
    pull = next(each for each in github.account["pulls"] if each["number"] == number)
    git(repository, "checkout", "-q", "--detach", "main")
    git(repository, "merge", "-q", "--squash", branch)
    git(repository, "commit", "-qm", f"{branch} (#{number})")
    group = {
        "base_sha": base,
        "head_ref": f"refs/heads/gh-readonly-queue/main/pr-{number}-{base}",
        "head_sha": git(repository, "rev-parse", "HEAD"),
    }
    assert pull["head"]["sha"] == git(repository, "rev-parse", branch)
    return github.workflow("reconciler-queue", repository, {"event": {"merge_group": group}})


@pytest.mark.sweep
def test_the_merge_queue_takes_what_was_reviewed(site, api):
    """Intent: before and after `/reconciler apply`; the check's name is that of the pull request."""
    repository, github = site
    propose(repository, "promo", add("promo"))
    assert not failures(planned(repository, github, "promo"))
    jobs = queued(repository, github, "promo")
    assert not failures(jobs), {name: job.log for name, job in jobs.items()}
    assert set(jobs) == {"workspaces", "plan campaigns", "reconciler"}
    names = [
        load(GITHUB / "workflows" / f"reconciler-{w}.yml")["jobs"]["reconciler"]["name"] for w in ("plan", "queue")
    ]
    assert names == ["Reconciler", "Reconciler"]
    assert effects(api) == []
    assert not failures(comment(repository, github, "/reconciler apply"))
    jobs = queued(repository, github, "promo")
    assert not failures(jobs), {name: job.log for name, job in jobs.items()}
    assert len(effects(api)) == 4
    assert not failures(merge(repository, github, "promo"))


@pytest.mark.sweep
def test_the_merge_queue_refuses_what_was_not_reviewed(site, api):
    """Intent: other files, another state of the account, another's claim, a comment without a plan, an odd group."""
    repository, github = site
    github.only = "campaigns"
    propose(repository, "start", add("start"))
    assert not failures(planned(repository, github, "start"))
    assert not failures(merge(repository, github, "start"))
    git(repository, "checkout", "-q", "main")
    propose(repository, "promo", add("promo"))
    assert not failures(planned(repository, github, "promo", number=8))
    done, account = effects(api), github.account

    def refused(step, said, number=8, branch="promo"):
        jobs = queued(repository, github, branch, number)
        assert failures(jobs) == {"plan campaigns": step}, {name: job.log for name, job in jobs.items()}
        assert said in jobs["plan campaigns"].log
        assert effects(api) == done
        github.save(account)

    fetch, compare = "Fetch the plan that was reviewed", "Compare with the plan that was reviewed"
    shown(lambda each: {"body": each["body"].replace("Digest: ", "digest: ")})(repository, github)
    refused(fetch, "shows no plan of this workspace")
    shown(another_digest)(repository, github)
    refused(compare, "not the one that its comment shows")
    a_red_check(repository, github)
    refused(fetch, "No approved plan goes with")
    a_recipe_of_its_own(repository, github)
    refused(fetch, "changes the recipe")

    claim = github.home / "states" / "campaigns" / "reconciler.claim.json"
    git(repository, "checkout", "-q", "main")
    propose(repository, "nine", add("nine"))
    assert not failures(planned(repository, github, "nine", number=9))
    assert not failures(comment(repository, github, "/reconciler apply", number=9))
    assert claim.exists()
    account, done = github.account, effects(api)
    refused(compare, "behind another pull request")
    claim.unlink()

    project = next(p for p in api.get("/projects").json()["projects"] if p["title"] == "start")
    assert api.patch(f"/projects/{project['id']}/settings", json={"title": "By hand"}).status_code == 200
    done = effects(api)
    refused(compare, "Another plan than was reviewed: the account has changed for")
    git(repository, "checkout", "-q", "main")
    propose(repository, "main", add("more"))
    refused(fetch, "The plan is stale")
