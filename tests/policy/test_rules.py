"""Rules: what they see, what follows from them, where they are wrong, and that plan data can't stop or confuse them."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from reconciler.adapters.specs.policy import engine
from reconciler.adapters.specs.policy.engine import evaluate
from reconciler.model import contract
from reconciler.model.errors import ConfigError
from reconciler.planning.policy import rule_input
from tests.policy.policy_support import DIGEST, policy_of, step, verdicts
from tests.sampling import swept

LEAST = contract.current().limits.create_credits


@pytest.mark.parametrize(
    ("expression", "document", "found"),
    [
        ("plan.cost <= 100", {"steps": [step()]}, None),
        (f"plan.cost == {LEAST}", {"steps": [step()]}, None),
        (f"plan.cost < {LEAST}", {"steps": [step()]}, "denied"),
        ("plan.cost == 0", {"steps": [step("cancel"), step("update"), step("forget")]}, None),
        ("plan.summary.create <= 1", {"summary": {"create": 2}}, "denied"),
        ('plan.environment != "prod"', {"environment": "prod"}, "denied"),
        ('plan.environment != "prod"', {"environment": None}, None),
        ("!plan.destroy", {"destroy": True}, "denied"),
        ("plan.steps.size() == 2", {"steps": [step(), step()]}, None),
        ('plan.steps.all(s, s.action == "create")', {"steps": [step(), step("cancel")]}, "denied"),
        ('step.body.title == "T"', {"steps": [step(title="T"), step(title="U")]}, "denied"),
        ('step.request.body.title == "T"', {"steps": [step(title="T")]}, None),
        ("!has(step.body.title)", {"steps": [step("forget")]}, None),
        (
            '"launch" in step.tags && step.file == "specs/a.yaml" && step.line == 3',
            {"steps": [step()], "declared": {"a": {"file": "specs/a.yaml", "line": 3, "tags": ["launch"]}}},
            None,
        ),
        ("step.tags == []", {"steps": [step()]}, None),
        (
            'step.body.webhook_url == "https://h/${env.T}"',
            {"steps": [step(webhook_url={"$secret": "00ff", "template": "https://h/${env.T}"})]},
            None,
        ),
        ("false", {"steps": []}, "denied"),
        ("step.cost < 0", {"steps": []}, None),
        # what can't be told denies
        ("plan.nothing == 1", {}, "error"),
        ("step.body.title.size() > 0", {"steps": [step(title="T"), step()]}, "error"),
        ('plan.cost == "much"', {}, "denied"),
        ("plan.cost < plan.environment", {"environment": "prod"}, "error"),
        ("plan.environment", {"environment": "prod"}, "error"),
        ("plan.environment", {"environment": None}, "error"),
        ("1 / plan.managed > 0", {"managed": 0}, "error"),
        ('plan.workspace.matches("(")', {"workspace": "w"}, "error"),
        ("step.body.big == 1", {"steps": [step(big=10**400)]}, "denied"),
        ('step.body.half == "x"', {"steps": [step(half="\ud800")]}, "denied"),
        ('step.body.zero == "a"', {"steps": [step(zero="a\0b")]}, "denied"),
        ('step.body.zero.endsWith("b")', {"steps": [step(zero="a\0b")]}, None),
        ("step.body.zero.size() == 1", {"steps": [step(zero={"a\0b": 1})]}, None),
        ('step.body.zero.all(key, key != "a")', {"steps": [step(zero={"a\0b": 1})]}, None),
    ],
)
def test_a_rule_says_what_must_hold(tmp_path, expression, document, found):
    policy = policy_of(tmp_path, f"// deny rule: it must hold\n{expression}\n")
    assert verdicts(policy, document) == ({} if found is None else {"rule": found})


@pytest.mark.parametrize(
    ("effect", "holds", "approved", "waiver", "verdict"),
    [
        ("deny", "false", (), "", "denied"),
        ("deny", "false", ("finance",), "", "denied"),
        ("deny", "false", (), DIGEST, "waived"),
        ("deny", "false", (), "e" * 64, "denied"),
        ("warn", "false", (), "", "warned"),
        ("warn", "plan.nothing == 1", (), "", "error"),
        ("warn", "plan.nothing == 1", (), DIGEST, "waived"),
        ("approve(finance)", "false", (), "", "waits"),
        ("approve(finance)", "false", ("finances", "Finance"), "", "waits"),
        ("approve(finance)", "false", ("legal", "finance"), "", "approved"),
        ("approve(finance)", "false", (), DIGEST, "waived"),
        ("approve(finance)", "plan.nothing == 1", ("finance",), "", "error"),
    ],
)
def test_what_follows_from_a_rule(tmp_path, effect, holds, approved, waiver, verdict):
    """Intent: an approval covers only its group's rules, a waiver only its digest, and neither a rule that fails."""
    waivers = f"- {{rule: rule, digest: {waiver}, reason: Agreed., by: ada}}\n" if waiver else ""
    policy = policy_of(tmp_path, f"// {effect} rule: message\n{holds}\n", waivers=waivers)
    assert verdicts(policy, {}, *approved) == {"rule": verdict}


