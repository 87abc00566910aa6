"""Many lives: what was found, what was covered, and how short a life still fails."""

from __future__ import annotations

import gc
import re
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from msgspec import Struct, field
from msgspec.structs import replace

from reconciler import files
from reconciler.adapters.media import client
from reconciler.adapters.media.files import Part
from reconciler.adapters.state import local
from reconciler.cli import other_environments
from reconciler.model.config import Config
from reconciler.model.live import LiveProject
from reconciler.model.plan import Create, Replace
from reconciler.model.state import Entry, Intent
from reconciler.operations.apply import exactly_once, execute, workflow
from reconciler.operations.apply.polling import Monitor
from reconciler.operations.apply.run import Run
from reconciler.operations.calls import create, render
from reconciler.operations.read import plan
from reconciler.planning import planner
from tests.recovery.without import TAKEN_AWAY, TAKEN_AWAY_FROM_REMOTE
from tests.simulation.course import Act, Course, draw
from tests.simulation.life import Life
from tests.simulation.themes import theme_of

CHUNK: Final = 500
"""Lives that a process lives before it tells of them."""
EACH_TIME: Final = frozenset({"fsync", "truncation of a torn line", "sync of videos"})
"""Steps that are taken out of a world's own disk, which is new in each life."""


def _no_wait_before_the_key() -> None:
    create._stopped_matches = lambda run, _, intent, body: create._matches(run, intent, body)


def _no_settling_of_creates() -> None:
    async def settle(run: object, intent: object) -> None:
        pass

    create.settle = settle


def _no_look_past_the_canceled_one() -> None:
    before = create._is_predecessor

    def with_itself(run: Run, monitor: Monitor, step: Create | Replace, found: LiveProject, old: Entry | None) -> bool:
        listed = monitor.projects.get(found.id)
        alive = listed is not None and listed.status not in ("cancelled", "failed")
        return before(run, monitor, step, found, old) or (found.status == "cancelled" and alive)

    create._is_predecessor = with_itself


def _no_look_for_the_renamed() -> None:
    create._perhaps_renamed = lambda _: []


async def _never(_: object, __: object) -> bool:
    return False


def _no_look_at_what_a_refused_call_did() -> None:
    async def never(*_: object) -> bool:
        return False

    exactly_once._has_acted = never


def _no_look_at_what_a_refused_create_made() -> None:
    create.CreateCall.may_have_acted = _never  # type: ignore[method-assign, assignment]


def _no_look_at_the_video_of_a_render_that_is_refused() -> None:
    before = render.RenderCall.may_have_acted

    async def only_while_it_renders(self: render.RenderCall, intent: Intent) -> bool:
        return await before(self, intent) and render.is_rendering(self.monitor.projects[self.live.id])

    render.RenderCall.may_have_acted = only_while_it_renders  # type: ignore[method-assign]


def _no_wait_before_the_first_key() -> None:
    async def at_once(*_: object) -> None:
        pass

    create._until_stopped = at_once


def _no_look_at_what_failed_meanwhile() -> None:
    create._require_alive = lambda *_: None


def _no_look_at_what_was_there_before() -> None:
    Monitor.adopted_before = property(lambda _: {})  # type: ignore[method-assign, assignment]


def _no_difference_between_unsynced_and_failed() -> None:
    replace = files.replace

    def strict(path: Path, data: bytes, *, mode: int | None = files.PRIVATE) -> None:
        if (error := replace(path, data, mode=mode)) is not None:
            raise error

    local.files = SimpleNamespace(**{**vars(files), "replace": strict})


def _no_look_at_other_environments() -> None:
    other_environments._with = lambda found, *_: found


ADDED: Final[dict[str, Callable[[], None]]] = {
    "wait for the agent before the key is sent again": _no_wait_before_the_key,
    "settling of creates": _no_settling_of_creates,
    "look past a canceled project's own older status": _no_look_past_the_canceled_one,
    "look for a project that was given another title": _no_look_for_the_renamed,
    "look at what a refused call did": _no_look_at_what_a_refused_call_did,
    "look at its video where a render is refused": _no_look_at_the_video_of_a_render_that_is_refused,
    "tell what is written from what failed, where a folder can't be synced": _no_difference_between_unsynced_and_failed,
    "look at what failed since the plan": _no_look_at_what_failed_meanwhile,
    "look at what was there before an adoption": _no_look_at_what_was_there_before,
    "look at other environments": _no_look_at_other_environments,
    "look at what a refused create made": _no_look_at_what_a_refused_create_made,
    "wait for the agent before the first key is sent": _no_wait_before_the_first_key,
}
"""Steps that lives led to."""


