"""What a policy says of a plan: its rules, what it found, as diagnostics and as JSON."""

from __future__ import annotations

from typing import Final, Literal, assert_never

from msgspec import Struct
from msgspec.structs import asdict, replace

from reconciler.model.desired import Address
from reconciler.model.errors import Diagnostic, Location, Severity
from reconciler.model.values import Json

DENIED: Final = "E301"
WAITS: Final = "E302"
NOT_EVALUATED: Final = "E303"
_NAMED: Final = 10
"""How many addresses a finding names."""


Effect = Literal["deny", "warn", "approve"]
Verdict = Literal["denied", "waits", "approved", "waived", "warned"]
"""What follows from a rule that does not hold. ``waits``: for the approval of the rule's group."""


class Rule(Struct, frozen=True, kw_only=True):
    """A rule of a policy; ``expression`` says what must hold, and ``group`` may approve what breaks it."""

    name: str
    effect: Effect
    group: str | None = None
    message: str
    expression: str
    location: Location


class Waiver(Struct, frozen=True, kw_only=True):
    """Lets the one plan with this digest break a rule."""

    rule: str
    digest: str
    reason: str
    by: str


class RuleStep(Struct, frozen=True, kw_only=True):
    """A step that breaks a rule, and where its project is declared."""

    address: Address
    action: str
    location: Location | None = None


class PolicyFinding(Struct, frozen=True, kw_only=True):
    """A rule that does not hold: for these steps, or for the plan. ``error``: why it could not be evaluated."""

    rule: Rule
    verdict: Verdict
    steps: tuple[RuleStep, ...] = ()
    error: str | None = None
    waiver: Waiver | None = None


class PolicyReport(Struct, frozen=True, kw_only=True):
    """What a policy says of a plan: how many rules it has, what the plan costs, and the rules that don't hold."""

    rules: int
    cost: float
    findings: tuple[PolicyFinding, ...] = ()


class Broken(Struct, frozen=True, kw_only=True):
    """A rule that does not hold. ``steps`` are indexes, of a rule about steps; ``error`` is why it can't be evaluated."""

    rule: Rule
    steps: tuple[int, ...] = ()
    error: str | None = None


def policy_diagnostics(report: PolicyReport) -> tuple[Diagnostic, ...]:
    """The findings for people, in the order of the rules."""
    return tuple(map(_diagnostic, report.findings))


def refusals(report: PolicyReport | None) -> tuple[Diagnostic, ...]:
    """What keeps the plan from being applied, as errors: what is denied, and what waits for an approval."""
    found = report.findings if report is not None else ()
    return tuple(replace(_diagnostic(f), severity="error") for f in found if f.verdict in ("denied", "waits"))


def decision(report: PolicyReport) -> str:
    """What a policy says in one word: ``deny``, ``approve`` (an approval is missing) or ``allow``."""
    verdicts = {finding.verdict for finding in report.findings}
    return "deny" if "denied" in verdicts else "approve" if "waits" in verdicts else "allow"


def policy_document(report: PolicyReport) -> Json:
    """The member ``policy`` of a plan's JSON."""
    return {
        "decision": decision(report),
        "cost": report.cost,
        "rules": report.rules,
        "findings": [_finding_document(finding) for finding in report.findings],
    }


def _finding_document(finding: PolicyFinding) -> Json:
    rule = finding.rule
    return {
        "rule": rule.name,
        "effect": rule.effect,
        "group": rule.group,
        "message": rule.message,
        **asdict(rule.location),
        "verdict": finding.verdict,
        "error": finding.error,
        "steps": [
            {
                "address": step.address,
                "action": step.action,
                "file": step.location.file if step.location else None,
                "line": step.location.line if step.location else None,
            }
            for step in finding.steps
        ],
        "waiver": {"reason": finding.waiver.reason, "by": finding.waiver.by} if finding.waiver else None,
    }


def _diagnostic(finding: PolicyFinding) -> Diagnostic:
    rule = finding.rule
    name = f"policy rule `{rule.name}`"
    addresses = list(dict.fromkeys(step.address for step in finding.steps))
    code: str | None = None
    severity: Severity
    match finding.verdict:
        case "denied" if finding.error is not None:
            severity, code = "error", NOT_EVALUATED
            said = f"{name} can't be evaluated, and so denies this plan: {finding.error}"
            advice = "Correct the rule. In a rule, `has(step.body.title)` asks whether there is something."
        case "denied":
            severity, code = "error", DENIED
            said = f"{name} denies this plan: {rule.message}"
            advice = "Change the specs, or ask the policy's owner to waive the rule for this plan's digest, in `waivers.yaml`."
        case "waits":
            severity, code = "warning", WAITS
            said = f"{name} needs the approval of `{rule.group}`: {rule.message}"
            advice = f"With the approval, use `reconciler apply --approved-by {rule.group}`."
        case "approved":
            severity = "note"
            said, advice = f"{name} is approved by `{rule.group}`: {rule.message}", ""
        case "waived":
            assert finding.waiver is not None
            severity = "note"
            said = f"{name} is waived for this plan: {rule.message}"
            advice = f"Waived by {finding.waiver.by}: {finding.waiver.reason}"
        case "warned":
            severity = "warning"
            said, advice = f"{name} warns: {rule.message}", ""
        case _:
            assert_never(finding.verdict)
    return Diagnostic(
        severity=severity,
        summary=said,
        detail="\n".join(part for part in (_names(addresses), f"Rule: {rule.location}", advice) if part),
        address=addresses[0] if len(addresses) == 1 else None,
        location=_place(finding),
        code=code,
        kind="policy",
    )


def _names(addresses: list[str]) -> str:
    more = f" and {len(addresses) - _NAMED} more" if len(addresses) > _NAMED else ""
    return f"Projects: {', '.join(f'`{address}`' for address in addresses[:_NAMED])}{more}" if addresses else ""


def _place(finding: PolicyFinding) -> Location | None:
    """Where the only project is declared."""
    places = {step.location for step in finding.steps}
    return places.pop() if len(places) == 1 else None