@pytest.mark.parametrize(
    ("prices", "steps", "cost"),
    [
        ("create: 300", [step()], 300),
        ("create: 300", [step("replace")], 300),
        ("{create: 300, replace: 1}", [step("replace"), step()], 301),
        ("message: 40.5", [step("message"), step("message")], 81),
        ("{render: 7, render_4k: 120}", [step("render", quality="4k"), step("render", quality="1080p")], 127),
        ("{share: 2, adopt: 3}", [step("share"), step("adopt")], 5),
        ("{create: 0}", [step()], 0),
        ("message: 40", [step()], LEAST),
        ("", [step(), step("cancel")], LEAST),
    ],
)
def test_prices_win_over_the_published_minimum(tmp_path, prices, steps, cost):
    policy = policy_of(tmp_path, "// deny rule: m\ntrue\n", prices=prices)
    plan, seen = rule_input({"steps": steps}, policy.prices)
    assert plan["cost"] == cost == sum(one["cost"] for one in seen)


@pytest.mark.parametrize(
    ("rules", "place", "said"),
    [
        ("// deny a: m\nplan.cost <=\n", "3:1", "Syntax error"),
        ("// deny a: m\n\n  plan.cost <= foo\n", "3:16", "undeclared reference to 'foo'"),
        ("// deny a: m\nstep.cost <= foo", "2:14", "undeclared reference to 'foo'"),
        ('// deny a: m\n"é" + 1 == 2', "2:5", "no matching overload"),
        ("// deny a: m\n1 + 1\n", "1:1", "is a int"),
        ("// deny a: m\ntrue\n// deny a: n\ntrue\n", "3:1", "two rules have the name `a`"),
        ("// deny a: m\n// only a comment\n", "1:1", "has no expression"),
        ("\n\nplan.cost < 1\n// deny a: m\ntrue", "3:1", "an expression before the first rule"),
        ("// deny a m\ntrue\n", "1:1", "not the first line of a rule"),
        ("  //deny A: m\ntrue\n", "1:1", "not the first line of a rule"),
        ("// deny a:\ntrue\n", "1:1", "not the first line of a rule"),
        ("// deny(finance) a: m\ntrue\n", "1:1", "only `approve` has"),
        ("// approve a: m\ntrue\n", "1:1", "needs a group"),
        ("// approve() a: m\ntrue\n", "1:1", "not the first line of a rule"),
        (f"// deny a: {'m' * 400}\ntrue\n", "1:1", "at most 300 characters"),
        ("// deny a: m\x1b[31m\ntrue\n", "1:1", "characters"),
        ("// deny a: m\ntrue\n// dney b: m\nplan.cost < 1\n", "4:1", "Syntax error"),
        (f"// deny a: m\n{'(' * 400}true{')' * 400}\n", "1:1", "recursion limit"),
        (f'// deny a: m\n"{"a" * 200_000}" == ""\n', "1:1", "limit"),
    ],
)
def test_a_wrong_rule_is_an_error_at_its_place(tmp_path, rules, place, said):
    with pytest.raises(ConfigError) as caught:
        policy_of(tmp_path, rules)
    (first, *_) = caught.value.diagnostics
    assert first.code == "E304"
    assert f"{first.location.line}:{first.location.column}" == place
    assert said in first.summary, first.summary
    assert first.location.file.endswith("policy/rules.cel")


