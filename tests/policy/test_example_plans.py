"""`policy test`: example plans against the rules."""

from __future__ import annotations

import json

import pytest

from tests.cli.cli_support import make_space
from tests.policy.policy_support import write_policy

RULES = """\
// deny budget: at most 500
plan.cost <= 500

// approve(finance) cinema: not by ourselves
!has(step.body.craft) || step.body.craft != "cinema"

// warn titled: a title
step.body.title != ""
"""
TESTS = """\
tests:
  - name: one is allowed
    plan: {steps: [{action: create, address: a, request: {body: {title: T}}}]}
    cost: 300
    expect: {}
  - name: two cost too much, and nobody looked at the second
    plan:
      steps:
        - {action: create, address: a, request: {body: {title: T, craft: cinema}}}
        - {action: create, address: b, request: {body: {}}}
    expect: {budget: deny, cinema: approve, titled: error}
"""


@pytest.fixture
def space(tmp_path):
    return make_space(tmp_path, SPECS)


SPECS = "projects: {}\n"


def write(space, tests, rules=RULES, **files):
    write_policy(space.root / "p", rules, rules_test=tests, prices="create: 300", **files)
    return "policy", "test", "--policy", "p"


def test_what_is_expected_passes(space):
    ran = space.run(*write(space, TESTS))
    assert ran.out.splitlines() == [
        "ok   p/rules_test.yaml:2:5: one is allowed",
        "ok   p/rules_test.yaml:6:5: two cost too much, and nobody looked at the second",
        "3 rules, 2 passed, 0 failed.",
    ]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("expect: {}", "expect: {budget: deny}", "budget: expected deny, found nothing"),
        ("budget: deny, ", "", "budget: expected nothing, found deny"),
        ("cinema: approve", "cinema: deny", "cinema: expected deny, found approve"),
        ("titled: error", "titled: warn", "titled: expected warn, found error"),
        ("cost: 300", "cost: 299", "cost: expected 299, found 300"),
    ],
)
def test_a_difference_fails_and_is_named(space, old, new, said):
    ran = space.run(*write(space, TESTS.replace(old, new)), code=1)
    assert f"       {said}" in ran.out.splitlines()
    assert ran.out.splitlines()[-1] == "3 rules, 1 passed, 1 failed."


def test_a_rule_that_no_test_sees_is_named(space):
    ran = space.run(*write(space, TESTS, RULES + "// deny other: m\ntrue\n"))
    assert "No test expects these rules to find anything: other." in ran.out


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("tests", "said"),
    [
        ("tests: []", "the policy has no tests"),
        ("- name: x\n", "one mapping with a list `tests`"),
        ("tests: [x]\n", "a test is a mapping"),
        ("tests: [{name: x, plan: {}}]\n", "expect is missing"),
        ("tests: [{name: x, plan: {}, expect: {}, expected: {}}]\n", "unknown key 'expected'"),
        ("tests: [{name: x, plan: {}, expect: {budgets: deny}}]\n", "there is no rule 'budgets'"),
        ("tests: [{name: x, plan: {}, expect: {budget: denied}}]\n", "'denied' is not allowed"),
        ("tests: [{name: x, plan: [], expect: {}}]\n", "plan must be a mapping"),
        ("tests: [{name: x, plan: none.json, expect: {}}]\n", "none.json can't be read"),
        ("tests: [{name: x, plan: rules.cel, expect: {}}]\n", "is not JSON"),
        ("tests: [{name: x, plan: ../specs/a.yaml, expect: {}}]\n", "leads out"),
        ("tests: [{name: x, plan: {}, expect: {}, cost: much}]\n", "a number of credits"),
        ("tests: [", "not YAML"),
    ],
)
def test_a_wrong_test_is_an_error(space, tests, said):
    assert said in space.run(*write(space, tests), code=1).err


def test_a_saved_plan_is_an_example(space):
    """Intent: what `plan --out` writes can be put beside the tests as it is."""
    space.write("specs/a.yaml", "projects: {teaser: {brief: x, settings: {title: T, craft: cinema}}}\n")
    args = write(space, "tests: [{name: saved, plan: saved.json, expect: {cinema: approve}}]\n")
    space.run("plan", "--out", "p/saved.json")
    assert json.loads((space.root / "p" / "saved.json").read_text())["steps"]
    space.run(*args)


def test_a_policy_must_be_named(space):
    assert "no policy is named" in space.run("policy", "test", code=1).err
