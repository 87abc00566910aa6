"""The edges of the program, and what stands there in a simulated world. All behind them is the real code.

| edge | where the program has it | here |
|---|---|---|
| disk | `os` and `open` in `reconciler.files`, `os` of the local state, the spill and the media client; paths of downloads | `disk.SimulatedOs`, `disk.SimulatedPath` |
| bucket | `obstore` and its threads in `adapters.state.objects` | `object_store.SimulatedObstore` |
| clocks | `time` of lease, lock and limiter, `now` of a workspace, the store's `clock` | the process's own clock |
| threads | `threading` in the lease | greenlets of the same process |
| limiter that runs share | `LedgerFile`, a file in the cache folder | one document for each machine, torn when that loses power |
| lock of the operating system | `lock._acquire` (filelock) | a lock that dies with its process |
| network | the connections of `Sender` | `wire.Wire` |
| requests | `httpx.Request` in `Sender` | `wire.Request`, which does not parse its address |
| addresses of the API, forms of its key | `destination.checked`, `is_loopback` and `Redactor` of `Sender` | the same, once for each |
| chance | `uuid`, `secrets`, `random` | from the seed |
| the other environments' states | their configuration and `open_store` in `cli.other_environments` | as the course has them |
| videos | the transport of the media client, `sample_media.video` | `films.Transport`, other bytes for each |
| pictures of the workspace | `local_media`, `opened` in `operations.calls.upload` | files of the same names, whose content never changes |
| certificates | `ssl` in `Sender` | none: the network is in this process |
| the running loop | `asyncio.get_running_loop` | the same, without asking the system |
| text of a lease | `json` in the lease | the same text, made quicker |
| slow digests | `hashlib.scrypt` in `model.values` | a quick digest of the same |
"""

from __future__ import annotations

import asyncio
import fcntl
import functools
import hashlib
import itertools
import random
import secrets
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import httpx
import msgspec

from reconciler import files
from reconciler.adapters.api import destination, limiter, sending
from reconciler.adapters.media import client as media
from reconciler.adapters.state import holder, lease, local, lock, objects, spill
from reconciler.cli import other_environments
from reconciler.model import values
from reconciler.model.errors import LockError
from reconciler.model.hosts import is_loopback
from reconciler.model.redact import Redactor
from reconciler.operations.calls import upload
from reconciler.sandbox import sample_media
from tests.simulation import films
from tests.simulation.clockwork import Fiber, Process, World
from tests.simulation.disk import Disk, SimulatedOs, SimulatedPath
from tests.simulation.object_store import Bucket, InOrder, Prefixed, SimulatedObstore
from tests.simulation.wire import Request

CHECKED: Final = functools.cache(destination.checked)
IS_LOOPBACK: Final = functools.cache(is_loopback)
RUNNING_LOOP: Final = asyncio._get_running_loop
REDACTOR: Final = functools.cache(Redactor)
HTTPX: Final = SimpleNamespace(**{**vars(httpx), "Request": Request})


def _fiber() -> Fiber:
    fiber = World.current.fiber
    assert fiber is not None, "only a process waits"
    return fiber


class Time:
    """The module ``time``."""

    def time(self) -> float:
        return World.current.process.wall()

    def monotonic(self) -> float:
        return World.current.now

    def sleep(self, seconds: float) -> None:
        _fiber().sleep(seconds)


class Now(datetime):
    """``datetime`` whose present is the process's."""

    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return datetime.fromtimestamp(World.current.process.wall(), UTC)


class Lock:
    """``threading.Lock``"""

    def __init__(self) -> None:
        self._held = False
        self._waiting: list[Fiber] = []

    def __enter__(self) -> None:
        while self._held:
            fiber = _fiber()
            self._waiting.append(fiber)
            fiber.park()
        self._held = True

    def __exit__(self, *_: object) -> None:
        self._held = False
        waiting, self._waiting = self._waiting, []
        for fiber in waiting:
            fiber.wake()


class Event:
    """``threading.Event``"""

    def __init__(self) -> None:
        self._set = False
        self._waiting: list[Fiber] = []

    def clear(self) -> None:
        self._set = False

    def set(self) -> None:
        self._set = True
        waiting, self._waiting = self._waiting, []
        for fiber in waiting:
            fiber.wake()

    def wait(self, timeout: float) -> bool:
        if not self._set:
            fiber = _fiber()
            self._waiting.append(fiber)
            fiber.sleep(timeout)
        return self._set


class Thread:
    """``threading.Thread``"""

    def __init__(self, *, target: Callable[[], None], name: str, daemon: bool) -> None:
        self._target, self._name = target, name
        self._fiber: Fiber | None = None

    def start(self) -> None:
        self._fiber = World.current.process.start(self._target, self._name)

    def join(self) -> None:
        assert self._fiber is not None
        while not self._fiber.over:
            self._fiber.on_end.append(_fiber().wake)
            _fiber().park()


