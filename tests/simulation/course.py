"""What happens in a life, drawn from its seed beforehand: so a life can be shortened and lived again."""

from __future__ import annotations

import random
from typing import Any, Final

from msgspec import Struct, field
from msgspec.structs import replace

WORDS: Final = ("Softer.", "Louder, please.", "A blue sky & <birds>.", "Use the “second” take.", "Plus de rouge 🎬.")
BRIEFS: Final = ("A slow shot of the sea.", "Three cuts of a city.", "It's a “tin” of coffee & <milk>.", "Rain. " * 40)
TITLES: Final = ("One", "Two", "Three")
CRAFTS: Final = ("cinema", "ugc", "humor")
KILLED: Final = ("plan", "unlock")
"""Commands that may be killed, besides those that are drawn with it."""
TEXT_HABITS: Final = ("trim", "fold", "escape", "quotes", "emoji", "nfd")


class Act(Struct, frozen=True):
    """Something that somebody does at a time. ``who`` is a workspace's number, or a runner's.

    ``upon``: a changing request of the life, by its call and number (``POST projects 2``). Then ``at`` is in seconds after
    it left, and the act does not depend on how many reads came before.
    """

    at: float
    what: str
    who: int = 0
    more: dict[str, Any] = field(default_factory=dict)
    upon: str = ""

    def __str__(self) -> str:
        more = ", ".join(f"{name} {value}" for name, value in self.more.items() if value not in (None, 0))
        return f"{self.what} {self.who}{f': {more}' if more else ''}"


class Course(Struct, frozen=True, kw_only=True):
    """``runners`` has the workspace of each. Two runners of one workspace are two machines only where the state is remote.

    ``environments``: the workspaces are environments of one workspace, with the same specs.
    """

    seed: int
    workspaces: int = 1
    runners: tuple[int, ...] = (0,)
    remote: bool = False
    environment: str | None = None
    environments: tuple[str, ...] = ()
    accounts: int = 1
    """Two: each environment has its own, and its key."""
    films: bool = False
    """Whether specs have videos downloaded."""
    pictures: bool = False
    """Whether specs refer to files that are uploaded."""
    ranges: bool = False
    """Whether the storage of videos gives validators, and parts of a file."""
    pinned: bool = False
    """Whether `account` in the configuration names a project of it."""
    lease: float = 60.0
    settle: float = 10.0
    pace: int = 120
    server: dict[str, Any] = field(default_factory=dict)
    wire: dict[str, float] = field(default_factory=dict)
    fates: dict[str, str] = field(default_factory=dict)
    """What becomes of single changing requests that left, which are named as in :class:`Act`."""
    reads: int = 0
    """More reads than the program makes, before each command: a life that is kept must break with any number of them."""
    store: dict[str, float] = field(default_factory=dict)
    lax: bool = False
    """Whether the bucket overwrites what was only to be created: the program has to refuse such a store."""
    disk: dict[str, float] = field(default_factory=dict)
    skews: tuple[float, ...] = ()
    """Of the runners' clocks, then the server's, then the store's."""
    acts: tuple[Act, ...] = ()


def draw(seed: int) -> Course:
    """The course of the life with this number."""
    from tests.simulation.themes import themed

    return themed(_by_chance(seed))


