"""What further commands people run in a few lives each, drawn apart, so that all other lives stay as they are."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from tests.simulation.course import Act, Course
from tests.simulation.pull_requests import NAMES

AFTER: Final = 30.0
"""Seconds after something else within which people run one of these."""


def drawn(seed: int, course: Course) -> Course:
    """The course with perhaps some of these."""
    for what, share in SHARES.items():
        r = random.Random(f"{seed}/{what}")
        if r.random() < share:
            course = COURSES.get(what, _often)(r, what, course)
    return replace(course, acts=tuple(sorted(course.acts, key=lambda act: act.at)))


def _often(r: random.Random, what: str, course: Course) -> Course:
    """Once or twice, each shortly after something else."""
    acts = [_act(r, what, course) for _ in range(r.choice((1, 1, 2)))]
    return replace(course, acts=(*course.acts, *acts))


def _act(r: random.Random, what: str, course: Course) -> Act:
    return Act(
        _after(r, course), what, r.randrange(course.workspaces), {"pick": r.randrange(100)} | MORE[what](r, course)
    )


def _after(r: random.Random, course: Course) -> float:
    return round(r.choice([act.at for act in course.acts]) + r.uniform(0.0, AFTER), 2)


def _killed(r: random.Random) -> dict[str, Any]:
    return {"kill": r.choice((None, None, r.randint(1, 25)))}


def _apply(r: random.Random, course: Course) -> dict[str, Any]:
    """How an apply is disturbed."""
    from tests.simulation.course import _apply

    return _apply(r, 0.0, course.runners, 0).more


def _claims(r: random.Random, _: str, course: Course) -> Course:
    """Some applies are for a pull request, which is merged at a time."""
    again = [replace(r.choice([a for a in course.acts if a.what == "apply"]), at=_after(r, course)) for _ in range(2)]
    acts = [
        replace(act, more=act.more | {"pull_request": r.choice((*NAMES, None))})
        if act.what in ("apply", "destroys", "targets")
        else act
        for act in (*course.acts, *again)
    ]
    acts += [_act(r, "merges", course) for _ in range(r.choice((0, 1, 2)))]
    return replace(course, acts=tuple(acts))


def _attachments(r: random.Random, _: str, course: Course) -> Course:
    """Some messages have a file, their own or one for all, and the server may lose what was uploaded."""
    acts = [
        replace(act, more=act.more | {"attaches": r.random() < 0.4})
        if act.what in ("add", "say") and r.random() < 0.7
        else act
        for act in course.acts
    ]
    if r.random() < 0.4:
        acts.append(Act(_after(r, course), "loses pictures", r.randrange(course.workspaces)))
    return replace(course, pictures=True, acts=tuple(acts))


MORE: Final[dict[str, Callable[[random.Random, Course], dict[str, Any]]]] = {
    "destroys": lambda r, course: _apply(r, course) | {"only": r.choice((None, None, True)), "ends": r.random() < 0.3},
    "replaces": _apply,
    "targets": _apply,
    "pushes": lambda r, _: (
        _killed(r)
        | {"seconds": r.choice((0.0, 2.0, 15.0, 60.0)), "force": r.random() < 0.4, "history": r.random() < 0.3}
    ),
    "reports": lambda r, _: _killed(r) | {"conversations": r.random() < 0.7},
    "outputs": lambda r, _: _killed(r) | {"refresh": r.random() < 0.7},
    "merges": lambda r, _: _killed(r) | {"pull_request": r.choice(NAMES), "force": r.random() < 0.3},
    "recovers": lambda r, _: _killed(r) | {"loses": r.random() < 0.7, "asks": r.random() < 0.5},
}
"""What else is drawn for each act."""
COURSES: Final[dict[str, Callable[[random.Random, str, Course], Course]]] = {
    "claims": _claims,
    "attachments": _attachments,
}
"""What takes more than such an act."""
SHARES: Final = {
    "destroys": 0.03,
    "replaces": 0.03,
    "targets": 0.03,
    "pushes": 0.04,
    "recovers": 0.03,
    "claims": 0.03,
    "reports": 0.03,
    "outputs": 0.03,
    "attachments": 0.04,
}
"""The share of lives that have each."""
