"""Lives with a theme: circumstances that a safety step is for, and that chance alone hardly ever brings together.

A theme is no script. It makes a meeting likely: what is wanted, who acts at about which time, and what becomes of a few
requests. The server, the clocks, and mostly the network stay as they were drawn.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from tests.simulation.course import BRIEFS, CRAFTS, TITLES, WORDS, Act, Course

SHARE: Final = 0.1
"""Of the lives that have a theme."""
DAY: Final = 90_000.0
"""Seconds after which a key may be forgotten."""
UNKNOWN: Final = ("lost", "late", "unheard", "time-out before", "time-out after", "proxy 502 before", "proxy 502 after")
"""Fates of a request whose sender does not know whether it was done."""


def themed(course: Course) -> Course:
    """The course, perhaps with a theme."""
    name = theme_of(course.seed)
    return course if name is None else THEMES[name](random.Random(f"{course.seed}/{name}"), course)


def theme_of(seed: int) -> str | None:
    """The name of a life's theme, if it has one."""
    r = random.Random(f"{seed}/theme")
    return r.choice(sorted(THEMES)) if r.random() < SHARE else None


# ── what they are made of ───────────────────────────────────────────────────────────────────────────────────────────────


def _plain(r: random.Random, course: Course, acts: list[Act], **more: Any) -> Course:
    """One workspace, with nothing that has no part in the theme; half of the time the network is fair, too."""
    runners = more.setdefault("runners", (0,))
    usual = Course(seed=course.seed, remote=r.random() < 0.3)
    kept = {name: getattr(course, name) for name in ("lease", "settle", "pace", "environment")}
    server = course.server | {"message_habits": [], "title_habits": [], "message_max": 0} | more.pop("server", {})
    acts.sort(key=lambda act: act.at)
    return replace(
        usual,
        **kept
        | {
            "server": server,
            "wire": course.wire if r.random() < 0.5 else {},
            "skews": tuple(0.0 for _ in range(len(runners) + 2)),
            "acts": tuple(acts),
        }
        | more,
    )


def _add(r: random.Random, **more: Any) -> Act:
    usual = {
        "brief": r.choice(BRIEFS),
        "title": r.choice((None, *TITLES)),
        "words": [],
        "secret": False,
        "fails": False,
        "on_remove": "stop",
        "twin": False,
        "after": False,
    }
    return Act(0.0, "add", 0, usual | more)


def _apply(r: random.Random, at: float, who: int = 0, **more: Any) -> Act:
    return Act(round(at, 2), "apply", who, {"wait": r.choice(("steps", "steps", "idle"))} | more)


def _killed(r: random.Random, most: int) -> dict[str, Any]:
    """Killed soon after one of the first changing requests left, and started again."""
    return {
        "kill_sent": r.randint(1, most),
        "kill_after": round(r.uniform(0.0, 0.4), 3),
        "power": r.random() < 0.3,
        "retry": round(r.uniform(0.1, 8.0), 2),
    }


def _fates(
    r: random.Random, call: str, count: int, *, likely: float, fates: tuple[str, ...] = UNKNOWN
) -> dict[str, str]:
    """What becomes of the first requests of a kind."""
    return {f"{call} {n}": r.choice(fates) for n in range(1, count + 1) if r.random() < likely}


def _upon(r: random.Random, call: str, count: int) -> dict[str, Any]:
    """At about the time of one of the first requests of a kind."""
    return {"at": round(r.choice((0.0, 0.5, 5.0)) * r.random(), 2), "upon": f"{call} {r.randint(1, count)}"}


# ── themes ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _later_rivals(r: random.Random, course: Course) -> Course:
    """Two environments that have applied before, so that the state of each tells all that it has."""
    alike = {"brief": r.choice(BRIEFS), "title": r.choice(TITLES), "twin": True, "fails": True}
    lost, made = r.choice(("lost", "proxy 502 before")), r.choice(("late", "unheard"))
    acts = [
        _add(r),
        _apply(r, 0.1),
        _apply(r, 10.0, 1),
        replace(_add(r, **alike), at=30.0),
        _apply(r, 30.1, **_killed(r, 1)),
        _apply(r, r.uniform(30.1, 33.0), 1, **_killed(r, 1)),
        _apply(r, r.uniform(50.0, 90.0)),
    ]
    two = {"runners": (0, 1), "workspaces": 2, "environment": None, "environments": ("staging", "production")}
    return _plain(r, course, acts, fates={"POST projects 3": lost, "POST projects 4": made}, **two)