def _by_chance(seed: int) -> Course:
    from tests.simulation.wider import drawn

    r = random.Random(f"{seed}/course")
    remote = r.random() < 0.5
    workspaces = 2 if r.random() < 0.2 else 1
    runners = tuple(range(workspaces)) + ((0,) if r.random() < 0.4 else ()) + ((0,) if r.random() < 0.08 else ())
    skew = r.random() < 0.2
    acts: list[Act] = []
    for workspace in range(workspaces):
        count = r.choice((1, 1, 2, 2, 3)) if not workspace else 1
        acts += [Act(0.0, "add", workspace, _project(r, number)) for number in range(count)]
    end = r.choice((30.0, 60.0, 120.0, 240.0))
    acts.append(_apply(r, 0.1, runners, 0))
    count = r.choice((0, 1, 2, 2, 3))
    acts += [_apply(r, r.uniform(0.0, end), runners, r.randrange(len(runners))) for _ in range(count)]
    acts += [_something(r, r.uniform(0.0, end), workspaces) for _ in range(r.choice((0, 1, 2, 3, 5)))]
    acts = _more(random.Random(f"{seed}/more"), acts, end, workspaces)
    acts.sort(key=lambda act: act.at)
    server = _server(r)
    server, acts = _night(random.Random(f"{seed}/night"), server, acts, end)
    wide = random.Random(f"{seed}/wide")
    acts = _wide(wide, acts, remote)
    course = Course(
        seed=seed,
        workspaces=workspaces,
        runners=runners,
        remote=remote,
        environment=r.choice((None, None, "prod")),
        lease=r.choice((60.0, 60.0, 20.0)),
        settle=10.0,
        pace=r.choice((120, 120, 1000, 30)),
        server=server,
        wire=_wire(r),
        store=_few(r, ("lost", "late", "unheard"), 0.3, 0.06) if remote else {},
        lax=remote and wide.random() < 0.01,
        disk=_few(r, ("ENOSPC", "EIO", "slow"), 0.2, 0.06),
        skews=tuple(round(r.uniform(-90, 90), 1) if skew else 0.0 for _ in range(len(runners) + 2)),
        acts=tuple(acts),
    )
    course = _environments(random.Random(f"{seed}/environments"), course)
    course = _films(random.Random(f"{seed}/films"), course)
    return drawn(seed, _pictures(random.Random(f"{seed}/pictures"), course))


def _pictures(r: random.Random, course: Course) -> Course:
    """Perhaps specs refer to files, which are uploaded, and the server loses some."""
    if r.random() >= 0.08:
        return course
    acts = [
        replace(act, more=act.more | {"picture": r.random() < 0.7, "logo": r.random() < 0.5})
        if act.what == "add"
        else act
        for act in course.acts
    ]
    last = max(act.at for act in acts)
    if r.random() < 0.3:
        acts.append(Act(round(r.uniform(0.0, last), 2), "loses pictures", r.randrange(course.workspaces)))
    return replace(course, pictures=True, acts=tuple(sorted(acts, key=lambda act: act.at)))


def _films(r: random.Random, course: Course) -> Course:
    """Perhaps specs have videos downloaded, and people download them, too."""
    if r.random() >= 0.12:
        return course
    acts = [
        replace(
            act, more=act.more | {"download": r.random() < 0.8, "render": act.more.get("render") or r.random() < 0.6}
        )
        if act.what == "add"
        else act
        for act in course.acts
    ]
    last = max(act.at for act in acts)
    for _ in range(r.choice((0, 1, 1, 2, 3))):
        at, kill = round(last + r.uniform(-60.0, 60.0), 2), r.choice((None, None, r.randint(1, 30)))
        acts.append(Act(max(0.0, at), "downloads", r.randrange(course.workspaces), {"kill": kill}))
        if r.random() < 0.4:  # somebody else, too
            acts.append(replace(acts[-1], at=round(acts[-1].at + r.uniform(0.0, 0.5), 2), more={}))
    again = r.choices([act for act in acts if act.what == "apply"], k=r.choice((1, 2)))
    acts += [replace(act, at=round(act.at + r.uniform(20.0, 90.0), 2)) for act in again]
    return replace(course, films=True, ranges=r.random() < 0.6, acts=tuple(sorted(acts, key=lambda act: act.at)))


def _environments(r: random.Random, course: Course) -> Course:
    """Perhaps there are two environments of one workspace, with an account each or one together, and people who take one
    for the other.
    """
    from tests.simulation.strangers import KEYS, STATE

    if r.random() >= 0.15:
        return course
    accounts = 2 if r.random() < 0.65 else 1
    runners, skews = course.runners, course.skews
    if 1 not in runners:
        runners, skews = (*runners, 1), (*skews[:-2], skews[-1], *skews[-2:])
    times = [act.at for act in course.acts]
    acts = [_apply(r, 0.2, runners, runners.index(1))]
    acts += [
        _apply(r, r.choice(times) + r.uniform(0.0, 20.0), runners, runners.index(1)) for _ in range(r.choice((0, 1, 2)))
    ]
    acts += [
        Act(
            round(r.choice(times) + r.uniform(0.0, 30.0), 2),
            "mistakes",
            r.randrange(2),
            {"command": r.choice((*KEYS, STATE)), "kill": r.choice((None, None, r.randint(1, 25)))},
        )
        for _ in range(r.choice((0, 1, 2, 2, 3)))
    ]
    return replace(
        course,
        workspaces=2,
        runners=runners,
        skews=skews,
        environment=None,
        environments=("staging", "production"),
        accounts=accounts,
        pinned=accounts == 2 and r.random() < 0.5,
        acts=tuple(sorted((*course.acts, *acts), key=lambda act: act.at)),
    )


