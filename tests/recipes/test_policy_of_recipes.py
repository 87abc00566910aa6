"""The rules beside the recipe's action: those of the default branch, whatever a branch brings along."""

from __future__ import annotations

import re
import shutil

import pytest

from tests.recipes.test_comment_commands import comment, merge, plan_of, queued
from tests.recipes.test_drift_apply import claimed, drift, run, write
from tests.recipes.test_github_drift import digest_of, issues
from tests.recipes.test_github_flow import (
    SPEC,
    add,
    api,
    effects,
    failures,
    formatted,
    merged,
    planned,
    propose,
    site,
)
from tests.recipes.workflow import git

__all__ = ("api", "site")
POLICY = ".github/actions/reconciler/policy"
APPROVE = "// approve(finance) none: not a single project\nplan.summary.create == 0\n"
DENY = "// deny none: not a single project\nplan.summary.create == 0\n"


def use(repository, rules):
    folder = repository / POLICY
    folder.mkdir(exist_ok=True)
    (folder / "rules.cel").write_text(rules)
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "Policy")


@pytest.mark.long
def test_a_branch_is_judged_by_the_rules_of_the_default_branch(site, api):
    repository, github = site
    use(repository, DENY)

    def brings_its_own(repository):
        add("promo")(repository)
        (repository / POLICY / "rules.cel").write_text("// deny none: everything is fine\ntrue\n")

    propose(repository, "promo", brings_its_own)
    jobs = planned(repository, github, "promo")
    assert "plan campaigns" in failures(jobs)
    assert "E301" in jobs["plan campaigns"].log
    assert any("policy rule `none` denies this plan" in c["body"] for c in github.account["comments"])
    assert effects(api) == []


@pytest.mark.sweep
@pytest.mark.long
def test_an_apply_has_the_approval_of_its_environment_s_reviewers(site, api):
    """Intent: the variable is set in the protected environment; without it nothing is sent."""
    repository, github = site
    use(repository, APPROVE)
    propose(repository, "promo", add("promo"))
    assert not failures(planned(repository, github, "promo"))
    merged(repository, github, "promo")
    push = {"ref_name": "main"}
    refused = github.workflow("reconciler-apply", repository, push)
    assert failures(refused)["apply campaigns"] == "Apply"
    assert "E302" in refused["apply campaigns"].log and effects(api) == []
    github.vars["RECONCILER_APPROVED_BY"] = "finance"
    applied = github.workflow("reconciler-apply", repository, push)
    assert not failures(applied), {name: job.log for name, job in applied.items()}
    assert len(effects(api)) >= 2


def waive(repository, digest, rule="none"):
    """The policy's owner merges a waiver for the plan with this digest."""
    git(repository, "checkout", "-q", "main")
    path = repository / POLICY / "waivers.yaml"
    waiver = f"- rule: {rule}\n  digest: {digest}\n  reason: The board agreed.\n  by: ada@example.com\n"
    path.write_text((path.read_text() if path.exists() else "") + waiver)
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "Waiver")


def shown(github, number=7):
    """The digest of the plan that the comment shows."""
    return re.search(r"^Digest: `([0-9a-f]{64})`$", plan_of(github, number), re.MULTILINE)[1]


def denied(jobs, step="Fail where the plan did"):
    assert failures(jobs)["plan campaigns"] == step
    assert "E301" in jobs["plan campaigns"].log
    return True


def rerun(repository, github):
    return planned(repository, github, "promo", again=1)


def updated(repository, github):
    """ "Update branch", where branches must be up to date before they are merged."""
    git(repository, "checkout", "-q", "promo")
    git(repository, "merge", "-q", "--no-edit", "main")
    return planned(repository, github, "promo")


def at_the_root(repository):
    """The workspace is the whole repository, so that rules and waivers lie in its folder, too."""
    for path in ("reconciler.yaml", "specs"):
        git(repository, "mv", f"campaigns/{path}", path)
    git(repository, "rm", "-rq", "teams")
    git(repository, "commit", "-qm", "One workspace")


