"""Guards: limits on one apply, checked before its first call. They raise with numbers and say the way out.

After octoDNS' ``raise_if_unsafe``. ``protect`` is the planner's and is never overridden.
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.config import Policy
from reconciler.model.errors import Diagnostic
from reconciler.model.plan import COSTLY, Plan

SHARE_FROM = 10
"""The share guard looks at workspaces of at least this many managed projects."""


def violations(plan: Plan, policy: Policy, *, credit_balance: int | None, force: bool) -> Iterator[Diagnostic]:
    """What forbids this plan. ``credit_balance`` is ``None`` where the API does not tell; ``force`` lifts the share
    guard alone.
    """
    counts = plan.summary
    limits = (
        ("max_creates", policy.max_creates, "create", "creates"),
        ("max_cancels", policy.max_cancels, "cancel", "cancels"),
        ("max_replacements", policy.max_replacements, "replace", "replacements"),
        ("max_messages", policy.max_messages, "message", "messages"),
    )
    for name, limit, action, noun in limits:
        if limit is not None and counts[action] > limit:
            addresses = list(dict.fromkeys(step.address for step in plan.steps if step.action == action))
            yield Diagnostic(
                severity="error",
                summary=f"{counts[action]} {noun if counts[action] != 1 else noun[:-1]}, but `policy.{name}` allows {limit}",
                detail=f"{_names(addresses)}\nNothing was sent. Plan fewer at a time (`--target`), or raise `{name}`.",
            )
    yield from _share(plan, policy, force=force)
    costly = [step.address for step in plan.steps if isinstance(step, COSTLY)]
    if policy.min_credits is not None and credit_balance is not None and credit_balance < policy.min_credits and costly:
        yield Diagnostic(
            severity="error",
            summary=f"the account has {credit_balance} credits, but `policy.min_credits` asks for {policy.min_credits}",
            detail=f"{len(costly)} steps spend credits: {_names(list(dict.fromkeys(costly)))}\n"
            "Nothing was sent. Top up, or lower `min_credits`.",
        )


def _share(plan: Plan, policy: Policy, *, force: bool) -> Iterator[Diagnostic]:
    if policy.max_share is None or force or plan.managed < SHARE_FROM:
        return
    touched = {step.address for step in plan.steps if step.action in {"cancel", "replace"}}
    if len(touched) / plan.managed > policy.max_share:  # a quotient: 0.29 * 100 is less than 29
        yield Diagnostic(
            severity="error",
            summary=f"{len(touched)} of {plan.managed} projects would be cancelled or replaced, "
            f"limit {policy.max_share:.0%}",
            detail=f"{_names(sorted(touched))}\nNothing was sent. If that is the wish, use `--force`, "
            "or raise `policy.max_share`.",
        )


def _names(addresses: list[str], most: int = 10) -> str:
    more = f" and {len(addresses) - most} more" if len(addresses) > most else ""
    return ", ".join(f"`{a}`" for a in addresses[:most]) + more
