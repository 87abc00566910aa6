"""The network between the program's client and the emulated API, which is the real one, in this process.

A request that has left arrives, or not, whatever becomes of its sender: it acts up to ``LATEST`` seconds later, which is
within the time that the program settles for. What a proxy sends twice acts twice; of ``UNKEYED`` calls the second
copy is refused, as one request too many, and of creates some.
"""

from __future__ import annotations

import asyncio
import functools
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import httpx
from msgspec import Struct

from reconciler.adapters.api.client import ApiClient
from reconciler.sandbox import app, wire
from reconciler.sandbox.store import Effect, Store
from tests.simulation.clockwork import Process, World

LATEST: Final = 8.0
URL: Final = "http://127.0.0.1:1/api/v1"
FATES: Final = (
    "refused",  # no connection
    "connect time-out",
    "closed",  # the kept connection was closed meanwhile
    "lost",  # it broke before the request arrived
    "late",  # it broke, and the request arrives all the same
    "unheard",  # done, then it broke
    "time-out before",
    "time-out after",
    "cut",  # the answer breaks off
    "garbled",  # the answer is no JSON
    "drip",  # the answer comes slowly
    "proxy 502 before",
    "proxy 502 after",
    "503",
    "500",
    "429",
    "twice",  # a proxy repeats it
    "slow",
)


UNKEYED: Final = ("POST messages", "POST share")
"""Calls of which the server does what comes twice twice: nobody could do anything about a proxy that repeats them."""


class Weather(Struct):
    """How the network is: the share of requests with each fate."""

    shares: dict[str, float] = {}
    storm_until: float = 0.0
    storm: str = "503"


@functools.lru_cache(maxsize=4096)
def call_of(method: str, path: str) -> str:
    """What a request calls, without the ids: ``GET projects``, ``PATCH project``, ``POST messages``."""
    parts = path.strip("/").split("/")
    return f"{method} {'project' if parts[0] == 'projects' and len(parts) == 2 else parts[-1]}"


class Request:
    """``httpx.Request``, which would take a tenth of a life: it parses the address of each, and all headers."""

    def __init__(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None, extensions: Mapping[str, Any]
    ) -> None:
        self.method, self.headers, self.content, self.extensions = method, headers, content, extensions
        self.path, self.query = _parsed(url)


@functools.lru_cache(maxsize=4096)
def _parsed(url: str) -> tuple[str, list[tuple[str, str]]]:
    """The path below the API's address, and the query."""
    path, _, query = url.removeprefix(URL).partition("?")
    return unquote(path), parse_qsl(query, keep_blank_values=True)


class Response:
    """``httpx.Response`` of a request, to be read piece by piece."""

    is_stream_consumed = False

    def __init__(self, status: int, headers: Mapping[str, str], stream: httpx.AsyncByteStream) -> None:
        self.status_code, self.headers, self.stream = status, headers, stream

    async def aclose(self) -> None:
        pass