def _no_look_for_the_account_before_recovery() -> None:
    async def never(*_: object, **__: object) -> None:
        pass

    workflow.require_account = never


def _no_look_for_the_account_in_a_plan() -> None:
    planner.other_account = lambda *_: None


def _no_look_for_the_pinned_project() -> None:
    plan.check_pinned = lambda *_: None
    _no_look_for_the_account_before_recovery()


def _no_environment_of_a_state() -> None:
    Config.own = lambda self, state: replace(state, environment=self.environment)  # type: ignore[method-assign]


OF_ACCOUNTS: Final[dict[str, Callable[[], None]]] = {
    "look for the account before recovery": _no_look_for_the_account_before_recovery,
    "look for the account in a plan": _no_look_for_the_account_in_a_plan,
    "look for the pinned project": _no_look_for_the_pinned_project,
    "environment of a state": _no_environment_of_a_state,
}
"""Steps that only several environments or accounts need."""


def _no_sync_of_videos() -> None:
    client.os = SimpleNamespace(fdopen=client.os.fdopen, fsync=lambda _: None)


def _no_look_for_what_a_download_left() -> None:
    Part.left = lambda self: None  # type: ignore[method-assign]


def _no_turns_in_a_folder() -> None:
    @contextmanager
    def locked(_: Path) -> Iterator[bool]:
        yield True

    files.locked = locked


def _no_look_at_the_kind_of_a_file() -> None:
    client._kind = lambda _: "video/mp4"


def _no_forgetting_of_refused_uploads() -> None:
    async def never(*_: object) -> None:
        pass

    execute.forget_refused_uploads = never


OF_FILES: Final[dict[str, Callable[[], None]]] = {
    "sync of videos": _no_sync_of_videos,
    "look for what a download left": _no_look_for_what_a_download_left,
    "turns in a folder": _no_turns_in_a_folder,
    "look at the kind of a file": _no_look_at_the_kind_of_a_file,
    "forgetting of refused uploads": _no_forgetting_of_refused_uploads,
}
"""Steps that only downloads and uploads need."""
STEPS: Final[dict[str, Callable[[], None]]] = TAKEN_AWAY | TAKEN_AWAY_FROM_REMOTE | ADDED | OF_ACCOUNTS | OF_FILES


class Found(Struct, frozen=True):
    seed: int
    what: str


class Tally(Struct):
    lives: int = 0
    seconds: float = 0.0
    """Of one core."""
    virtual: float = 0.0
    """Virtual seconds lived."""
    found: list[Found] = field(default_factory=list)
    figures: Counter[str] = field(default_factory=Counter)
    seen: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        self.lives += other.lives
        self.seconds += other.seconds
        self.virtual += other.virtual
        self.found += other.found
        self.figures += other.figures
        self.seen += other.seen

    def count(self, seed: int, life: Life) -> None:
        self.lives += 1
        self.virtual += life.world.now
        self.figures.update(life.figures)
        self.seen.update(life.seen)
        if life.broken:
            self.found.append(Found(seed, life.broken[0]))

    def __str__(self) -> str:
        rate = self.lives / self.seconds * 60 if self.seconds else 0.0
        figures = ", ".join(f"{name}: {count}" for name, count in sorted(self.figures.items()))
        days = self.virtual / 86_400
        return (
            f"{self.lives} lives ({days:.1f} virtual days) in {self.seconds:.0f} s of one core ({rate:.0f} a minute), "
            f"{len(self.found)} broken\n{figures}"
        )


_taken: set[str] = set()


def taking(step: str | None) -> Callable[[], None]:
    """What takes a safety step out of the program, for good; to be called inside each life's world."""

    def take() -> None:
        if step is not None and (step not in _taken or step in EACH_TIME):
            _taken.add(step)
            STEPS[step]()

    return take