@pytest.mark.sweep
@pytest.mark.long
@pytest.mark.parametrize("again", [rerun, updated])
def test_a_waived_plan_is_applied_and_no_other(site, api, again):
    """Intent: the plan that was denied is the one that is waived, reviewed, queued, merged and applied; its waiver ends with it."""
    repository, github = site
    github.only = "campaigns"
    use(repository, DENY)
    propose(repository, "promo", add("promo"))
    assert denied(planned(repository, github, "promo"))
    digest = shown(github)
    waive(repository, digest)
    jobs = again(repository, github)
    assert not failures(jobs), {name: job.log for name, job in jobs.items()}
    assert shown(github) == digest
    assert "policy rule `none` is waived for this plan" in plan_of(github)
    assert plan_of(github).split("\n")[1] == f"<!-- commit: {git(repository, 'rev-parse', 'promo')} -->"
    assert effects(api) == []

    jobs = queued(repository, github, "promo")
    assert not failures(jobs), {name: job.log for name, job in jobs.items()}
    jobs = comment(repository, github, "/reconciler apply")
    assert not failures(jobs), {name: job.log for name, job in jobs.items()}
    assert len(effects(api)) == 4
    jobs = merge(repository, github, "promo")
    assert not failures(jobs), {name: job.log for name, job in jobs.items()}
    assert "already done" in jobs["apply campaigns"].log and len(effects(api)) == 4

    git(repository, "checkout", "-q", "main")
    propose(repository, "more", add("more"))
    assert denied(planned(repository, github, "more", number=8))


@pytest.mark.sweep
@pytest.mark.long
def test_the_waived_plan_of_a_workspace_at_the_root_is_applied_on_the_merge(site, api):
    """Intent: a waiver is no change of the files that the plan was made for."""
    repository, github = site
    at_the_root(repository)
    use(repository, DENY)

    def change(repository):
        (repository / "specs" / "promo.yaml").write_text(SPEC.format(name="promo", brief="Fast.", title="promo"))
        formatted(repository)

    propose(repository, "promo", change)
    assert failures(planned(repository, github, "promo")) == {"plan .": "Fail where the plan did"}
    digest = re.search("Digest: `([0-9a-f]+)`", plan_of(github, name="."))[1]
    waive(repository, digest)
    jobs = updated(repository, github)
    assert not failures(jobs), {name: job.log for name, job in jobs.items()}
    assert f"Digest: `{digest}`" in plan_of(github, name=".")
    jobs = merge(repository, github, "promo")
    assert not failures(jobs), {name: job.log for name, job in jobs.items()}
    assert len(effects(api)) == 4


def a_waiver_of_its_own(repository, github):
    """Of the branch."""
    digest = shown(github)
    git(repository, "checkout", "-q", "promo")
    (repository / POLICY / "waivers.yaml").write_text(
        f"- rule: none\n  digest: {digest}\n  reason: Mine.\n  by: eve@example.com\n"
    )
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "Mine")


def another_push(repository, github):
    waive(repository, shown(github))
    git(repository, "checkout", "-q", "promo")
    spec = repository / "campaigns" / "specs" / "promo.yaml"
    spec.write_text(spec.read_text().replace("Fast", "Faster"))
    git(repository, "commit", "-qam", "Faster")


def a_waiver_for_another_rule(repository, github):
    git(repository, "checkout", "-q", "main")
    use(repository, DENY + "\n// deny other: no project that was not planned for\nplan.summary.create == 0\n")
    waive(repository, shown(github), rule="other")


def another_artifact(repository, github):
    """The run's artifact is a plan that nobody waived."""
    waive(repository, shown(github))
    plan = next((github.home / "artifacts").glob("*/plan-campaigns/saved.plan"))
    git(repository, "checkout", "-q", "main")
    propose(repository, "other", add("other"))
    planned(repository, github, "other", number=9)
    (other,) = [path for path in (github.home / "artifacts").glob("*/plan-campaigns/saved.plan") if path != plan]
    shutil.copy(other, plan)