def dumps(document: object, *, indent: int) -> str:
    """``json.dumps``, which indents in Python: the same text for what is ASCII."""
    return msgspec.json.format(msgspec.json.encode(document), indent=indent).decode()


class _Held:
    def __init__(self, disk: Disk, path: str) -> None:
        self._disk, self._path = disk, path

    def release(self) -> None:
        self._disk.locks.pop(self._path, None)


@contextmanager
def simulated(world: World, disk_of: Callable[[Process], Disk], bucket: Bucket) -> Iterator[None]:
    """The program's edges lead into a world for as long as this context lasts."""
    World.current = world
    system = SimulatedOs(disk_of)
    clock = Time()
    numbers = world.chance("ids")

    def acquire(lock_path: Path, timeout: float, _: Path, state_path: Path) -> _Held:
        process, path = world.process, str(lock_path)
        locks, end = disk_of(process).locks, world.now + timeout
        while path in locks and not (locks[path].dead or locks[path].over):
            if world.now >= end:
                raise LockError(f"the state `{state_path}` is locked", f"Held by {locks[path].name}.")
            _fiber().sleep(min(0.5, max(0.05, end - world.now)))
        process.point()
        locks[path] = process
        return _Held(disk_of(process), path)

    thread = threading.get_ident()

    def running_loop_if_any() -> asyncio.AbstractEventLoop | None:
        return world.loop if threading.get_ident() == thread else RUNNING_LOOP()  # a test's server has its own

    def running_loop() -> asyncio.AbstractEventLoop:
        loop = running_loop_if_any()
        if loop is None:
            raise RuntimeError("no running event loop")
        return loop

    def make_uuid() -> uuid.UUID:
        return uuid.UUID(int=numbers.getrandbits(128), version=4)

    def token_hex(count: int = 32) -> str:
        return numbers.randbytes(count).hex()

    limiters = itertools.count()

    @functools.cache
    def pauses() -> random.Random:
        return world.chance("random")

    def pause() -> float:
        return pauses().random()

    def quick(raw: bytes, *, salt: bytes, **_: object) -> bytes:
        return hashlib.sha256(salt + raw).digest()

    threads = SimpleNamespace(Lock=Lock, Event=Event, Thread=Thread)
    replaced: list[tuple[Any, str, Any]] = [
        (SimulatedPath, "system", system),
        (files, "os", system),
        (files, "open", system.open_file),
        (files, "fcntl", SimpleNamespace(flock=system.flock, LOCK_EX=fcntl.LOCK_EX, LOCK_NB=fcntl.LOCK_NB)),
        (files, "_place", lambda path: path),
        (files, "_followed", lambda path: path),
        (local, "os", system),
        (media, "os", system),
        (sample_media, "video", films.video),
        (upload, "local_media", films.local_media),
        (upload, "opened", films.opened),
        (spill, "os", system),
        (lock, "os", system),
        (holder, "os", system),
        (holder, "datetime", Now),
        (holder, "socket", SimpleNamespace(gethostname=lambda: disk_of(world.process).name)),
        (lock, "_acquire", acquire),
        (lease, "time", clock),
        (lease, "threading", threads),
        (lease, "datetime", Now),
        (lease, "json", SimpleNamespace(dumps=dumps)),
        (limiter, "time", clock),
        (limiter, "token_hex", lambda _: f"{next(limiters):08x}"),
        (sending, "httpx", HTTPX),
        (sending, "random", SimpleNamespace(random=pause)),
        (destination, "checked", CHECKED),
        (sending, "is_loopback", IS_LOOPBACK),
        (sending, "Redactor", REDACTOR),
        (sending, "ssl", SimpleNamespace(SSLContext=lambda _: None, PROTOCOL_TLS_CLIENT=None)),
        (objects, "obstore", SimulatedObstore()),
        (objects, "from_url", lambda url, **_: Prefixed(bucket, url)),
        (objects, "ThreadPoolExecutor", InOrder),
        (other_environments, "load_offline", lambda _, environment, *, state: state.config(environment)),
        (other_environments, "open_store", lambda console, config: console.state.store(config)),
        (values, "hashlib", SimpleNamespace(scrypt=quick, sha256=hashlib.sha256)),
        (asyncio, "get_running_loop", running_loop),
        (asyncio.events, "get_running_loop", running_loop),
        (asyncio.events, "_get_running_loop", running_loop_if_any),
        (asyncio.coroutines, "_is_debug_mode", lambda: False),
        (uuid, "uuid4", make_uuid),
        (secrets, "token_hex", token_hex),
    ]
    missing = object()
    before = [(place, name, place.__dict__.get(name, missing)) for place, name, _ in replaced]
    for place, name, new in replaced:
        setattr(place, name, new)
    try:
        yield
    finally:
        world.enter(None)
        del World.current
        values._derived.cache_clear()
        for place, name, old in before:
            if old is missing:
                delattr(place, name)
            else:
                setattr(place, name, old)