def test_every_wrong_rule_is_told_at_once(tmp_path):
    with pytest.raises(ConfigError) as caught:
        policy_of(tmp_path, "// deny a: m\nfoo\n// deny b: m\nbar\n// deny c: m\ntrue\n")
    assert [d.location.line for d in caught.value.diagnostics] == [2, 4]


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "expression",
    [
        'step.body.brief.matches("^(a+)+$")',
        swept('step.body.brief.matches("(a|aa|aaa)*(b|c)+$") || true'),
        "plan.steps.all(s, plan.steps.all(t, s.address == t.address || s.cost == t.cost))",
        swept("plan.steps.map(s, plan.steps.map(t, plan.steps.map(u, u.cost + s.cost + t.cost))).size() >= 0"),
        swept("plan.steps.exists(s, plan.steps.filter(t, t.address > s.address).size() < 0)"),
    ],
)
def test_three_thousand_projects_take_no_rule_forever(tmp_path, expression):
    """Intent: the engine has a bound of its own; a rule that reaches it denies, and says why."""
    policy = policy_of(tmp_path, f"// warn rule: m\n{expression}\n")
    plan, steps = rule_input({"steps": [step(address=f"a{n}", brief="a" * 500) for n in range(3000)]}, policy.prices)
    began = time.monotonic()
    found = evaluate(policy.rules, plan, steps)
    assert time.monotonic() - began < 60
    assert all(broken.error is None or "10,000 items" in broken.error for broken in found)


def test_all_rules_together_have_a_time(tmp_path):
    """Intent: what was not evaluated by then denies; nothing is left out in silence."""
    ticking = iter(range(0, 1000, 15))
    policy = policy_of(tmp_path, "// warn a: m\ntrue\n// warn b: m\ntrue\n// deny c: m\nstep.cost >= 0\n")
    plan, steps = rule_input({"steps": [step(), step()]}, {})
    found = evaluate(policy.rules, plan, steps, clock=lambda: float(next(ticking)))
    assert [broken.rule.name for broken in found] == ["b", "c"]
    assert all("20 seconds" in broken.error for broken in found)


@pytest.mark.sweep
def test_the_engine_loses_no_none():
    """Intent: version 0.1.3 frees `None` too often where a result that is `null` becomes a Python value: in Python 3.11 a
    process ends by it. A child evaluates rules with nulls everywhere, more often than there are references to it.
    """
    code = """
import sys
from reconciler.adapters.specs.policy.engine import compile_rule, evaluate
from reconciler.model.errors import Location
from reconciler.model.policy import Rule
texts = ["plan.environment", "step.project_id == null", "step.body", "step.list.all(x, x == null)", "step.project_id < 1"]
rules = [compile_rule(Rule(name="r", effect="deny", message="m", expression=t, location=Location("f", 1, 1))) for t in texts]
none = {"environment": None}
for _ in range(40):
    evaluate(rules, none, [{"project_id": None, "body": {"a": None}, "list": [None, None]}] * 200)
print("alive", sys.getrefcount(None) > 1000)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["alive", "True"], done.stderr


def test_a_rule_about_steps_has_no_plan_of_them_and_says_so(tmp_path):
    """Intent: 3,000 steps that each look at 3,000 are not what anybody wants to wait for."""
    policy = policy_of(tmp_path, "// deny rule: m\nplan.steps.exists(s, s.cost > step.cost)\n")
    (broken,) = evaluate(policy.rules, *rule_input({"steps": [step()]}, {}))
    assert "a rule that names `step` has no `plan.steps`" in broken.error


def test_what_the_engine_says_is_one_short_printable_line(tmp_path):
    """Intent: its messages quote the plan, which a branch writes."""
    hostile = "\x1b[31m(\n::error::" + "(" * 5000
    policy = policy_of(tmp_path, '// deny rule: m\n"x".matches(step.body.brief)\n')
    plan, steps = rule_input({"steps": [step(brief=hostile)]}, {})
    (broken,) = evaluate(policy.rules, plan, steps)
    assert broken.error.isprintable() and len(broken.error) <= engine._SHOWN + 1
