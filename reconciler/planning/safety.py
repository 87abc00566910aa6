"""Guards: limits on one apply, checked before its first call. Each finding gives the numbers and the way out.

After octoDNS' ``raise_if_unsafe``. ``protect`` is the planner's business, and ``--force`` does not lift it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import assert_never

from reconciler.model.config import Policy
from reconciler.model.errors import Diagnostic
from reconciler.model.plan import Cancel, Create, Forget, Plan, Replace, describe, least_credits
from reconciler.model.step_kinds import KINDS, PolicyLimit

SHARE_FROM = 10
"""With at least this many managed projects, the share guard uses ``policy.max_share``."""
SMALL_SHARE = 0.5
"""With fewer, it uses at least this share."""
FAMILY_FROM = 2
"""A ``for_each`` with at least this many projects is guarded against a change of all its keys."""


def violations(plan: Plan, policy: Policy, *, credit_balance: int | None, force: bool) -> Iterator[Diagnostic]:
    """The errors that forbid this plan.

    ``credit_balance`` is ``None`` if the API does not show it. ``force`` lifts the guards against losing projects, not the
    limits.
    """
    for action, kind in KINDS.items():
        addresses = [step.address for step in plan.steps if step.action == action]
        limit = None if kind.limit is None else _limit(policy, kind.limit)
        if limit is not None and len(addresses) > limit:
            yield Diagnostic(
                severity="error",
                summary=f"{kind.words.steps(len(addresses))}, but `policy.{kind.limit}` allows {limit}",
                detail=f"{names(list(dict.fromkeys(addresses)))}\n"
                f"Nothing was sent. Apply fewer at a time with `--target`, or raise `{kind.limit}`.",
            )
    yield from _share(plan, policy, force=force)
    yield from _changed_keys(plan, policy, force=force)
    costly = [step.address for step in plan.steps if describe(step).spends_credits]
    if policy.min_credits is not None and credit_balance is not None and credit_balance < policy.min_credits and costly:
        yield Diagnostic(
            severity="error",
            summary=f"the account has {credit_balance} credits, but `policy.min_credits` requires {policy.min_credits}",
            detail=f"{len(costly)} steps spend credits: {names(list(dict.fromkeys(costly)))}\n"
            f"The plan needs at least {least_credits(plan.steps)} credits. Nothing was sent. Add credits, or lower "
            "`min_credits`.",
        )


def too_dear(plan: Plan) -> Iterator[Diagnostic]:
    """A warning where the account has fewer credits than the plan needs; not where it may need none, as all is there."""
    if plan.lost is None and plan.credit_balance is not None and plan.credit_balance < plan.credits_needed:
        yield Diagnostic(
            severity="warning",
            summary=f"the account has {plan.credit_balance} credits, and this plan needs at least {plan.credits_needed}",
            detail="Steps that come after the credits have run out fail. Add credits, or apply fewer steps at a time with "
            "`--target`.",
        )


def _limit(policy: Policy, name: PolicyLimit) -> int | None:
    match name:
        case "max_creates":
            return policy.max_creates
        case "max_cancels":
            return policy.max_cancels
        case "max_replacements":
            return policy.max_replacements
        case "max_messages":
            return policy.max_messages
        case "max_renders":
            return policy.max_renders
        case _:
            assert_never(name)


def _share(plan: Plan, policy: Policy, *, force: bool) -> Iterator[Diagnostic]:
    """Refuse to cancel or replace too large a share of the managed projects, or to stop managing all of them.

    A small workspace has its own limit, since below ten projects a share of 0.3 would stop everyday changes. There, only
    what nobody asked for by name counts: projects that left the specs, and changes that can't be made in place; and
    ``state: cancelled`` if that stops every project, as one line of ``defaults`` does.
    """
    share = policy.max_share
    if share is None or force or not plan.managed:
        return
    if plan.managed >= SHARE_FROM:
        touched = {step.address for step in plan.steps if step.action in {"cancel", "replace"}}
        limit = share
    elif plan.destroy:  # which shows the number and asks
        return
    else:
        cancelled = {step.address for step in plan.steps if isinstance(step, Cancel)}
        touched = cancelled if 1 < plan.managed == len(cancelled) else cancelled & leaving(plan)
        forced = {
            step.address for step in plan.steps if isinstance(step, Replace) and any(c.forces for c in step.changes)
        }
        if touched or len(forced) > 1:  # a single one is an edit that the plan shows
            touched |= forced
        limit = max(share, SMALL_SHARE)
    way_out = "If you want this, use `--force`, or raise `policy.max_share`."
    if len(touched) / plan.managed > limit:  # a quotient: 0.29 * 100 is less than 29
        yield Diagnostic(
            severity="error",
            summary=f"{len(touched)} of {plan.managed} projects would be cancelled or replaced, limit {limit:.0%}",
            detail=f"{names(sorted(touched))}\nNothing was sent. {way_out}",
        )
    elif share < 1 and not plan.destroy and plan.managed > 1 and len(gone := leaving(plan)) == plan.managed:
        yield Diagnostic(
            severity="error",
            summary=f"all {plan.managed} managed projects left the specs",
            detail=f"{names(sorted(gone))}\nNothing was sent. Restore them: once forgotten, adding them again pays for new ones. "
            "To stop managing them, use `reconciler destroy`, or `--force`.",
        )


def leaving(plan: Plan) -> frozenset[str]:
    """The addresses that this plan stops managing because no spec declares them."""
    if plan.destroy:
        return frozenset()
    return frozenset(step.address for step in plan.steps if isinstance(step, Forget))


def _changed_keys(plan: Plan, policy: Policy, *, force: bool) -> Iterator[Diagnostic]:
    """Refuse a ``for_each`` whose projects would all be created again under other keys."""
    if force or plan.destroy or policy.max_share is None or policy.max_share >= 1:
        return
    created = {step.address for step in plan.steps if isinstance(step, Create)}
    old, new = _families(leaving(plan)), _families(created)
    for name, gone in old.items():
        made = new.get(name, [])
        if name in plan.families or len(gone) < FAMILY_FROM or len(made) < FAMILY_FROM:
            continue
        pairs = _same_parts(gone, made) or (tuple(zip(gone, made, strict=True)) if len(gone) == len(made) else ())
        moves = "".join(f"\n  - {{from: {json.dumps(a)}, to: {json.dumps(b)}}}" for a, b in pairs)
        advice = (
            "If they are the same projects, keep them by adding this to the specs (check each pair):\nmoved:" + moves
            if pairs
            else "If some of them are the same projects, keep those with `moved` entries."
        )
        yield Diagnostic(
            severity="error",
            summary=f"every key of `for_each` changed: `{name}` would lose {len(gone)} projects and create {len(made)}",
            detail=f"No longer declared: {names(gone)}\nNew: {names(made)}\nNothing was sent. {advice}\n"
            "A brief that contains `${each.key}` changes with the key; name the value instead, as in `${each.market}`.\n"
            "To create them again, use `--force`.",
        )


def _families(addresses: Iterable[str]) -> dict[str, list[str]]:
    """The addresses of ``for_each`` projects by their base name, sorted."""
    found: dict[str, list[str]] = {}
    for address in sorted(addresses):
        name, bracket, _ = address.partition("[")
        if bracket:
            found.setdefault(name, []).append(address)
    return found


def _same_parts(gone: list[str], made: list[str]) -> tuple[tuple[str, str], ...]:
    """Pairs whose keys have the same parts in another order: the dimensions of a matrix were swapped."""

    def parts(address: str) -> tuple[str, ...]:
        return tuple(sorted(address.partition("[")[2].removesuffix("]").split(",")))

    by_parts = {parts(address): address for address in made}
    pairs = tuple((address, by_parts[parts(address)]) for address in gone if parts(address) in by_parts)
    return pairs if len(by_parts) == len(made) else ()


def names(addresses: list[str], most: int = 10) -> str:
    """The first ``most`` addresses in one line, and how many more there are."""
    more = f" and {len(addresses) - most} more" if len(addresses) > most else ""
    return ", ".join(f"`{a}`" for a in addresses[:most]) + more
