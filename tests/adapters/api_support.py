"""What the tests of the API client share: every call with a good answer to it, and servers that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from reconciler.adapters.api.client import ApiClient
from reconciler.adapters.api.limiter import RateLimiter
from reconciler.model.values import WireBody
from tests.virtual_time import run

KEY = "es_live_0123456789abcdef"
BRIEF = WireBody({"brief": "Fifteen seconds, upbeat."})
PROJECT = {"id": "proj_1", "status": "idle", "mode": "autonomous"}


@dataclass(frozen=True)
class Endpoint:
    """One call: how to make it, what it is on the wire, and a good answer."""

    name: str
    method: str
    path: str
    status: int
    answer: dict[str, Any]
    make: Callable[[ApiClient], Awaitable[Any]]

    @property
    def reads(self) -> bool:
        return self.method == "GET"

    @property
    def by_status(self) -> bool:
        return self.name in ("patch", "cancel", "send")

    @property
    def doubled(self) -> bool:
        """Whether the caller looks first where it was refused as one request too many: a proxy may have sent it twice."""
        return self.name in ("create", "send")

    @property
    def on_project(self) -> bool:
        return self.name not in ("create", "list")


ENDPOINTS = [
    Endpoint("create", "POST", "/projects", 202, {"id": "proj_1", "status": "queued"}, lambda c: c.create(BRIEF)),
    Endpoint("adopt", "POST", "/projects/adopt", 201, PROJECT, lambda c: c.adopt(WireBody({"project_id": "studio"}))),
    Endpoint("list", "GET", "/projects", 200, {"projects": [PROJECT], "total": 1}, lambda c: c.list_projects()),
    Endpoint("project", "GET", "/projects/proj_1", 200, PROJECT, lambda c: c.project("proj_1")),
    Endpoint(
        "patch",
        "PATCH",
        "/projects/proj_1/settings",
        200,
        {"title": "x"},
        lambda c: c.patch_settings("proj_1", WireBody({"title": "x"})),
    ),
    Endpoint("cancel", "POST", "/projects/proj_1/cancel", 200, PROJECT, lambda c: c.cancel("proj_1")),
    Endpoint(
        "send",
        "POST",
        "/projects/proj_1/messages",
        202,
        PROJECT,
        lambda c: c.send_message("proj_1", WireBody({"message": "x"})),
    ),
    Endpoint(
        "messages",
        "GET",
        "/projects/proj_1/messages",
        200,
        {"messages": [], "has_more": False},
        lambda c: c.messages("proj_1"),
    ),
]
BY_NAME = {endpoint.name: endpoint for endpoint in ENDPOINTS}

Reply = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


@dataclass
class Script:
    """A transport that gives one reply after the other, the last one for ever, and keeps the requests."""

    replies: list[Reply]
    requests: list[httpx.Request] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    async def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.times.append(asyncio.get_running_loop().time())
        reply = self.replies[min(len(self.requests), len(self.replies)) - 1]
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, httpx.Response):  # a response can be read by one request only
            return httpx.Response(reply.status_code, headers=reply.headers, content=reply.content)
        return reply(request)

    def client(self, **options: Any) -> ApiClient:
        given = {"limiter": RateLimiter(120), "transport": httpx.MockTransport(self.handle), **options}
        return ApiClient("http://sandbox/api/v1", KEY, **given)


def script(*replies: Reply) -> Script:
    return Script(list(replies))


def reply(status: int, body: Any = None, **headers: str) -> httpx.Response:
    """An answer with a JSON body (or the bytes given); ``retry_after="3"`` makes a header."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, content=content, headers={"content-type": "application/json", **named})


def refusal(status: int, code: str | None, message: str = "No.", **headers: str) -> httpx.Response:
    """An answer in the API's error envelope."""
    error = {"message": message, "status": status} | ({} if code is None else {"code": code})
    return reply(status, {"error": error}, **headers)


def good(endpoint: Endpoint) -> httpx.Response:
    return reply(endpoint.status, endpoint.answer)


def ask(server: Script, call: Callable[[ApiClient], Awaitable[Any]], **options: Any) -> Any:
    """What one call gives, in virtual time."""

    async def main() -> Any:
        async with server.client(**options) as client:
            return await call(client)

    return run(main())


@dataclass
class SocketServer:
    """A server on loopback that counts the whole requests it read."""

    url: str
    requests: int = 0


@contextlib.asynccontextmanager
async def socket_server(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[SocketServer]:
    """Reads each request whole, then leaves the connection to ``answer``, and closes it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if b"content-length: " in head:
                await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
            server.requests += 1
            await answer(reader, writer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    server = SocketServer(f"http://127.0.0.1:{port}/api/v1")
    async with listening:
        yield server