def _more(r: random.Random, acts: list[Act], end: float, workspaces: int) -> list[Act]:
    """Drawn apart, so that the rest of a life stays as it was before there were these."""
    for number, act in enumerate(acts):
        if act.what != "add":
            continue
        more = dict(act.more)
        if r.random() < 0.12:
            more |= {"render": True, "share": r.random() < 0.5}
        if r.random() < 0.05:
            more["adopts"] = True
        elif number and r.random() < 0.06:
            more["refers"] = True
        acts[number] = replace(act, more=more)
    for number, act in enumerate(acts):
        if act.what in KILLED and r.random() < 0.4:
            acts[number] = replace(act, more=act.more | {"kill": r.randint(1, 25)})
    what = ("rm", "resolve", "takes over")
    return acts + [
        Act(
            round(r.uniform(0.0, end), 2),
            r.choice(what),
            r.randrange(workspaces),
            {"pick": r.randrange(100), "kill": r.choice((None, None, r.randint(1, 25)))},
        )
        for _ in range(r.choice((0, 0, 0, 0, 1, 2)))
    ]


def _wide(r: random.Random, acts: list[Act], remote: bool) -> list[Act]:
    """What few lives need: a message with the words of the brief, equal projects that fail, a state that is lost whatever
    people did before, a store that is away for a while.
    """
    first = [n for n, act in enumerate(acts) if act.what == "add" and not act.who]
    alike = {"brief": r.choice(BRIEFS), "title": r.choice(TITLES), "twin": True, "fails": True}
    equal = r.random() < 0.03
    for place, number in enumerate(first):
        more = acts[number].more
        if equal and place < 2:
            more = more | alike
        elif r.random() < 0.05 and not more["twin"]:
            more = more | {"echo": True}
        acts[number] = replace(acts[number], more=more)
    at, seconds, lost, away = r.uniform(0.0, 120.0), r.choice((20.0, 90.0)), r.random() < 0.04, r.random() < 0.04
    if lost:
        acts = [*acts, Act(round(at, 2), "lose", 0, {"anyway": True})]
    if away and remote:
        acts = [*acts, Act(round(at, 2), "outage", 0, {"seconds": seconds})]
    return sorted(acts, key=lambda act: act.at)


def _night(r: random.Random, server: dict[str, Any], acts: list[Act], end: float) -> tuple[dict[str, Any], list[Act]]:
    """Perhaps more than a day passes in between, and the server forgets its keys."""
    if r.random() >= 0.05:
        return server, acts
    cut = r.uniform(0.0, end)
    later = [replace(act, at=act.at + 90_000.0) if act.at > cut else act for act in acts]
    return server | {"key_seconds": 86_400.0}, later


def _project(r: random.Random, number: int) -> dict[str, Any]:
    return {
        "brief": r.choice(BRIEFS),
        "title": r.choice((None, *TITLES)),
        "words": [r.choice(WORDS) for _ in range(r.choice((0, 1, 1, 2, 3)))],
        "secret": r.random() < 0.15,
        "fails": r.random() < 0.04,
        "on_remove": r.choice(("stop", "cancel", "forget", "release")),
        "twin": r.random() < 0.1,
        "after": bool(number) and r.random() < 0.1,
    }


