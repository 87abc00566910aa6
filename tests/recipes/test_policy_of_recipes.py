"""The rules beside the recipe's action: those of the default branch, whatever a branch brings along."""

from __future__ import annotations

import pytest

from tests.recipes.test_github_flow import add, api, effects, failures, merged, planned, propose, site
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