class Server:
    """An account and the way to it: where there are several, the key tells which."""

    def __init__(self, world: World, store: Store, key: str, *, number: int = 0) -> None:
        self.world = world
        self.store = store
        self.key = key
        self.number = number
        self.weather = Weather()
        self._chances: dict[str, random.Random] = {}
        self.count: Counter[str] = Counter()
        """Requests that left, by process."""
        self.fates: Counter[str] = Counter()
        self.listed: dict[str, float] = {}
        """When each process was last told what the account has."""
        self.heard: dict[str, tuple[Process, float]] = {}
        """The processes that the answers to their requests came to as they were given, and when."""
        self.knew: dict[str, float] = {}
        """When the process of a request was last told before it left."""
        self.watch: Callable[[Process, str], str] = lambda *_: ""
        """Told of each request that may change something, as it leaves; may choose its fate."""
        self.told: Callable[[Process, str, str], None] = lambda *_: None
        """Told of each fate: process, call, fate."""
        self._api = app._Api(store, key)
        self._ledger: list[Effect] = []

    def ledger(self) -> list[Effect]:
        """What was done in the account so far."""
        self._ledger += self.store.ledger(after=self._ledger[-1].n if self._ledger else 0)
        return [*self._ledger]

    def chance(self, call: str) -> random.Random:
        """Each call has its own, so that a command that reads more or less leaves the others' luck as it is."""
        if call not in self._chances:
            self._chances[call] = self.world.chance(f"wire {self.number} {call}" if self.number else f"wire {call}")
        return self._chances[call]

    def fate(self, call: str, *, kept: bool) -> str:
        chance = self.chance(call).random()
        if self.world.now < self.weather.storm_until and chance < 0.8:
            return self.weather.storm
        for name, share in self.weather.shares.items():
            chance -= share
            if chance < 0:
                return "" if name == "closed" and not kept else name
        return ""

    def meet(self, process: Process, method: str, path: str, fate: str) -> None:
        self.fates[fate] += 1
        self.told(process, call_of(method, path), fate)
        self.world.tell(process.name, f"{method} {path}: {fate}")

    def carry_out(self, request: Request, request_id: str) -> wire.Answer:
        call = wire.Call(
            method=request.method,
            path=request.path,
            query=request.query,
            body=request.content or b"",
            authorization=request.headers.get("Authorization", ""),
            content_type=request.headers.get("Content-Type", ""),
            origin="http://127.0.0.1:1",
            request_id=request_id,
        )
        return self._api._carry_out(call, None)


class WiredClient(ApiClient):
    """The real client; its connections lead into the simulated network."""

    def __init__(self, server: Server, process: Process, **more: Any) -> None:
        super().__init__(URL, server.key, **more)
        self._server, self._process = server, process

    def _client(self, trust: Any, limits: httpx.Limits) -> Any:
        return Wire(self._server, self._process, kept=bool(limits.max_keepalive_connections))


class Wire:
    """``httpx.AsyncClient``, as far as a sender uses it: with cookies, redirects and hooks it would take twice as long."""

    def __init__(self, server: Server, process: Process, *, kept: bool) -> None:
        self._server, self._process, self._kept = server, process, kept
        self._used = -1e9

    async def aclose(self) -> None:
        pass

    async def send(self, request: Request, *, stream: bool) -> Response:
        assert stream, "answers are read piece by piece"
        server, process, world = self._server, self._process, self._server.world
        process.point()
        path = request.path
        kept = self._kept and world.now - self._used < 4.0
        call = call_of(request.method, path)
        fate = server.fate(call, kept=kept)
        if fate:
            server.meet(process, request.method, path, fate)
        timeouts = request.extensions["timeout"]
        trace = request.extensions["trace"]
        if not kept:
            await trace("connection.connect_tcp.started", {})
            await asyncio.sleep(0.03)
            if fate == "refused":
                raise httpx.ConnectError("All connection attempts failed")
            if fate == "connect time-out":
                await asyncio.sleep(timeouts["connect"])
                raise httpx.ConnectTimeout("timed out")
        await trace("http11.send_request_headers.started", {})
        if request.method != "GET":
            await trace("http11.send_request_body.started", {})
            if chosen := server.watch(process, call):
                fate = chosen
                server.meet(process, request.method, path, fate)
        server.count[process.name] += 1
        number = f"{process.name}-{server.count[process.name]}"
        answer = Flight(server, process, request, number, fate).leave(server.chance(call))
        process.point()
        await trace("http11.receive_response_headers.started", {})
        self._used = world.now
        found = await answer
        process.point()
        self._used = world.now
        if found.status < 300 and fate in ("", "slow"):
            server.heard[number] = process, world.now
        headers = {name.lower(): value for name, value in found.headers.items()} | {"content-type": found.content_type}
        if fate != "cut":
            headers["content-length"] = str(len(found.body))
        return Response(found.status, headers, Body(found.body, fate))


