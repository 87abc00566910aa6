"""What the rules of a policy see of a plan, and what follows from what they say."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from reconciler.model import contract
from reconciler.model.errors import Location
from reconciler.model.policy import Broken, PolicyFinding, PolicyReport, RuleStep, Verdict, Waiver
from reconciler.model.values import Json

_HEAD: Final = (
    "workspace",
    "environment",
    "api_url",
    "destroy",
    "refresh_only",
    "summary",
    "unchanged",
    "managed",
)
"""What rules see of a plan besides its steps."""
_SECRET: Final = {"$secret", "template"}


def rule_input(document: Mapping[str, Json], prices: Mapping[str, float]) -> tuple[dict[str, Json], list[Json]]:
    """The variable ``plan`` without its steps, and the steps: the plan's JSON, its secrets masked, with what each step costs
    and where its project is declared. What a document leaves out is empty.

    ``prices`` wins over the minimums that the vendor publishes.
    """
    declared = _mapping(document.get("declared"))
    listed = document.get("steps")
    steps: list[Json] = [
        _step(_mapping(step), declared, prices) for step in (listed if isinstance(listed, list) else ())
    ]
    empty: dict[str, Json] = {
        "workspace": "",
        "environment": None,
        "api_url": "",
        "destroy": False,
        "refresh_only": False,
    }
    empty |= {"summary": {}, "unchanged": 0, "managed": 0}
    plan = {name: document.get(name, empty[name]) for name in _HEAD}
    plan["cost"] = sum(_cost(_mapping(step)["cost"]) for step in steps)
    return plan, steps


def _step(step: Mapping[str, Json], declared: Mapping[str, Json], prices: Mapping[str, float]) -> Json:
    request = step.get("request")
    body = _masked(_mapping(request).get("body"))
    place = _mapping(declared.get(str(step.get("address"))))
    shown = {**step, "request": {**request, "body": body} if isinstance(request, dict) else None}
    return {
        "project_id": None,
        "reason": "",
        "waits_for": None,
        "after": [],
        "changes": [],
        **shown,
        "body": body if isinstance(body, dict) else {},
        "cost": step_cost(str(step.get("action")), _mapping(body), prices),
        "file": place.get("file"),
        "line": place.get("line"),
        "tags": place.get("tags", []),
    }


def step_cost(action: str, body: Mapping[str, Json], prices: Mapping[str, float]) -> float:
    """The credits that a step costs: its price, or else the least that the vendor publishes."""
    current = contract.current()
    match action:
        case "create" | "replace":
            return prices.get(action, prices.get("create", current.limits.create_credits))
        case "message":
            return prices.get("message", current.limits.message_credits)
        case "render":
            quality = str(body.get("quality"))
            return prices.get(f"render_{quality}", prices.get("render", current.renders.get(quality, 0)))
        case _:
            return prices.get(action, 0)


def _mapping(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _cost(value: Json) -> float:
    return value if isinstance(value, int | float) else 0


def _masked(value: Json) -> Json:
    """A value with the templates of its secrets in their place."""
    if isinstance(value, dict):
        if value.keys() == _SECRET:
            return str(value["template"])
        return {key: _masked(item) for key, item in value.items()}
    return [_masked(item) for item in value] if isinstance(value, list) else value


def judge(
    rules: int,
    broken: Iterable[Broken],
    seen: tuple[Mapping[str, Json], list[Json]],
    *,
    digest: str,
    waivers: Iterable[Waiver],
    approved_by: Collection[str],
) -> PolicyReport:
    """What follows from the rules that don't hold, for the plan with this digest. ``seen`` is what the rules saw of it."""
    plan, steps = seen
    waived = {waiver.rule: waiver for waiver in waivers if waiver.digest == digest}
    findings = []
    for found in broken:
        rule = found.rule
        waiver = waived.get(rule.name)
        verdict: Verdict
        if found.error is None and rule.effect == "warn":
            verdict = "warned"
        elif found.error is None and rule.effect == "approve" and rule.group in approved_by:
            verdict = "approved"
        elif waiver is not None:
            verdict = "waived"
        else:
            verdict = "waits" if found.error is None and rule.effect == "approve" else "denied"
        findings.append(
            PolicyFinding(
                rule=rule,
                verdict=verdict,
                steps=tuple(_rule_step(_mapping(steps[index])) for index in found.steps),
                error=found.error,
                waiver=waiver if verdict == "waived" else None,
            )
        )
    return PolicyReport(rules=rules, cost=_cost(plan["cost"]), findings=tuple(findings))


def _rule_step(step: Mapping[str, Json]) -> RuleStep:
    file, line = step["file"], step["line"]
    location = Location(file, line if isinstance(line, int) else None) if isinstance(file, str) else None
    return RuleStep(address=str(step.get("address")), action=str(step.get("action")), location=location)