def _rivals(r: random.Random, course: Course) -> Course:
    """Equal projects that fail, here or in two environments of one account, and creates of unknown fate; or of a known one,
    whose run is killed later.
    """
    later = random.Random(f"{course.seed}/later")
    if later.random() < 0.25:
        return _later_rivals(later, course)
    alike = {"brief": r.choice(BRIEFS), "title": r.choice(TITLES), "twin": True, "fails": True}
    if r.random() < 0.2:
        killed = _killed(r, 2) | {"kill_after": round(r.uniform(5.5, 15.0), 2)}
        acts = [_add(r, **alike), _add(r, **alike), _apply(r, 0.1, **killed | {"wait": "idle"}), _apply(r, 120.0)]
        return _plain(r, course, acts, server={"speed": 0.2})
    fates = _fates(r, "POST projects", 4, likely=0.6)
    if r.random() < 0.5:  # one is made, for the other
        fates |= {
            "POST projects 1": r.choice(("lost", "proxy 502 before")),
            "POST projects 2": r.choice(("late", "unheard")),
        }
    more: dict[str, Any] = {"fates": fates}
    if r.random() < 0.5:
        acts = [_add(r, **alike), _add(r, **alike), _apply(r, 0.1, **_killed(r, 3))]
    else:
        more |= {"runners": (0, 1), "workspaces": 2, "environment": None, "environments": ("staging", "production")}
        acts = [_add(r, **alike), _apply(r, 0.1, **_killed(r, 1)), _apply(r, r.uniform(0.1, 3.0), 1, **_killed(r, 1))]
    return _plain(r, course, [*acts, _apply(r, r.uniform(10.0, 60.0))], **more)


def _found_again(r: random.Random, course: Course) -> Course:
    """A project of a lost state that people stop just as the next run finds it, or that fails then; or that is adopted again."""
    others = random.Random(f"{course.seed}/fails")
    if others.random() < 0.25:
        return _fails_as_it_is_found(others, course)
    acts = [
        *(_add(r, words=r.sample(WORDS, r.randint(0, 1)), render=r.random() < 0.2) for _ in range(r.randint(1, 2))),
        _apply(r, 0.1),
        Act(20.0, "lose", 0, {"anyway": True}),
        _apply(r, 21.0, **({} if r.random() < 0.6 else _killed(r, 2))),
        _apply(r, r.uniform(22.0, 60.0)),
    ]
    first = sum(act.what == "add" for act in acts) + 1
    stop = {"pick": r.randrange(100), "status": r.choice(("cancelled", "cancelled", "failed"))}
    if r.random() < 0.7:
        acts.append(Act(round(r.choice((0.0, 0.3)) * r.random(), 2), "stops", 0, stop, f"POST projects {first}"))
    else:
        acts.append(Act(round(r.uniform(20.5, 26.0), 2), "stops", 0, stop))
    more: dict[str, Any] = {"server": {"active_projects": r.choice((1, 2, 5))}}
    if r.random() < 0.2:  # adopted and rendered, and adopted again
        acts = [replace(a, more=a.more | {"adopts": True, "render": True}) if a.what == "add" else a for a in acts]
        more["fates"] = {f"POST project {first}": r.choice(UNKNOWN)}
    return _plain(r, course, acts, **more)


def _fails_as_it_is_found(r: random.Random, course: Course) -> Course:
    """The key that would bind it is on its way for long."""
    acts = [
        _add(r, fails=True),
        _apply(r, 0.1, kill_sent=1, kill_after=round(r.uniform(0.2, 1.0), 3), power=False),
        Act(1.5, "lose", 0, {"anyway": True}),
        _apply(r, r.uniform(1.6, 4.5)),
        _apply(r, 60.0),
    ]
    return _plain(r, course, acts, fates={"POST projects 2": "slow"})


def _sent_twice(r: random.Random, course: Course) -> Course:
    """A proxy sends a call twice, and the second copy is refused: a create whose project fails before its key is sent again;
    or a render whose video may be done before the next look.
    """
    others = random.Random(f"{course.seed}/creates")
    if others.random() < 0.25:
        acts = [_add(others, fails=True), _apply(others, 0.1), _apply(others, 60.0)]
        server = {"speed": others.choice((1.0, 2.0, 5.0))}
        return _plain(others, course, acts, server=server, fates={"POST projects 1": "twice"})
    acts = [
        _add(r, words=r.sample(WORDS, r.randint(0, 2)), render=True, share=r.random() < 0.5),
        _apply(r, 0.1, wait="idle"),
        Act(30.0, "say", 0, {"pick": 0, "words": r.choice(WORDS)}),
        _apply(r, 31.0, wait="idle"),
    ]
    server = {"speed": r.choice((1.0, 5.0, 500.0)), "requests_per_minute": r.choice((0, 0, 10, 30))}
    fates = _fates(r, "POST render", 2, likely=0.8, fates=("twice", "twice", "twice", *UNKNOWN))
    return _plain(r, course, acts, server=server, fates=fates)


def _generations(r: random.Random, course: Course) -> Course:
    """Projects that were replaced, or let go, before the state is lost: the newest one counts."""
    acts = [_add(r, words=r.sample(WORDS, r.randint(0, 1)), on_remove=r.choice(("stop", "cancel"))), _apply(r, 0.1)]
    at = 20.0
    for _ in range(r.randint(1, 2)):
        what = r.choice(("rewrite", "rewrite", "rm"))
        acts += [Act(at, what, 0, {"pick": 0, "brief": r.choice(BRIEFS)}), _apply(r, at + 1.0)]
        at += 30.0
    acts += [Act(at, "lose", 0, {"anyway": True}), _apply(r, at + 1.0, **({} if r.random() < 0.5 else _killed(r, 2)))]
    return _plain(r, course, acts)


