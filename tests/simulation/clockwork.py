"""Time, processes and chance of one simulated world. Nothing in it sleeps, and one seed makes one course of events.

Each simulated process runs the real program in a greenlet, with an asyncio loop of its own. Where the program would block
(the loop waits for something, a file is written, a thread sleeps), the greenlet is parked and the world goes on with
whatever comes next in virtual time. So blocking code, such as taking a lease, runs as it is, several processes overlap,
and a process can be killed or suspended at each of these points. Nothing else interrupts it: between two of them no time
passes.

Why not looptime, or one loop for all: both give virtual time to coroutines only. The lease and the lock sleep in plain
functions and in a thread, and a killed process must stop in the midst of them.

Callbacks that are ready run first come, first served, since asyncio promises it and the program may rely on it. What is
permuted is what no one promises: the order of events of the same moment, and how long everything outside takes.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import random
import socket
import threading
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet

T = TypeVar("T")
EPOCH = 1_750_000_000.0
"""The true time when a world begins, in seconds since 1970."""
MOST_EVENTS = 200_000
"""A life with more has gone round in circles."""


RESOLUTION = 1e-9
"""Seconds: what is due so soon is due."""


class Killed(BaseException):
    """The process is no more; raised at its point of death, and again wherever its remains try to act."""


class StuckError(AssertionError):
    """The world came to no end."""


class World:
    current: World

    def __init__(self, seed: int | str) -> None:
        self.seed = seed
        self.now = 0.0
        self._told: list[tuple[float, str, str]] = []
        self.fiber: Fiber | None = None
        """The one that runs; ``None``: the world itself."""
        self.loop: Loop | None = None
        """The asyncio loop that runs, as asyncio knows it."""
        self._order = self.chance("order")
        self._queue: list[tuple[float, float, int, Callable[[], object]]] = []
        self._count = 0
        self._latest = math.inf
        """Until when it runs now."""
        self.events = 0
        self.hub = getcurrent()

    def chance(self, name: str) -> random.Random:
        """A source of chance of its own for each part, so that one part's use does not change another's."""
        return random.Random(f"{self.seed}/{name}")

    def tell(self, who: str, what: str) -> None:
        self._told.append((self.now, who, what))

    @property
    def log(self) -> list[str]:
        """The story so far, a line for each event."""
        return [f"{now:9.3f} {who:<9} {what}" for now, who, what in self._told]

    def at(self, when: float, action: Callable[[], object]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (max(when, self.now), self._order.random(), self._count, action))

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        self.at(self.now + seconds, action)

    def run(self, until: Callable[[], bool], *, latest: float = math.inf) -> bool:
        """Let time pass until a condition holds; ``False`` if it does not by the ``latest`` time, or nothing is left."""
        queue, self._latest = self._queue, latest
        while not until():
            if not queue or queue[0][0] > latest:
                if latest < math.inf:
                    self.now = max(self.now, latest)
                return False
            self.events += 1
            if self.events > MOST_EVENTS:
                raise StuckError(f"no end after {MOST_EVENTS} events")
            self.now, _, _, action = heapq.heappop(queue)
            action()
        return True

    def skip(self, until: float) -> bool:
        """Go on at once to what was queued last, if it is next: a process that waits with nothing to happen meanwhile."""
        when, _, number, _ = self._queue[0]
        if number != self._count or until > self._latest or self.events >= MOST_EVENTS:
            return False
        heapq.heappop(self._queue)
        self.events += 1
        self.now = when
        return True

    def pass_(self, seconds: float) -> None:
        self.run(lambda: False, latest=self.now + seconds)

    def enter(self, loop: Loop | None) -> None:
        """Have asyncio run in this loop. Telling it costs a call of the system, as does asking: see ``edges``."""
        if loop is not self.loop:
            self.loop = loop
            events._set_running_loop(loop)

    @property
    def process(self) -> Process:
        assert self.fiber is not None, "only a process acts"
        return self.fiber.process


class Process:
    """A process of the program on one machine. ``skew``: seconds that its clock is ahead of the true time."""

    def __init__(self, world: World, name: str, *, number: int, skew: float = 0.0) -> None:
        self.world = world
        self.name = name
        self.number = number
        self.skew = skew
        self.dead = False
        self.died = math.inf
        """When, if it is dead."""
        self.held_until = 0.0
        """Suspended until then."""
        self.stop: asyncio.Event | None = None
        """What the first interrupt sets."""
        self.interruptible: Fiber | None = None
        """Parked where a signal raises KeyboardInterrupt: while it waits for the lock."""
        self.fibers: list[Fiber] = []
        self.on_death: list[Callable[[], object]] = []
        self.kill_in: int | None = None
        """Points until it is killed."""
        self.wrote: Callable[[str], object] = lambda _: None
        """Told of each file and object that it changes."""
        self.loop: Loop | None = None

    def start(self, work: Callable[[], Any], name: str = "main") -> Fiber:
        fiber = Fiber(self, work, name)
        self.fibers.append(fiber)
        fiber.begin()
        return fiber

    @property
    def over(self) -> bool:
        return not [fiber for fiber in self.fibers if not fiber.over]

    def wall(self) -> float:
        """The time by its clock, in seconds since 1970."""
        return EPOCH + self.world.now + self.skew

    def stamp(self) -> str:
        return _stamp(self.wall())

    def point(self) -> None:
        """A point at which it may die. Raises Killed there, and at every later one."""
        if self.dead:
            raise Killed
        if self.kill_in is not None:
            self.kill_in -= 1
            if self.kill_in <= 0:
                self.kill("SIGKILL")
                raise Killed

    def kill(self, how: str) -> None:
        if self.dead or self.over:
            return
        self.world.tell(self.name, how)
        self.dead, self.died = True, self.world.now
        for action in self.on_death:
            action()
        for fiber in self.fibers:
            fiber.die()

    def suspend(self, seconds: float) -> None:
        if not (self.dead or self.over):
            self.world.tell(self.name, f"suspended for {seconds:.0f} s")
            self.held_until = max(self.held_until, self.world.now + seconds)

    def interrupt(self) -> None:
        """A signal, as the command handles it: the first asks to stop, the second ends at once."""
        if self.dead or self.over:
            return
        if self.interruptible is not None:
            self.world.tell(self.name, "SIGINT, while it waits for the lock")
            self.interruptible.raise_(KeyboardInterrupt())
        elif self.stop is None:
            self.kill("SIGINT, before it handles signals")
        elif self.stop.is_set():
            self.kill("SIGINT, the second: ends at once")
        elif self.loop is not None:
            self.world.tell(self.name, "SIGINT")
            self.loop.call_soon(self.stop.set)
            self.loop.wake()


@lru_cache(maxsize=64)
def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Fiber:
    """One thread of a process."""

    def __init__(self, process: Process, work: Callable[[], Any], name: str) -> None:
        self.process = process
        self.name = name
        self.over = False
        self.result: Any = None
        self.error: BaseException | None = None
        self._work = work
        self._turn = 0
        self._parked = False
        self._throw: BaseException | None = None
        self._loop: Loop | None = None
        self._greenlet = greenlet(self._run, parent=process.world.hub)
        self.on_end: list[Callable[[], object]] = []

    def begin(self) -> None:
        self._parked = True
        self.process.world.after(0.0, lambda: self._resume(0))

    def _run(self) -> None:
        try:
            if not self.process.dead:
                self.result = self._work()
        except BaseException as error:  # noqa: BLE001  the process keeps it for its caller
            self.error = error.with_traceback(None) if isinstance(error, Killed) else error
        self.over = True
        self._work = lambda: None
        for action in self.on_end:
            action()

    def park(self, until: float | None = None) -> None:
        """Let the world go on until a time, or until it is woken. Raises Killed if the process died meanwhile."""
        process, world = self.process, self.process.world
        process.point()
        self._turn += 1
        self._parked = True
        if until is not None:
            turn = self._turn
            world.at(until, lambda: self._resume(turn))
            if process.held_until <= until and world.skip(until):
                self._parked = False
                return
        self._loop = world.loop
        world.hub.switch()
        if self._throw is not None:
            error, self._throw = self._throw, None
            raise error
        if process.dead:
            raise Killed

    def sleep(self, seconds: float) -> None:
        self.park(self.process.world.now + seconds)

    def wake(self) -> None:
        if self._parked:
            turn = self._turn
            self.process.world.after(0.0, lambda: self._resume(turn))

    def raise_(self, error: BaseException) -> None:
        self._throw = error
        self.wake()

    def die(self) -> None:
        """Unwind it, at the next moment. If it is the one that runs, the killer raises."""
        self.process.world.after(0.0, self._resume_dead)

    def _resume_dead(self) -> None:
        if self._parked and not self.over:
            self._parked = False
            self._switch()

    def _resume(self, turn: int) -> None:
        if not self._parked or turn != self._turn or self.over:
            return
        process = self.process
        world = process.world
        if process.held_until > world.now and not process.dead:
            world.at(process.held_until, lambda: self._resume(turn))
            return
        self._parked = False
        self._switch()

    def _switch(self) -> None:
        world = self.process.world
        world.fiber = self
        world.enter(self._loop)
        self._greenlet.switch()
        world.fiber = None


class Callback:
    """``asyncio.Handle``, without what is for debugging."""

    __slots__ = ("_arguments", "_context", "_work", "cancelled")

    def __init__(self, work: Callable[..., object], arguments: tuple[Any, ...], context: Context | None) -> None:
        self._work, self._arguments = work, arguments
        self._context = copy_context() if context is None else context
        self.cancelled = False

    def __lt__(self, other: object) -> bool:
        return False  # those of the same moment come in the order that a heap gives them, as in asyncio

    def cancel(self) -> None:
        self.cancelled = True

    def run(self) -> None:
        if not self.cancelled:
            try:
                self._context.run(self._work, *self._arguments)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException:  # noqa: BLE001  a task keeps its own
                pass


class Loop(asyncio.BaseEventLoop):
    """The loop of a process. Answers come in by ``call_soon`` and :meth:`wake`. It waits in its fiber, not for sockets."""

    def __init__(self, fiber: Fiber) -> None:
        super().__init__()
        self.fiber = fiber
        self.world = fiber.process.world
        self._ready: deque[Callback] = deque()
        self._later: list[tuple[float, Callback]] = []
        self._tasks: list[asyncio.Task[Any]] = []
        """All of this loop: asyncio's own record has those of every process and life."""
        self.set_task_factory(self._begin)
        self.set_exception_handler(lambda *_: None)

    def time(self) -> float:
        return self.world.now

    def run_in_executor(self, executor: object, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """At once: it takes no time."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001  for who waits
            future.set_exception(error)
        return future

    async def getaddrinfo(self, host: object, port: object, **_: object) -> Any:
        """Addresses only: there are no names here."""
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]

    def _begin(self, _: object, work: Any, **more: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(work, loop=self, **more)
        self._tasks.append(task)
        return task

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Any:
        self._check_closed()
        made = Callback(callback, args, context)
        self._ready.append(made)
        return made

    def call_soon_threadsafe(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Any:
        made = self.call_soon(callback, *args, context=context)
        self.wake()
        return made

    def call_at(self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Any:
        self._check_closed()
        made = Callback(callback, args, context)
        heapq.heappush(self._later, (when, made))
        return made

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Any:
        return self.call_at(self.world.now + delay, callback, *args, context=context)

    def _run_once(self) -> None:
        ready, later = self._ready, self._later
        while later and later[0][1].cancelled:
            heapq.heappop(later)
        if not ready:
            now = self.world.now
            if not later:
                self.fiber.park()
            elif later[0][0] > now:
                self.fiber.park(now + (later[0][0] - now))
        end = self.world.now + RESOLUTION
        while later and later[0][0] < end:
            ready.append(heapq.heappop(later)[1])
        for _ in range(len(ready)):
            ready.popleft().run()

    def wake(self) -> None:
        self.fiber.wake()

    def resolve(self, future: asyncio.Future[Any], result: Any) -> None:
        """Called by the world: something came for a coroutine that waits."""

        def settle() -> None:
            if not future.done():
                if isinstance(result, BaseException):
                    future.set_exception(result)
                else:
                    future.set_result(result)

        if not self.is_closed():
            self.call_soon(settle)
            self.wake()

    def complete(self, work: Coroutine[Any, Any, T]) -> T:
        """``asyncio.run`` on this loop."""
        self._thread_id = threading.get_ident()
        self.world.enter(self)
        task = self.create_task(work)
        try:
            while not task.done():
                self._run_once()
            return task.result()
        finally:
            self._end(task)
            self.world.enter(None)
            self._thread_id = None
            self.close()

    def _end(self, main: asyncio.Task[Any]) -> None:
        for _ in range(30):
            left = [task for task in self._tasks if not task.done()]
            if not left:
                break
            for task in left:
                task.cancel()
            for _ in range(5):
                if self._ready:
                    self._run_once()
        if main.done() and not main.cancelled():
            main.exception()


def run_coroutine(work: Coroutine[Any, Any, T]) -> T:
    """``asyncio.run`` in the process that runs."""
    fiber = World.current.fiber
    assert fiber is not None
    loop = fiber.process.loop = Loop(fiber)
    try:
        return loop.complete(work)
    finally:
        fiber.process.loop = None
