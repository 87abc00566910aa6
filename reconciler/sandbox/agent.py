"""The emulated agent, as pure data: which status a project has when, and what the agent says meanwhile.

Nothing runs in the background: a run is a list of steps with their times, stored with the project, and the next call carries out the steps that are due.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from msgspec.json import decode, encode

from reconciler.model.contract import MODE_RELEASED, Status

QUEUED_SECONDS: Final = 0.5
RUNNING_SECONDS: Final = 1.5
GENERATING_SECONDS: Final = 2.0
RENDERING_SECONDS: Final = 0.75

FAIL_MARKER: Final = "[fail]"


class Step(NamedTuple):
    """One change of status at a time (seconds since the epoch), with what the agent says or fails with at it."""

    at: float
    status: str
    says: str | None = None
    """An assistant message; may be empty, as the vendor's agent at times sends empty ones. ``None``: it says nothing."""
    error: str | None = None


class Work(NamedTuple):
    """What shapes a run."""

    mode: str
    renders: bool
    fails: bool
    run: int
    """0 for the brief, then counting messages. Every second run has an empty assistant message in it."""


def plan(work: Work, *, begins: float, speed: float) -> list[Step]:
    """The steps of a run whose ``running`` begins at ``begins``."""
    at = begins
    steps = [Step(at, Status.RUNNING, "Reading the brief." if work.run == 0 else "Working on your feedback.")]
    at += RUNNING_SECONDS / speed
    steps.append(Step(at, Status.GENERATING, "" if work.run % 2 else None))
    at += GENERATING_SECONDS / speed
    if work.fails:
        return [*steps, Step(at, Status.FAILED, None, "The agent could not complete the project: asked to fail.")]
    if work.renders:
        steps.append(Step(at, Status.RENDERING))
        at += RENDERING_SECONDS / speed
    return [*steps, Step(at, Status.IDLE, _last_words(work))]


def dump(steps: list[Step]) -> str:
    """The stored form of a schedule."""
    return encode(steps).decode()


def load(text: str) -> list[Step]:
    """The schedule behind its stored form."""
    return decode(text, type=list[Step])


def _last_words(work: Work) -> str:
    done = "Your project is complete." if work.run == 0 else f"Change {work.run} is in."
    return done if work.mode in ("autonomous", MODE_RELEASED) else f"{done} What should be different?"