def _echoes(r: random.Random, course: Course) -> Course:
    """Messages with the words of the brief, some of whose answers are lost."""
    acts = [
        *(_add(r, echo=True, words=r.sample(WORDS, r.randint(0, 1))) for _ in range(r.randint(1, 2))),
        _apply(r, 0.1, **({} if r.random() < 0.5 else _killed(r, 3))),
        _apply(r, r.uniform(15.0, 40.0)),
    ]
    fates = _fates(r, "POST messages", 3, likely=0.5)
    return _plain(r, course, acts, server={"brief_is_message": r.random() < 0.8}, fates=fates)


def _paused(r: random.Random, course: Course) -> Course:
    """A runner pauses before it writes what it is about to do; somebody takes it for dead, and unlocks the state for another."""
    at = 20.0 + r.uniform(1.5, 6.0)
    acts = [
        _add(r, words=r.sample(WORDS, r.randint(0, 1))),
        _apply(r, 0.1, wait="steps"),
        Act(18.0, "say", 0, {"pick": 0, "words": r.choice(WORDS)}),
        _apply(r, 20.0, pause_before=r.randint(1, 3), paused=r.choice((10.0, 20.0, 40.0))),
        Act(round(at, 2), "unlock", 0, {"anyway": True}),
        _apply(r, at + r.uniform(0.5, 3.0), 1, lock_timeout=100.0),
        _apply(r, 90.0, lock_timeout=100.0),
    ]
    return _plain(r, course, acts, remote=True, runners=(0, 0), lease=60.0, pace=1000)


def _unrecorded(r: random.Random, course: Course) -> Course:
    """The store goes away as creates of equal projects, which fail, are answered."""
    alike = {"brief": r.choice(BRIEFS), "title": r.choice(TITLES), "twin": True, "fails": True}
    acts = [
        *(_add(r, **(alike if r.random() < 0.8 else {"words": [r.choice(WORDS)]})) for _ in range(r.choice((2, 2, 3)))),
        _apply(r, 0.1, wait="steps"),
        Act(**_upon(r, "POST projects", 3), what="outage", more={"seconds": r.choice((20.0, 90.0))}),
        _apply(r, r.uniform(100.0, 130.0)),
    ]
    return _plain(r, course, acts, remote=True, server={"active_projects": 5})


def _approved(r: random.Random, course: Course) -> Course:
    """A saved plan of several steps whose apply is killed, and applied again."""
    acts = [
        *(_add(r, words=r.sample(WORDS, r.randint(0, 2)), render=r.random() < 0.3) for _ in range(r.randint(1, 2))),
        _apply(r, 0.1, saved=True, **_killed(r, 4)),
        Act(90.0, "say", 0, {"pick": 0, "words": r.choice(WORDS)}),
        Act(90.0, "set", 0, {"pick": 0, "title": r.choice(TITLES), "craft": r.choice(CRAFTS)}),
        _apply(r, 91.0, saved=True, **_killed(r, 3)),
    ]
    return _plain(r, course, acts)


def _namesakes(r: random.Random, course: Course) -> Course:
    """Two environments in one account with the same briefs, at times a day apart. A state is lost only where keys tell."""
    night = DAY if r.random() < 0.6 else 0.0
    acts = [_add(r, twin=True, words=r.sample(WORDS, r.randint(0, 1))) for _ in range(r.randint(1, 2))]
    first = [r.uniform(0.1, 15.0), r.uniform(0.1, 60.0)]
    for who in r.sample((0, 1), 2):
        acts += [
            _apply(r, first.pop(), who, **({} if r.random() < 0.6 else _killed(r, 2))),
            _apply(r, night + r.uniform(60.0, 120.0), who),
        ]
    for _ in range(r.randint(1, 3)):
        at = r.choice((20.0, night + r.uniform(20.0, 110.0)))
        what = r.choice(("rewrite", "rewrite", "stops", *(() if night else ("rm", "lose"))))
        more = {"pick": r.randrange(100), "brief": r.choice(BRIEFS), "anyway": True, "status": "failed"}
        acts.append(Act(round(at, 2), what, r.randrange(2), more))
    two = {"runners": (0, 1), "workspaces": 2, "environment": None, "environments": ("staging", "production")}
    return _plain(r, course, acts, server={"key_seconds": 86_400.0} if night else {}, **two)


THEMES: Final[dict[str, Callable[[random.Random, Course], Course]]] = {
    "rivals": _rivals,
    "found again": _found_again,
    "rendered twice": _sent_twice,
    "generations": _generations,
    "echoes": _echoes,
    "paused": _paused,
    "unrecorded": _unrecorded,
    "approved": _approved,
    "namesakes": _namesakes,
}
