"""A pull request's claim of a workspace and environment: from its first apply to its merge or close.

It keeps two pull requests from reverting one another. It is not the lock of a run, and no safety rests on it.
"""

from __future__ import annotations

import shlex
from typing import Final

from msgspec import Struct
from msgspec.structs import asdict

from reconciler.model.errors import Diagnostic

LONGEST: Final = 200
"""Characters of a pull request's name, and of an actor's."""
LONGEST_URL: Final = 1000
_LONGEST_TIME: Final = 40


class Claimant(Struct, frozen=True, kw_only=True):
    """Who asks: a pull request or merge request, and the person or program that works on it."""

    pull_request: str
    url: str | None = None
    actor: str | None = None


class Claim(Claimant, frozen=True, kw_only=True):
    """A claim as it is stored; ``since`` is a time in UTC."""

    since: str


class PlanClaim(Claim, frozen=True, kw_only=True):
    """The claim that stood when a plan was made; ``mine``: the plan's own pull request has it."""

    mine: bool


def seen_by(claim: Claim | None, pull_request: str | None) -> PlanClaim | None:
    """A claim as a pull request, or somebody without one, sees it."""
    return None if claim is None else PlanClaim(**asdict(claim), mine=claim.pull_request == pull_request)


def is_line(text: str, longest: int) -> bool:
    """Whether a text is one line of characters that can be shown, of this length at most."""
    return 0 < len(text) <= longest and text.isprintable() and text == text.strip()


def is_claim(claim: Claim) -> bool:
    """Whether a claim that was read has only texts as this program writes them: lines that can be shown."""
    lines = {
        claim.pull_request: LONGEST,
        claim.since: _LONGEST_TIME,
        **({} if claim.actor is None else {claim.actor: LONGEST}),
        **({} if claim.url is None else {claim.url: LONGEST_URL}),
    }
    return all(is_line(text, longest) for text, longest in lines.items())


def claimed_by(claim: Claim) -> str:
    """``Claimed by alice since 2026-11-28T05:00:00Z: https://…``."""
    who = f" by {claim.actor}" if claim.actor else ""
    return f"Claimed{who} since {claim.since}{f': {claim.url}' if claim.url else '.'}"


def unlock_command(claim: Claim, environment: str | None) -> str:
    """How this claim is released."""
    chosen = f" -e {shlex.quote(environment)}" if environment is not None else ""
    return f"`reconciler{chosen} unlock --pull-request {shlex.quote(claim.pull_request)}`"


def refusal(claim: Claim, environment: str | None) -> Diagnostic:
    """That somebody else's apply is refused."""
    return Diagnostic(
        severity="error",
        kind="claimed",
        summary=f"`{claim.pull_request}` has claimed {claimed_place(environment)}: nothing was done",
        detail=f"{claimed_by(claim)}\nWait until it is merged or closed, then plan again; or release its claim: "
        f"{unlock_command(claim, environment)}. Its own applies need `--pull-request`.",
    )


def behind(claim: Claim, environment: str | None) -> Diagnostic:
    """That a plan is made while another pull request's changes are applied and not merged yet."""
    return Diagnostic(
        severity="warning",
        kind="claimed",
        summary=f"this plan is behind: `{claim.pull_request}` has claimed {claimed_place(environment)}",
        detail=f"{claimed_by(claim)}\nIt has applied its changes and is not merged yet, so this plan may revert them. "
        "Until it is merged or closed, `apply` is refused; then plan again.",
    )


def claimed_place(environment: str | None) -> str:
    """What is claimed, in Markdown."""
    return "this workspace" if environment is None else f"environment `{environment}`"
