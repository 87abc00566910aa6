"""The use case policy: evaluate the rules on a plan, and say what follows."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from msgspec import Struct

from reconciler.adapters.specs.policy.engine import evaluate
from reconciler.adapters.specs.policy.example_plans import ERROR, ExamplePlan
from reconciler.adapters.specs.policy.folder import PolicySet
from reconciler.model.plan import Plan
from reconciler.model.plan_json import encode_plan, plan_digest
from reconciler.model.policy import PolicyReport
from reconciler.planning.policy import judge, rule_input


def check_policy(policy: PolicySet, plan: Plan, of: Plan, approved_by: Collection[str] = ()) -> PolicyReport:
    """What a policy says of a plan. Waivers name the digest ``of`` it: a saved plan's as it was read, before its secrets are
    filled in. ``approved_by`` are the groups that agreed.
    """
    seen, steps = rule_input(encode_plan(plan), policy.prices)
    return judge(
        len(policy.rules),
        evaluate(policy.rules, seen, steps),
        (seen, steps),
        digest=plan_digest(of),
        waivers=policy.waivers,
        approved_by=approved_by,
    )


class ExampleResult(Struct, frozen=True):
    """How an example went: what was expected of rules and what they did, where these differ. Each is an effect, ``error``,
    or ``nothing``.
    """

    example: ExamplePlan
    differences: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.differences


def run_examples(policy: PolicySet, examples: Iterable[ExamplePlan]) -> list[ExampleResult]:
    """Evaluate the rules on example plans. No waiver and no approval counts."""
    results = []
    for example in examples:
        seen, steps = rule_input(example.document, policy.prices)
        found = {
            broken.rule.name: ERROR if broken.error is not None else broken.rule.effect
            for broken in evaluate(policy.rules, seen, steps)
        }
        differences = [
            f"{name}: expected {example.expect.get(name, 'nothing')}, found {found.get(name, 'nothing')}"
            for name in dict.fromkeys([*example.expect, *found])
            if example.expect.get(name) != found.get(name)
        ]
        if example.cost is not None and seen["cost"] != example.cost:
            differences.append(f"cost: expected {example.cost}, found {seen['cost']}")
        results.append(ExampleResult(example, tuple(differences)))
    return results
