"""What the tests of policies share: folders of rules, and the rules of a text evaluated on a plan's JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reconciler.adapters.specs.policy.engine import evaluate
from reconciler.adapters.specs.policy.folder import PolicySet, read_policy
from reconciler.planning.policy import judge, rule_input

DIGEST = "d" * 64


def write_policy(folder: Path, rules: str = "", **files: str) -> Path:
    """A policy folder; ``prices="create: 1"`` is its `prices.yaml`."""
    folder.mkdir(parents=True, exist_ok=True)
    if rules:
        (folder / "rules.cel").write_text(rules, encoding="utf-8")
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def policy_of(tmp_path: Path, rules: str, **files: str) -> PolicySet:
    return read_policy([write_policy(tmp_path / "policy", rules, **files)])


def step(action: str = "create", address: str = "a", **body: Any) -> dict[str, Any]:
    return {"action": action, "address": address, "request": {"method": "POST", "path": "/projects", "body": body}}


def verdicts(policy: PolicySet, document: dict[str, Any], *approved_by: str) -> dict[str, str]:
    """What each rule that does not hold comes to, for the plan with ``DIGEST``."""
    seen = rule_input(document, policy.prices)
    report = judge(
        len(policy.rules),
        evaluate(policy.rules, *seen),
        seen,
        digest=DIGEST,
        waivers=policy.waivers,
        approved_by=approved_by,
    )
    return {f.rule.name: "error" if f.error and f.verdict == "denied" else f.verdict for f in report.findings}