def lived(course: Course, *, without: str | None = None) -> Life:
    """A whole life. What breaks it, exceptions too, is in its ``broken``."""
    life = Life(course)
    life.begin = taking(without)
    try:
        life.live()
    except AssertionError as error:
        life.fail(f"{type(error).__name__}: {error}")
    except Exception as error:  # noqa: BLE001  an error of any kind is a finding
        where = traceback.extract_tb(error.__traceback__)[-1]
        life.fail(f"{type(error).__name__}: {error} ({where.filename.rpartition('/')[2]}:{where.lineno})")
    return life


def many(seeds: Iterable[int], *, without: str | None = None, theme: str | None = None, stop: bool = False) -> Tally:
    """Live one life for each seed, in this process; with a ``theme``, those that have it. ``stop``: end with the first that
    breaks.
    """
    tally, began = Tally(), time.process_time()
    enabled = gc.isenabled()
    gc.disable()
    try:
        for seed in seeds if theme is None else (seed for seed in seeds if theme_of(seed) == theme):
            gc.freeze()  # none need look through the program
            tally.count(seed, lived(draw(seed), without=without))
            # While a life is still in the processor's cache, and only what is new, which is all there is: a full
            # collection would empty Python's lists of free objects, too.
            gc.collect(0)
            if stop and tally.found:
                break
    finally:
        gc.unfreeze()
        if enabled:
            gc.enable()
    tally.seconds = time.process_time() - began
    return tally


def spread(
    first: int, count: int, *, jobs: int, without: str | None = None, theme: str | None = None
) -> Iterator[Tally]:
    """Live many lives in several processes; gives the tally of each chunk as it ends."""
    chunks = [range(n, min(n + CHUNK, first + count)) for n in range(first, first + count, CHUNK)]
    if jobs == 1:
        yield from (many(chunk, without=without, theme=theme) for chunk in chunks)
        return
    with ProcessPoolExecutor(jobs, max_tasks_per_child=20) as pool:
        for done in as_completed([pool.submit(many, chunk, without=without, theme=theme) for chunk in chunks]):
            yield done.result()


# ── shorter lives ───────────────────────────────────────────────────────────────────────────────────────────────────────


def minimised(course: Course, *, without: str | None = None) -> Course:
    """A course with fewer acts, actors and faults that is still broken in the same way."""
    broken = lived(course, without=without).broken
    assert broken, "the life is not broken"
    way = _way(broken[-1])

    def breaks(shorter: Course) -> bool:
        return way in map(_way, lived(shorter, without=without).broken)

    before = None
    while before != course:
        before = course
        for shorter in _shorter(course):
            if breaks(shorter):
                course = shorter
                break
    return course


def _way(what: str) -> str:
    """How a life is broken, without the names in it."""
    return re.sub(r"\W*\w*\d\w*", "#", what)[:60]


def _shorter(course: Course) -> Iterator[Course]:
    for acts in _fewer(course.acts):
        yield replace(course, acts=acts)
    for name in ("wire", "fates", "store", "disk"):
        shares: dict[str, Any] = getattr(course, name)
        for fate in shares:
            yield replace(course, **{name: {other: share for other, share in shares.items() if other != fate}})
    for option in sorted(course.server.keys() - {"log_requests"}):
        yield replace(course, server={name: value for name, value in course.server.items() if name != option})
    if any(course.skews):
        yield replace(course, skews=tuple(0.0 for _ in course.skews))
    if course.remote:
        yield replace(course, remote=False, store={})
    if course.accounts > 1:
        yield replace(course, accounts=1, pinned=False)
    if course.environments:
        yield replace(course, accounts=1, pinned=False, environments=())
    if course.environment:
        yield replace(course, environment=None)


def _fewer(acts: tuple[Act, ...]) -> Iterator[tuple[Act, ...]]:
    """Without some of the acts, or with one of them made plainer."""
    size = len(acts) // 2
    while size:
        for begin in range(0, len(acts), size):
            yield acts[:begin] + acts[begin + size :]
        size //= 2
    for number, act in enumerate(acts):
        for more in _plainer(act):
            yield (*acts[:number], replace(act, more=more), *acts[number + 1 :])


def _plainer(act: Act) -> Iterator[dict[str, Any]]:
    for name in ("power", "again", "timeout", "lock_timeout", "saved", "suspend", "interrupt", "kill", "retry"):
        if name in act.more:
            yield {key: value for key, value in act.more.items() if key != name}
    words = act.more.get("words")
    if isinstance(words, list) and words:
        yield act.more | {"words": words[:-1]}
