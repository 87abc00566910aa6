"""What goes over the wire, and where it may go."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import ssl

import httpx
import pytest

from reconciler.adapters.api.client import ApiClient
from reconciler.adapters.api.limiter import RateLimiter
from reconciler.model.errors import ApiError, ConfigError, LockError, RefusedError, UnreachableError
from reconciler.model.values import WireBody
from tests.adapters.api_support import BRIEF, BY_NAME, ENDPOINTS, KEY, ask, good, reply, script, socket_server
from tests.virtual_time import run


def client_for(url: str, key: str = KEY, **options) -> ApiClient:
    return ApiClient(url, key, limiter=RateLimiter(120), **options)


# Out.


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: e.name)
def test_each_call_is_the_contracts(endpoint):
    server = script(good(endpoint))
    ask(server, endpoint.make)
    (request,) = server.requests
    assert (request.method, request.url.path) == (endpoint.method, "/api/v1" + endpoint.path)
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert re.fullmatch(r"eversince-reconciler/\S+", request.headers["user-agent"])
    has_body = endpoint.method != "GET" and endpoint.name != "cancel"
    assert request.headers.get("content-type") == ("application/json" if has_body else None)
    assert bool(request.content) is has_body


def test_a_body_is_sent_as_it_is():
    body = {
        "brief": "Ünïcode “quotes” \U0001f3ac",
        "title": None,
        "references": [{"upload_id": "u"}],
        "craft_auto": False,
    }
    server = script(good(BY_NAME["create"]))
    ask(server, lambda client: client.create(WireBody(body)))
    assert json.loads(server.requests[0].content) == body


def test_queries_hold_what_was_asked_for_and_nothing_else():
    server = script(good(BY_NAME["list"]), good(BY_NAME["messages"]))

    async def both(client: ApiClient) -> None:
        await client.list_projects(offset=200, status="idle", title="a&b=ü #1+2")
        await client.messages("proj_1", after="msg/1?")

    ask(server, both)
    first, second = (dict(request.url.params) for request in server.requests)
    assert first == {"limit": "100", "offset": "200", "status": "idle", "title": "a&b=ü #1+2"}
    assert second == {"limit": "50", "after": "msg/1?"}


@pytest.mark.parametrize(
    "project_id", ["../x", "a/b", "a/../..", "a?b=c", "a#b", "a%2fb", "ü", "a b", "..%2f", "a\\b", "\ud800"]
)
def test_an_id_can_not_leave_its_place_in_the_path(project_id):
    server = script(good(BY_NAME["cancel"]))
    ask(server, lambda client: client.cancel(project_id))
    assert re.fullmatch(rb"/api/v1/projects/[^/?#]+/cancel", server.requests[0].url.raw_path)


@pytest.mark.parametrize("project_id", ["", ".", ".."])
def test_what_can_be_no_id_is_refused_unsent(project_id):
    server = script(good(BY_NAME["project"]))
    with pytest.raises(RefusedError, match="nothing was sent"):
        ask(server, lambda client: client.project(project_id))
    assert server.requests == []


def test_cookies_are_neither_kept_nor_sent():
    server = script(reply(200, BY_NAME["project"].answer, set_cookie="session=1"))

    async def twice(client: ApiClient) -> None:
        await client.project("a")
        await client.project("b")

    ask(server, twice)
    assert all("cookie" not in request.headers for request in server.requests)


def test_a_client_that_was_not_entered_sends_nothing():
    server = script(good(BY_NAME["project"]))
    with pytest.raises(RuntimeError, match="async with"):
        run(server.client().project("proj_1"))
    assert server.requests == []


# Where to.


@pytest.mark.parametrize(
    "url",
    [
        "https://eversince.ai/api/v1",
        "https://eversince.ai/api/v1/",
        "https://host:8443",
        "http://localhost:8000/api/v1",
        "http://127.0.0.1:1/",
        "http://127.8.9.1",
        "http://[::1]:8000/api/v1",
    ],
)
def test_https_and_loopback_are_accepted(url):
    client_for(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "eversince.ai/api/v1",
        "/api/v1",
        "ftp://eversince.ai",
        "https://eversince.ai:0",
        "https://eversince.ai:65536",
        "file:///etc/hosts",
        "https://",
        "https://host:port",
        "https://user@host",
        "https://user:swordfish@host",
        "https://host/?key=swordfish",
        "https://host/?",
        "https://host/#swordfish",
        "https://host\n.example",
        "http://eversince.ai/api/v1",
        "http://192.168.0.1",
        "http://0.0.0.0",
        "http://localhost.example",
        "http://127.0.0.1.example",
        "http://localhost\\@eversince.ai",
        "http://sandbox/api/v1",
    ],
)
def test_any_other_address_is_refused_with_what_to_do_and_without_its_secrets(url):
    with pytest.raises(ConfigError) as caught:
        client_for(url)
    (diagnostic,) = caught.value.diagnostics
    assert "https" in diagnostic.detail
    assert "swordfish" not in diagnostic.summary + diagnostic.detail


def test_in_process_the_host_may_be_called_sandbox_but_no_other_host_gets_plain_http():
    transport = script(good(BY_NAME["project"])).client()._transport
    client_for("http://sandbox/api/v1", transport=transport)
    with pytest.raises(ConfigError):
        client_for("http://eversince.ai/api/v1", transport=transport)


@pytest.mark.parametrize("key", ["", "  ", "two words", "line\r\nbreak", "ключ", "nul\x00"])
def test_a_key_that_can_not_be_one_is_refused_and_not_repeated(key):
    with pytest.raises(ConfigError) as caught:
        client_for("https://eversince.ai/api/v1", key)
    (diagnostic,) = caught.value.diagnostics
    assert not key.strip() or key not in diagnostic.summary + diagnostic.detail


def test_white_space_around_the_key_is_not_part_of_it():
    server = script(good(BY_NAME["project"]))

    async def main() -> None:
        transport = httpx.MockTransport(server.handle)
        async with client_for("http://sandbox", f" {KEY}\n", transport=transport) as client:
            await client.project("a")

    run(main())
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_loopback_needs_no_key():
    server = script(good(BY_NAME["project"]))

    async def main() -> None:
        async with client_for("http://localhost", "", transport=httpx.MockTransport(server.handle)) as client:
            await client.project("a")

    run(main())
    assert "authorization" not in server.requests[0].headers


def test_loopback_is_reached_without_the_environments_proxy(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    async def answer(_, writer) -> None:
        body = good(BY_NAME["project"]).content
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))

    async def main() -> None:
        async with socket_server(answer) as server, client_for(server.url) as client:
            assert (await client.project("proj_1")).id == "proj_1"

    run(main())


@pytest.mark.parametrize("allowed", range(3))
def test_a_lock_that_is_lost_before_the_body_has_left_stops_the_call(allowed):
    """Lost while the call waited for its turn, while it connected, or between its head and its body."""
    left = iter(range(allowed))

    def guard() -> None:
        if next(left, None) is None:
            raise LockError("lost")

    async def answer(_, writer) -> None:
        writer.write(b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n")

    async def main() -> None:
        async with socket_server(answer) as server:
            async with client_for(server.url, guard=guard) as client:
                with pytest.raises(LockError):
                    await client.create(BRIEF)
            await asyncio.sleep(0.05)
        assert server.requests == 0
        assert next(left, None) is None

    run(main())


def test_https_goes_through_the_environments_proxy(monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    seen = []

    async def refuse(_, writer) -> None:
        seen.append("asked")
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")

    async def main() -> None:
        async with socket_server(refuse) as server:
            monkeypatch.setenv("HTTPS_PROXY", server.url.removesuffix("/api/v1"))
            async with client_for("https://eversince.invalid/api/v1") as client:
                with pytest.raises(ApiError) as caught:
                    await client.create(BRIEF)
        assert (type(caught.value).__name__, caught.value.fate, seen) == ("UnreachableError", "not_done", ["asked"])
        assert "asks for a user name and a password" in str(caught.value)
        assert "HTTPS_PROXY" in caught.value.diagnostics[0].detail

    run(main())


def test_a_407_on_the_way_says_what_the_proxy_wants_and_is_no_answer_of_the_api():
    server = script(httpx.Response(407, content=b"<html>proxy</html>", headers={"content-type": "text/html"}))
    with pytest.raises(ApiError) as caught:
        ask(server, lambda client: client.project("a"))

    assert len(server.requests) == 1 and caught.value.fate == "not_done"
    assert "asks for a user name and a password" in str(caught.value)
    assert "api.url" not in caught.value.diagnostics[0].detail


@contextlib.asynccontextmanager
async def closing_server():
    """Answers one request on a connection, keeps it, and closes it unread when another comes. Says what it read."""
    read: list[str] = []
    serving: list[asyncio.Task[None]] = []

    async def serve(reader, writer) -> None:
        serving.append(asyncio.current_task())
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
            await reader.readexactly(length)
            method, path, _ = head.decode().split(" ", 2)
            read.append(method)
            endpoint = next(e for e in ENDPOINTS if e.method == method and path == f"/api/v1{e.path}")
            body = good(endpoint).content
            writer.write(b"HTTP/1.1 %d OK\r\ncontent-length: %d\r\n\r\n%b" % (endpoint.status, len(body), body))
            await reader.read(1)
        writer.transport.abort()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/v1", read
        await asyncio.gather(*serving)
        await asyncio.sleep(0.01)  # the transports are closed in the loop's next round


@pytest.mark.parametrize("name", [endpoint.name for endpoint in ENDPOINTS if not endpoint.reads])
def test_what_acts_leaves_on_a_new_connection(name):
    async def main() -> None:
        async with closing_server() as (url, read), client_for(url) as client:
            await client.project("proj_1")
            for _ in range(3):
                await BY_NAME[name].make(client)
            assert read == ["GET", *[BY_NAME[name].method] * 3]

    asyncio.run(main())


def test_a_read_that_a_kept_connection_lost_is_repeated_on_a_new_one():
    async def main() -> None:
        async with closing_server() as (url, read), client_for(url) as client:
            await asyncio.gather(*(client.project("proj_1") for _ in range(8)))
            sent = client.requests
            await client.project("proj_1")
            assert len(read) == 9 and client.requests - sent == 2

    asyncio.run(main())


def test_reads_share_connections():
    opened = []

    async def serve(reader, writer) -> None:
        opened.append(writer)
        body = good(BY_NAME["project"]).content
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            async with client_for(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/v1") as client:
                for _ in range(5):
                    await client.project("proj_1")
            await asyncio.sleep(0.05)
        assert len(opened) == 1

    asyncio.run(main())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPS_PROXY", "gopher://swordfish@proxy"),
        ("HTTPS_PROXY", "http://proxy:port"),
        ("SSL_CERT_FILE", "/nonexistent.pem"),
    ],
)
def test_an_environment_that_can_not_be_used_is_an_error_of_the_configuration(monkeypatch, name, value):
    monkeypatch.setenv(name, value)

    async def main() -> None:
        with pytest.raises(ConfigError) as caught:
            await client_for("https://eversince.invalid").__aenter__()
        assert "swordfish" not in str(caught.value.diagnostics)

    run(main())


def test_a_server_that_speaks_no_tls_is_sent_nothing():
    heard = []

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        heard.append(await reader.read(10_000))
        writer.close()

    async def main() -> None:
        async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with client_for(f"https://127.0.0.1:{port}", retries=0) as client:
                with pytest.raises(UnreachableError):
                    await client.create(BRIEF)
        assert KEY.encode() not in b"".join(heard)

    run(main())


def test_certificates_are_always_checked_and_plain_http_trusts_none():
    async def main() -> None:
        for url, trusts_some in (("https://eversince.invalid", True), ("http://127.0.0.1", False)):
            async with client_for(url) as client:
                trust = client._http._transport._pool._ssl_context
                assert trust.verify_mode is ssl.CERT_REQUIRED and trust.check_hostname
                assert bool(trust.get_ca_certs()) is trusts_some

    run(main())
