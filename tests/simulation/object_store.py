"""A bucket behind the functions of ``obstore`` that the program uses: slow, unreachable for a while, with late effects.

A request that is given up may still act, up to ``LATEST`` seconds later. What is there is never overwritten where that
was asked for: such a store keeps its word, or the program refuses it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import cached_property
from types import SimpleNamespace
from typing import Any, Self

from obstore import exceptions

from tests.simulation.clockwork import EPOCH, Process, World

LATEST = 20.0


class Bucket:
    """``skew``: seconds by which its clock is ahead. ``lax``: it overwrites what was only to be created. ``trouble`` says what becomes of a request: ``""`` (it is done),
    ``"lost"`` (it does not arrive), ``"late"`` (given up, and done later), ``"unheard"`` (done, its answer is lost).
    """

    def __init__(self, world: World, *, skew: float = 0.0, lax: bool = False) -> None:
        self.world = world
        self.skew, self.lax = skew, lax
        self.objects: dict[str, tuple[bytes, datetime]] = {}
        self.trouble: Callable[[str], str] = lambda _: ""
        self.suspends: Callable[[str], bool] = lambda _: False
        """Told of each request as it is about to leave; whether its process is suspended right before."""

    @cached_property
    def chance(self) -> random.Random:
        return self.world.chance("bucket")

    def seconds(self) -> float:
        return 0.01 + 0.05 * self.chance.random()

    def put(self, path: str, data: bytes, *, create: bool) -> None:
        if create and path in self.objects and not self.lax:
            raise exceptions.AlreadyExistsError(f"Object at location {path} already exists")
        self.objects[path] = (data, datetime.fromtimestamp(EPOCH + self.world.now + self.skew, UTC))

    def texts(self) -> Iterable[tuple[str, bytes]]:
        return [(path, data) for path, (data, _) in sorted(self.objects.items())]

    # one request

    def request(self, what: str, act: Callable[[], Any]) -> Any:
        """For a caller that blocks."""
        world = self.world
        fiber = world.fiber
        assert fiber is not None
        _told(world.process, what)
        fate = self.trouble(what)
        if fate in ("", "unheard"):
            fiber.sleep(self.seconds())
            result = act()
            fiber.sleep(0.001)
            if not fate:
                return result
        seconds = self._gives_up(what, fate, act)
        fiber.sleep(seconds)
        raise _unreachable(what)

    async def request_async(self, what: str, act: Callable[[], Any]) -> Any:
        world, process = self.world, self.world.process
        process.point()
        _told(process, what)
        if self.suspends(what):
            await asyncio.sleep(0.001)  # which takes until it goes on
        fate = self.trouble(what)
        loop = process.loop
        assert loop is not None
        future: asyncio.Future[Any] = loop.create_future()
        if fate in ("", "unheard"):

            def arrive() -> None:  # though the process may be dead by then
                try:
                    result = act()
                except exceptions.BaseError as error:
                    result = error
                if not fate:
                    loop.resolve(future, result)

            world.after(self.seconds(), arrive)
        if fate:
            seconds = self._gives_up(what, fate, act)
            world.after(seconds, lambda: loop.resolve(future, _unreachable(what)))
        result = await future
        process.point()
        return result

    def _gives_up(self, what: str, fate: str, act: Callable[[], Any]) -> float:
        world = self.world
        world.tell(world.process.name, f"store: {what} {fate}")
        seconds = 2.0 + 3.0 * self.chance.random()
        if fate == "late":

            def late() -> None:
                try:
                    act()
                    world.tell("store", f"{what} acts late")
                except exceptions.BaseError:
                    pass

            world.after(seconds + (LATEST - seconds) * self.chance.random(), late)
        return seconds


def _told(process: Process, what: str) -> None:
    if what.startswith(("put", "delete")):
        process.wrote(what)


def _unreachable(what: str) -> Exception:
    return exceptions.GenericError(f"error sending request: timed out ({what})")


class Prefixed:
    """A store as ``from_url`` gives it."""

    def __init__(self, bucket: Bucket, prefix: str) -> None:
        self.bucket, self.prefix = bucket, prefix

    def full(self, path: str) -> str:
        return f"{self.prefix}/{path}"


class SimulatedObstore:
    """The module ``obstore``."""

    def put(
        self, store: Prefixed, path: str, data: bytes, *, mode: str = "overwrite", use_multipart: bool = True
    ) -> None:
        full = store.full(path)
        store.bucket.request(f"put {path}", lambda: store.bucket.put(full, data, create=mode == "create"))

    async def put_async(
        self, store: Prefixed, path: str, data: bytes, *, mode: str = "overwrite", use_multipart: bool = True
    ) -> None:
        full = store.full(path)
        await store.bucket.request_async(f"put {path}", lambda: store.bucket.put(full, data, create=mode == "create"))

    def get(self, store: Prefixed, path: str) -> Any:
        found = store.bucket.request(f"get {path}", lambda: store.bucket.objects.get(store.full(path)))
        if found is None:
            raise FileNotFoundError(path)
        return SimpleNamespace(meta={"size": len(found[0])}, bytes=lambda: found[0])

    def head(self, store: Prefixed, path: str) -> Any:
        found = store.bucket.request(f"head {path}", lambda: store.bucket.objects.get(store.full(path)))
        if found is None:
            raise FileNotFoundError(path)
        return {"last_modified": found[1]}

    def list(self, store: Prefixed, *, prefix: str, offset: str | None = None) -> Any:
        start, cut = store.full(prefix) + "/", len(store.prefix) + 1

        def found() -> list[dict[str, Any]]:
            return [
                {"path": path[cut:], "last_modified": at, "size": len(data)}
                for path, (data, at) in sorted(store.bucket.objects.items())
                if path.startswith(start) and (offset is None or path[cut:] > offset)
            ]

        result = store.bucket.request(f"list {prefix}", found)
        return SimpleNamespace(collect=lambda: result)

    def list_with_delimiter(self, store: Prefixed, *, prefix: str) -> Any:
        start, cut = store.full(prefix) + "/", len(store.prefix) + 1

        def found() -> list[str]:
            rest = (path for path in store.bucket.objects if path.startswith(start))
            return sorted(
                {start[cut:] + path[len(start) :].partition("/")[0] for path in rest if "/" in path[len(start) :]}
            )

        return {"common_prefixes": store.bucket.request(f"list {prefix}", found)}

    def delete(self, store: Prefixed, paths: str | Iterable[str]) -> None:
        wanted = [store.full(path) for path in ([paths] if isinstance(paths, str) else paths)]

        def delete() -> None:
            for path in wanted:
                store.bucket.objects.pop(path, None)

        store.bucket.request("delete", delete)


class InOrder:
    """``ThreadPoolExecutor``, one after the other."""

    def __init__(self, _: int) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def map(self, work: Callable[[Any], Any], wanted: Iterable[Any]) -> list[Any]:
        return [work(each) for each in wanted]