class Body(httpx.AsyncByteStream):
    def __init__(self, data: bytes, fate: str) -> None:
        self._data, self._fate = data, fate

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._fate == "cut":
            yield self._data[: len(self._data) // 2]
            raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")
        if self._fate == "drip":
            half = len(self._data) // 2
            yield self._data[:half]
            await asyncio.sleep(5.0)
            yield self._data[half:]
            return
        yield self._data


class Flight:
    """One request on its way."""

    def __init__(self, server: Server, process: Process, request: Request, number: str, fate: str) -> None:
        self._server, self._process, self._request, self._number = server, process, request, number
        self._fate = fate
        loop = process.loop
        assert loop is not None
        self._loop = loop
        self._future: asyncio.Future[wire.Answer] = loop.create_future()
        self._timeout = request.extensions["timeout"]["read"]

    def leave(
        self, chance: random.Random, carry_out: Callable[[], wire.Answer] | None = None
    ) -> asyncio.Future[wire.Answer]:
        """``carry_out`` is what it does there, if it is no call of the API."""
        self._carry_out = carry_out or (lambda: self._server.carry_out(self._request, self._number))
        world = self._server.world
        self._server.knew[self._number] = self._server.listed.get(self._number.rpartition("-")[0], 0.0)
        there, back = (0.02 + 0.15 * chance.random() for _ in range(2))
        match self._fate:
            case "closed":
                self._answer(0.0, httpx.RemoteProtocolError("Server disconnected without sending a response."))
            case "lost":
                self._answer(there, httpx.ReadError("connection reset"))
            case "late":
                self._answer(there, httpx.ReadError("connection reset"))
                world.after(there + (LATEST - there) * chance.random(), self._act)
            case "unheard":
                world.after(there, self._act)
                self._answer(there + back, httpx.ReadError("connection reset"))
            case "time-out before":
                self._answer(self._timeout, httpx.ReadTimeout("timed out"))
            case "time-out after":
                world.after(there, self._act)
                self._answer(self._timeout, httpx.ReadTimeout("timed out"))
            case "proxy 502 before":
                self._answer(there, _page(502))
            case "500" | "503" | "429":
                self._answer(there, _refusal(int(self._fate)))
            case "slow":
                world.after(there + 5.0 * chance.random(), lambda: self._reply(back))
            case _:
                world.after(there, lambda: self._reply(back))
        return self._future

    def _act(self) -> wire.Answer:
        answer = self._carry_out()
        method, path = self._request.method, self._request.path
        self._server.world.tell("server", f"{self._number} {method} {path} → {answer.status}")
        if path == "/projects" and method == "GET":
            self._server.listed[self._number.rpartition("-")[0]] = self._server.world.now
        return answer

    def _reply(self, back: float) -> None:
        answer = self._act()
        if self._fate == "twice":
            call = call_of(self._request.method, self._request.path)
            limited = call in UNKEYED or (call == "POST projects" and self._server.chance("copies").random() < 0.3)
            answer = _refusal(429) if limited else self._act()
        elif self._fate == "proxy 502 after":
            answer = _page(502)
        elif self._fate == "garbled":
            answer = wire.Answer(answer.status, b"<html>maintenance</html>", answer.headers, "text/html")
        self._answer(back, answer)

    def _answer(self, seconds: float, answer: wire.Answer | Exception) -> None:
        self._server.world.after(seconds, lambda: self._loop.resolve(self._future, answer))


def _page(status: int) -> wire.Answer:
    return wire.Answer(status, b"<html><body><h1>Bad Gateway</h1></body></html>", {}, "text/html")


def _refusal(status: int) -> wire.Answer:
    code = {429: "rate_limited", 503: "internal_error", 500: "internal_error"}[status]
    headers = {"Retry-After": "3"} if status != 500 else {}
    return wire.error_answer(code, "The weather is bad", status, headers)