def _apply(r: random.Random, at: float, runners: tuple[int, ...], who: int) -> Act:
    more: dict[str, Any] = {"wait": r.choice(("none", "steps", "steps", "steps", "idle"))}
    if r.random() < 0.2:
        more["timeout"] = r.choice((5.0, 20.0, 60.0))
    if r.random() < 0.3:
        more["lock_timeout"] = r.choice((5.0, 100.0))
    if r.random() < 0.12:
        more["saved"] = True
    trouble = r.random()
    if trouble < 0.40:
        if r.random() < 0.5:
            more["kill"] = r.randint(1, r.choice((10, 40, 120)))
        else:
            more["kill_sent"], more["kill_after"] = r.randint(1, 4), round(r.choice((0.0, 0.1, 1.0)) * r.random(), 3)
            more["sent_late"] = r.random() < 0.5
        more["power"] = r.random() < 0.4
        if r.random() < 0.7:
            more["retry"] = round(r.choice((1.0, 8.0)) * r.random(), 2)
    elif trouble < 0.50:
        more["interrupt"] = round(r.uniform(0.0, r.choice((1.0, 10.0, 40.0))), 2)
        if r.random() < 0.3:
            more["again"] = round(r.uniform(0.1, 5.0), 2)
    elif trouble < 0.58:
        more["suspend"] = round(r.uniform(0.0, 10.0), 2)
        more["suspended"] = r.choice((3.0, 30.0, 90.0, 200.0))
    return Act(round(at, 2), "apply", who, more)


def _something(r: random.Random, at: float, workspaces: int) -> Act:
    what = r.choices(
        ("add", "say", "set", "rewrite", "rename", "remove", "cancel", "types", "titles", "stops", "creates", "lose", "old copy",
         "storm", "habits", "cursors", "unlock", "mv", "plan"),
        (3, 6, 4, 2, 2, 2, 1, 3, 2, 2, 2, 2, 2, 3, 1, 1, 1, 1, 1),
    )[0]  # fmt: skip
    more: dict[str, Any] = {"pick": r.randrange(100)}
    match what:
        case "add":
            more |= _project(r, 0)
        case "say" | "types":
            more["words"] = r.choice(WORDS)
        case "set" | "titles":
            more["title"], more["craft"] = r.choice(TITLES), r.choice(CRAFTS)
        case "rewrite":
            more["brief"] = r.choice(BRIEFS)
        case "creates":
            more["brief"], more["title"] = r.choice(BRIEFS), r.choice(TITLES)
        case "stops":
            more["status"] = r.choice(("cancelled", "idle", "failed"))
        case "storm":
            more["storm"], more["seconds"] = (
                r.choice(("503", "500", "429", "proxy 502 after", "lost", "refused")),
                r.choice((5.0, 40.0)),
            )
        case "habits":
            more["message_habits"] = sorted(r.sample(TEXT_HABITS, 1))
    return Act(round(at, 2), what, r.randrange(workspaces), more)


def _server(r: random.Random) -> dict[str, Any]:
    options: dict[str, Any] = {
        "requests_per_minute": r.choice((0, 0, 120, 30)),
        "active_projects": r.choice((5, 5, 2, 1)),
        "list_order": r.choice(("newest", "oldest")),
        "messages_default": r.choice(("newest", "oldest")),
        "unknown_cursor": r.choice(("refuse", "empty")),
        "brief_is_message": r.random() < 0.7,
        "rendering": r.random() < 0.3,
        "list_lag": r.choice((0.0, 0.0, 0.0, 20.0)),
        "page_max": r.choice((100, 100, 100, 2, 5)),
        "log_requests": False,
    }
    if r.random() < 0.15:
        options["message_habits"] = sorted(r.sample(TEXT_HABITS, 2))
    if r.random() < 0.08:
        options["title_habits"] = sorted(r.sample(("trim", "lower", "escape"), 1))
    if r.random() < 0.05:
        options["message_max"] = 20
    return options


def _few(r: random.Random, names: tuple[str, ...], likely: float, most: float) -> dict[str, float]:
    if r.random() > likely:
        return {}
    return {name: round(r.uniform(0.005, most), 3) for name in r.sample(names, r.randint(1, len(names)))}


def _wire(r: random.Random) -> dict[str, float]:
    from tests.simulation.wire import FATES

    if r.random() < 0.35:
        return {}
    names = r.sample(FATES, r.randint(1, 4)) + (["slow"] if r.random() < 0.4 else [])
    return {name: round(r.uniform(0.01, 0.15), 3) for name in names}