def another_waived_artifact(repository, github):
    """As above; of another pull request, where it is waived."""
    another_artifact(repository, github)
    waive(repository, shown(github, 9))


def another_digest_in_the_comment(repository, github):
    waive(repository, "f" * 64)
    account = github.account
    for each in account["comments"]:
        each["body"] = each["body"].replace(shown(github), "f" * 64)
    github.save(account)


def somebody_s_comment(repository, github):
    waive(repository, shown(github))
    account = github.account
    account["comments"] = [{**each, "user": {"login": "eve"}} for each in account["comments"]]
    github.save(account)


def a_run_of_a_fork(repository, github):
    waive(repository, shown(github))
    account = github.account
    account["runs"][0]["head_repository"] = {"full_name": "eve/videos"}
    github.save(account)


@pytest.mark.sweep
@pytest.mark.long
@pytest.mark.parametrize(
    "change",
    [
        a_waiver_of_its_own,
        another_push,
        a_waiver_for_another_rule,
        another_artifact,
        another_waived_artifact,
        another_digest_in_the_comment,
        somebody_s_comment,
        a_run_of_a_fork,
    ],
)
def test_what_is_not_waived_on_the_default_branch_stays_denied(site, api, change):
    """Intent: neither the branch, nor an artifact, a comment or a run waives anything."""
    repository, github = site
    github.only = "campaigns"
    use(repository, DENY)
    propose(repository, "promo", add("promo"))
    assert denied(planned(repository, github, "promo"))
    change(repository, github)
    assert denied(planned(repository, github, "promo"))
    merged(repository, github, "promo")
    assert "apply campaigns" in failures(github.workflow("reconciler-apply", repository, {}))
    assert effects(api) == []


@pytest.mark.sweep
@pytest.mark.long
def test_a_waived_plan_that_was_behind_is_made_again(site, api):
    """Intent: it would be refused as stale, since another pull request had claimed the workspace."""
    repository, github = site
    github.only = "campaigns"
    use(repository, DENY)
    claimed(github)
    propose(repository, "promo", add("promo"))
    assert denied(planned(repository, github, "promo"))
    waive(repository, shown(github))
    claimed(github).unlink()
    jobs = rerun(repository, github)
    assert denied(jobs)
    assert "behind another pull request" in jobs["plan campaigns"].log
    assert effects(api) == []


@pytest.mark.sweep
@pytest.mark.long
def test_a_plan_that_a_recipe_of_the_branch_made_is_not_kept(site, api):
    """Intent: an earlier commit of the branch could have made any plan, and shown another; its waiver counts for nothing."""
    repository, github = site
    github.only = "campaigns"
    use(repository, DENY)

    def change(repository):
        add("promo")(repository)
        path = repository / ".github" / "workflows" / "reconciler-plan.yml"
        path.write_text(path.read_text() + "# mine\n")

    propose(repository, "promo", change)
    assert denied(planned(repository, github, "promo"))
    waive(repository, shown(github))
    git(repository, "checkout", "-q", "promo")
    git(repository, "checkout", "-q", "main", "--", ".github/workflows")
    git(repository, "commit", "-qm", "As it was")
    jobs = planned(repository, github, "promo")
    assert denied(jobs)
    assert "it was made by another recipe" in jobs["plan campaigns"].log
    assert effects(api) == []


@pytest.mark.sweep
@pytest.mark.long
def test_a_drift_s_plan_can_be_waived(site, api):
    """Intent: what a policy denies differs all the same: the issue shows it, and it is applied once it is waived."""
    repository, github = site
    use(repository, DENY)
    drift(repository, github)
    (issue,) = issues(github)
    assert "policy rule `none` denies this plan" in issue["body"]
    jobs = run(repository, github, write(github))
    assert failures(jobs) == {"apply campaigns": "Apply"} and "E301" in jobs["apply campaigns"].log
    assert effects(api) == []
    waive(repository, digest_of(issue))
    jobs = run(repository, github, write(github))
    assert not failures(jobs), {name: job.log for name, job in jobs.items()}
    assert [effect["kind"] for effect in effects(api)] == ["create", "message"]
