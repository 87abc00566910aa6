"""A server can't exhaust a run: bounded memory, bounded time, one clear diagnostic, nothing done twice."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import shutil
import zlib
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from reconciler.adapters.api import answers
from reconciler.adapters.api.body import ANSWER_MAX, MESSAGES_MAX
from reconciler.adapters.api.client import ApiClient
from reconciler.adapters.api.limiter import RateLimiter
from reconciler.model import contract
from reconciler.model.errors import ApiError, ReconcilerError
from reconciler.model.values import WireBody
from reconciler.operations.read.refresh import refresh
from reconciler.sandbox.server import BackgroundServer
from reconciler.sandbox.store import Options
from tests.adapters.api_support import ENDPOINTS, KEY, socket_server
from tests.cli.cli_support import Space, make_space
from tests.sampling import every, square, swept
from tests.security.hostile import CHUNKED, HEAD, Hostile, bomb, for_ever, measured, once
from tests.virtual_time import run

MORE = 200 * 1024
"""KiB that a run may take beyond a normal one."""
CONFIG = "workspace: acme\nlimits: {requests_per_minute: 100000, settle_seconds: 0}\n"
SPEC = """\
projects:
  teaser:
    brief: Ten seconds, one product.
    settings: {title: Teaser, expected_output: assembled}
"""
A_GIBIBYTE = 1024
DIGITS = b"1" + b"0" * 300


def packed():
    return bomb(A_GIBIBYTE)


def nested():
    return zlib.compress(packed(), wbits=zlib.MAX_WBITS | 16)


def nothings():
    return b'{"projects": [' + b"{}," * 40_000_000 + b'{}], "total": 1}'


def gzipped(body, encoding="gzip"):
    return once(body, f"Content-Encoding: {encoding}")


BODIES = {
    "an answer without end": (for_ever(b" " * 65_536), "too large"),
    "chunks without end": (for_ever(b"10000\r\n" + b" " * 65_536 + b"\r\n", head=CHUNKED), "too large"),
    "a length of a terabyte": (
        for_ever(b" " * 65_536, head=HEAD + b"Content-Length: %d\r\n\r\n" % 10**12),
        "too large",
    ),
    "a gzip bomb": (gzipped(packed), "too large"),
    "a zlib bomb": (gzipped(lambda: bomb(A_GIBIBYTE, wbits=zlib.MAX_WBITS), "deflate"), "too large"),
    "a bomb in a bomb": (gzipped(nested, "gzip, gzip"), "Content-Encoding"),
    "gzip that never gives anything": (
        for_ever(b"\0\0\0\xff\xff" * 10_000, head=HEAD + b"Content-Encoding: gzip\r\n\r\n" + bomb(0)[:10]),
        "too large",
    ),
    "gzip that goes on behind its end": (
        for_ever(b" " * 65_536, head=HEAD + b"Content-Encoding: gzip\r\n\r\n" + bomb(0)),
        "too large",
    ),
    "brotli": (gzipped(b"x", "br"), "Content-Encoding"),
    "zstd": (gzipped(b"x", "zstd"), "Content-Encoding"),
    "a packing that nobody knows": (gzipped(b"x", "x" * 5000), "Content-Encoding"),
    "an error's answer without end": (
        for_ever(b" " * 65_536, head=HEAD.replace(b"200 OK", b"500 Oh") + b"\r\n"),
        "too large",
    ),
    "a redirect without end": (
        for_ever(b" " * 65_536, head=HEAD.replace(b"200 OK", b"302 Go") + b"Location: /x\r\n\r\n"),
        "redirect refused",
    ),
    "a list of nothings": (once(nothings), "too large"),
}
"""What any call can be answered with, and a word of the diagnostic."""
TOTALS = {
    "a total of 10^9": (b"1000000000", "`total` is more than 1000000"),
    "a total of 10^300": (DIGITS, "`total` is more than 1000000"),
    "a total of 5000 digits": (b"9" * 5000, "outside the contract"),
    "a total of 1e999": (b"1e999", "outside the contract"),
    "a total below nothing": (b"-1", "outside the contract"),
    "a total of a million": (b"1000000", "too long to be read whole"),
    "a total of many that never come": (b"90000", "kept changing"),
}


@pytest.fixture(scope="module")
def honest():
    """The emulated API, quick, over a socket."""
    with BackgroundServer(options=Options(speed=5000.0, requests_per_minute=0, strict=True)) as server:
        yield server


@pytest.fixture(scope="module")
def managed(honest, tmp_path_factory):
    """A workspace whose one project is rendered, and the memory that its ``status`` takes."""
    space = make_space(tmp_path_factory.mktemp("managed"), SPEC, CONFIG, EVERSINCE_API_KEY=KEY)
    space.run("--api-url", honest.url, "apply", "--auto-approve", "--wait", "idle", "--poll-interval", "0.05")
    return space, measured(space, "--api-url", honest.url, "status").kibibytes


@pytest.fixture
def server(honest):
    with Hostile(honest.url) as server:
        yield server


@pytest.fixture
def space(managed, tmp_path, server):
    """A copy of the workspace, whose state knows the hostile server as its API."""
    shutil.copytree(managed[0].root, tmp_path / "w")
    for path in (tmp_path / "w").glob("*.json"):
        path.write_text(re.sub(r"http://127.0.0.1:\d+/api/v1", server.url, path.read_text()))
    return Space(tmp_path / "w", {**managed[0].env, "EVERSINCE_API_URL": server.url})


def assert_held(took, usual, *words):
    """Exit 1, one diagnostic with these words, no traceback, and little more memory than usual."""
    said = took.out + took.err
    assert took.code == 1, said[:5000]
    assert "Traceback" not in said and "This is a bug" not in said
    for word in words:
        assert word in re.sub(r"\s+", " ", said), said[:5000]
    assert said.lower().count("error:") <= 1, said[:5000]
    assert took.kibibytes < usual + MORE, f"{took.kibibytes / 1024:.0f} MiB, usually {usual / 1024:.0f}"


COMMANDS = {
    "plan": (("plan",), "/projects"),
    "apply": (("apply", "--auto-approve"), "/projects"),
    "status": (("status",), "/projects"),
    "messages": (("messages", "teaser"), "/messages"),
    "output": (("output", "--download", "renders"), "/projects/"),
    "recover": (("state", "recover"), "/projects"),
    "export": (("export", "--out", "exported"), "/projects"),
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("wbits", [zlib.MAX_WBITS, zlib.MAX_WBITS | 16])
def test_a_bomb_is_a_whole_document(wbits):
    """Intent: the tests below can fail; what is packed here is read to its end, its checksum too, by who does not stop."""
    for mebibytes in (0, 3):
        assert zlib.decompress(bomb(mebibytes, wbits=wbits), wbits=wbits) == b" " * 1024**2 * mebibytes
    assert 1_000 < A_GIBIBYTE * 1024**2 / len(packed()) < 1_100


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", every(2, BODIES))
def test_a_plan_is_not_exhausted_by_any_answer(name, space, server, managed):
    # Intent: what is read of an answer is bounded, however it is sent and packed; the diagnostic says which call it was.
    misbehave, word = BODIES[name]
    server.choose = lambda method, path: misbehave
    took = measured(space, "plan")
    assert_held(took, managed[1], word, "GET /projects", "req_66")


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("name", "bad"), square(2, COMMANDS, ["an answer without end", "a gzip bomb"]))
def test_no_command_is_exhausted_by_an_answer(name, bad, space, server, managed):
    args, where = COMMANDS[name]
    misbehave, word = BODIES[bad]
    server.choose = lambda method, path: misbehave if where in path else None
    if name == "output":
        forget_renders(space)
    if name == "recover":
        lose_state(space)
    assert_held(measured(space, *args), managed[1], word)


def lose_state(space):
    for path in space.root.glob("*.state.json"):
        path.unlink()


def forget_renders(space):
    """Take the addresses of rendered files out of the state, so that they have to be asked for."""
    for path in space.root.glob("*.state.json"):
        path.write_text(re.sub(r'"assembled_url": ?"[^"]*"', '"assembled_url": null', path.read_text()))


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("name", "command"),
    [*((name, "plan") for name in TOTALS), ("a total of 10^300", "export"), ("a total of a million", "recover")],
)
def test_a_total_that_can_t_be_is_told(name, command, space, server, managed):
    total, word = TOTALS[name]
    answer = once(b'{"projects": [], "total": ' + total + b"}")
    server.choose = lambda method, path: answer if path.startswith("/projects?") else None
    if command != "export":  # with the state lost, all of the account is read
        lose_state(space)
    assert_held(measured(space, *COMMANDS[command][0]), managed[1], word)
    assert len(server.asked) < 60


def new_projects(path):
    offset = int(parse_qs(urlsplit(path).query).get("offset", ["0"])[0])
    listed = [{"id": f"proj_{offset + i}", "status": "idle", "title": "x" * 30, "brief": "b" * 200} for i in range(100)]
    return once(json.dumps({"projects": listed, "total": offset + 200}).encode())


def test_a_list_that_grows_as_it_is_read_is_not_read_for_ever(space, server, managed):
    server.choose = lambda method, path: new_projects(path) if path.startswith("/projects?") else None
    assert_held(measured(space, *COMMANDS["export"][0]), managed[1], "kept changing")
    assert len(server.asked) < 60


def page_of_messages(ids, *, content="x"):
    messages = [{"id": i, "role": "user", "content": content, "created_at": None} for i in ids]
    return once(json.dumps({"messages": messages, "has_more": True}, ensure_ascii=False).encode())


SHOW, JSON, REPORT = (
    ("messages", "teaser"),
    ("messages", "teaser", "--format", "json"),
    ("report", "--out", "page.html"),
)
LONG = "\U0001f600" * 9_000


@pytest.mark.sampled(6)
@pytest.mark.parametrize(
    ("command", "content", "each"),
    [swept(SHOW, "x", 50), (SHOW, "x", 1), (SHOW, LONG, 50), swept(JSON, LONG, 50), (REPORT, LONG, 50)],
    ids=["short", "one a page", "long", "long as JSON", "long in the report"],
)
def test_a_conversation_that_never_ends_is_not_read_for_ever(command, content, each, space, server, managed):
    number = itertools.count()

    def choose(method, path):
        if "/messages" not in path:
            return None
        return page_of_messages([f"m{next(number)}" for _ in range(each)], content=content)

    server.choose = choose
    assert_held(measured(space, *command), managed[1], "the conversation has no end", "/messages")
    assert len(server.asked) < 300


def test_a_conversation_that_says_the_same_again_and_again_ends(space, server):
    server.choose = lambda method, path: page_of_messages(["m1"]) if "/messages" in path else None
    assert "x" in space.run("messages", "teaser").out
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("status", "header"),
    [
        (429, "Retry-After: 1000000000"),
        (503, "Retry-After: 1000000000"),
        (429, "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT"),
        (503, "Retry-After: " + "9" * 300),
    ],
)
def test_a_wait_of_years_is_not_begun(status, header, space, server, managed):
    answer = HEAD.replace(b"200 OK", b"%d No" % status) + header.encode() + b"\r\nContent-Length: 2\r\n\r\n{}"
    server.choose = lambda method, path: lambda send: send(answer)
    assert_held(measured(space, "plan"), managed[1], f"GET /projects → {status}")
    assert len(server.asked) == 1


# ── what was sent is not sent twice ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("what", "name"),
    [
        ("create", "an answer without end"),
        swept("create", "brotli"),
        ("message", "a gzip bomb"),
        swept("message", "an error's answer without end"),
    ],
)
def test_what_a_bomb_answers_is_of_unknown_fate_and_not_done_twice(what, name, tmp_path):
    # Intent: the server acted and then answered with a bomb; the next look settles it, by key or by the conversation.
    misbehave, _ = BODIES[name]
    with (
        BackgroundServer(options=Options(speed=5000.0, requests_per_minute=0, strict=True)) as honest,
        Hostile(honest.url) as server,
    ):
        spec = SPEC + "    messages: [Make it softer.]\n"
        space = make_space(tmp_path / "w", spec, CONFIG, EVERSINCE_API_KEY=KEY, EVERSINCE_API_URL=server.url)
        end = "/projects" if what == "create" else "/messages"
        server.acts = True
        server.choose = lambda method, path: misbehave if method == "POST" and path.endswith(end) else None
        apply = ("apply", "--auto-approve", "--poll-interval", "0.05", "--settle", "0")
        first = measured(space, *apply)
        assert "Traceback" not in first.err
        server.acts, server.choose = False, lambda method, path: None
        space.run(*apply)
        assert sorted(effect.kind for effect in honest.store.ledger()) == ["create", "message"]


# ── the client: time, on a clock that jumps ─────────────────────────────────────────────────────────────────────────


async def dripping_head(_, writer):
    await drip(writer, itertools.repeat(b"x"), first=b"HTTP/1.1 200 OK\r\nx-long: ")


async def dripping_lines(_, writer):
    await drip(writer, (b"x-%d: 1\r\n" % i for i in itertools.count()), first=b"HTTP/1.1 200 OK\r\n")


async def dripping_body(_, writer):
    await drip(writer, itertools.repeat(b" "), first=b"HTTP/1.1 200 OK\r\n\r\n")


async def dripping_chunks(_, writer):
    await drip(writer, itertools.repeat(b"1\r\n \r\n"), first=CHUNKED)


async def dripping_trailers(_, writer):
    await drip(writer, (b"x-%d: 1\r\n" % i for i in itertools.count()), first=CHUNKED + b"2\r\n{}\r\n0\r\n")


async def informing(_, writer):
    await drip(writer, itertools.repeat(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"))


async def mute(_, __):
    await asyncio.sleep(100_000)


EVERY = 5
"""Virtual seconds from a drip to the next: less than any single read may take, and few, since each costs real time."""


async def drip(writer, parts, first=b""):
    writer.write(first)
    for part in parts:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(EVERY)


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("endpoint", "serve"),
    square(
        3,
        ENDPOINTS,
        [dripping_head, dripping_lines, dripping_body, dripping_chunks, dripping_trailers, informing, mute],
    ),
    ids=lambda value: value.__name__ if callable(value) else value.name,
)
def test_an_answer_that_drips_is_given_up_after_the_time_of_one_phase(endpoint, serve):
    # Intent: a byte a second keeps every time-out of a single read from ever being due.
    async def main():
        async with socket_server(serve) as server, ApiClient(server.url, KEY, limiter=RateLimiter(120)) as client:
            with pytest.raises(ApiError) as caught:
                await endpoint.make(client)
            assert endpoint.path in caught.value.diagnostics[0].detail
            assert "in time" in caught.value.diagnostics[0].summary
            assert client.requests == (3 if endpoint.reads else 1)
            assert asyncio.get_running_loop().time() < (100 if endpoint.reads else 40)

    run(main())


async def flooding_head(_, writer):
    await flood(writer, b"HTTP/1.1 200 OK\r\nx: ", b"x" * 65_536)


async def flooding_lines(_, writer):
    await flood(writer, b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 10_000)


async def flooding_trailers(_, writer):
    await flood(writer, CHUNKED + b"2\r\n{}\r\n0\r\n", b"x: y\r\n" * 10_000)


async def flooding_extensions(_, writer):
    await flood(writer, CHUNKED + b"2;", b"x" * 65_536)


async def flood(writer, first, part):
    writer.write(first)
    while True:
        writer.write(part)
        await writer.drain()


@pytest.mark.parametrize(
    "serve", [flooding_head, flooding_lines, flooding_trailers, flooding_extensions], ids=lambda f: f.__name__
)
def test_what_stands_around_a_body_is_bounded_too(serve):
    async def main():
        async with (
            socket_server(serve) as server,
            ApiClient(server.url, KEY, limiter=RateLimiter(120), retries=1) as client,
        ):
            with pytest.raises(ApiError):
                await client.project("proj_1")

    run(main())


@pytest.mark.parametrize(
    "header",
    [
        {"retry-after": "nan"},
        {"retry-after": "inf"},
        {"retry-after": "-1e9"},
        {"retry-after": "9" * 5000},
        {"retry-after": "Mon, 01 Jan 0001 00:00:00 -0000"},
        {"retry-after": "Fri, 31 Dec 9999 23:59:59 +9999"},
        {"retry-after": "0", "date": "Fri, 31 Dec 9999 23:59:59 -2359"},
        {"x-ratelimit-limit": "0", "x-ratelimit-remaining": "-5", "x-ratelimit-reset": "1e300"},
        {"x-ratelimit-limit": "9" * 400, "x-ratelimit-remaining": "nan", "x-ratelimit-reset": "-1"},
        {"x-ratelimit-limit": "1e-9", "x-ratelimit-remaining": "1e300", "x-ratelimit-reset": "9" * 5000},
        {"date": "1", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1e308"},
    ],
    ids=str,
)
def test_nonsense_in_the_headers_ends_a_call_in_bounded_time(header):
    async def main():
        answer = httpx.MockTransport(lambda _: httpx.Response(429, headers=header, json={}))
        async with ApiClient("http://sandbox/api", KEY, limiter=RateLimiter(120), transport=answer) as client:
            with pytest.raises(ApiError):
                await client.project("proj_1")
        assert asyncio.get_running_loop().time() <= 6 * 120

    run(main())


def test_a_server_that_fails_and_names_long_waits_is_given_up():
    async def main():
        answer = httpx.MockTransport(lambda _: httpx.Response(503, headers={"retry-after": "80"}))
        async with ApiClient("http://sandbox/api", KEY, limiter=RateLimiter(120), transport=answer) as client:
            with pytest.raises(ApiError):
                await client.project("proj_1")
            assert client.requests == 2

    run(main())


# ── the client: what it reads ───────────────────────────────────────────────────────────────────────────────────────


def answering(content, **headers):
    """A client whose every call gets this answer, unread: as it comes from a network."""

    async def chunks():
        for start in range(0, len(content), 65_536):
            yield content[start : start + 65_536]

    named = {name.replace("_", "-"): value for name, value in headers.items()}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, headers=named, content=chunks()))
    return ApiClient("http://sandbox/api", KEY, limiter=RateLimiter(1_000_000), transport=transport)


def ask(client, call):
    async def main():
        async with client:
            return await call(client)

    return run(main())


def test_the_largest_legal_answers_fit_well():
    """Intent: the limits are for those who do not keep to the contract; escaped, a character takes twelve bytes."""
    text = "\U0001f600" * contract.current().max_length("message")
    messages = [{"id": "m" * 36, "role": "user", "content": text}] * contract.current().limits.messages_page
    page = json.dumps({"messages": messages, "has_more": False}).encode()
    assert len(ask(answering(page), lambda c: c.messages("p")).messages) == contract.current().limits.messages_page
    assert len(page) < MESSAGES_MAX * 0.8
    long = {f"{what}_url": "https://h/" + "x" * 2000 for what in ("project", "assembled")}
    project = {"id": "p" * 36, "status": "generating", "title": text[:30], "brief": text[:200], **long}
    listed = json.dumps({"projects": [project] * 100, "total": 100}).encode()
    assert len(ask(answering(listed), lambda c: c.list_projects()).projects) == 100
    settings = json.dumps({"webhook_url": "é" * (contract.current().limits.body_bytes // 3)}).encode()
    assert ask(answering(settings), lambda c: c.patch_settings("p", WireBody({})))["webhook_url"]
    assert len(settings) < ANSWER_MAX * 0.8


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip", "deflate", "identity", ""])
def test_an_answer_that_is_packed_in_a_common_way_is_read(encoding):
    body = json.dumps({"id": "p", "status": "idle"}).encode()
    wbits = zlib.MAX_WBITS | (16 if "gzip" in encoding.lower() else 0)
    packed = zlib.compress(body, wbits=wbits) if encoding not in ("identity", "") else body
    assert ask(answering(packed, content_encoding=encoding), lambda c: c.project("p")).status == "idle"


@pytest.mark.parametrize(
    "packed", [b"no gzip at all", zlib.compress(b"{}" * 99, wbits=31)[:-9]], ids=["garbled", "cut"]
)
def test_a_packed_answer_that_is_broken_is_told(packed):
    with pytest.raises(ApiError, match="can't be decoded"):
        ask(answering(packed, content_encoding="gzip"), lambda c: c.project("p"))


@pytest.mark.parametrize("value", [DIGITS, b"9" * 5000, b"1e999", b"-1e999", b"[" * 900 + b"]" * 900, b'{"a": 1}'])
@pytest.mark.parametrize("field", ["credits_warning", "credits_balance", "nobody_knows_it"])
def test_numbers_and_depths_that_no_program_holds_harm_nothing_around_them(field, value):
    body = b'{"id": "p", "status": "idle", "' + field.encode() + b'": ' + value + b"}"
    assert answers.project(body).status == "idle"
    json.dumps(answers.project(body).credits_warning)
    made = answers.made(body, existing=False)
    assert made.credits_balance is None
    if field == "credits_balance":
        assert answers.balance(body) is None


@pytest.mark.sampled(6)
@pytest.mark.parametrize("make", every(2, [answers.project, answers.status, answers.messages, answers.settings]))
def test_a_depth_without_end_is_no_json(make):
    for deep in (b"[" * 1_000_000, b'{"a":' * 1_000_000, b'{"id":"p","status":"s","credits_warning":' + b"[" * 99_999):
        with pytest.raises(answers.UndecodableError):
            make(deep)


@pytest.mark.sweep
def test_a_bomb_in_a_bomb_that_is_told_of_once_is_no_json():
    with pytest.raises(ApiError, match="not JSON"):
        ask(answering(nested(), content_encoding="gzip"), lambda c: c.project("p"))


def test_ids_and_pages_have_a_size():
    for body in (b'{"id": "' + b"x" * 2000 + b'", "status": "idle"}', b'{"id": "x", "status": "' + b"x" * 2000 + b'"}'):
        with pytest.raises(answers.ShapeError):
            answers.project(body)
    many = json.dumps({"projects": [{"id": str(i), "status": "idle"} for i in range(2000)], "total": 2000}).encode()
    with pytest.raises(answers.ShapeError, match="2000"):
        answers.listed(many, limit=100, offset=0)


@pytest.mark.sweep
def test_a_whole_list_has_a_size(monkeypatch):
    """Intent: pages that are each within bounds are not, all together, beyond them."""

    def answer(request):
        offset = int(request.url.params["offset"])
        listed = [{"id": f"p{offset + i}", "status": "idle", "brief": "b" * 15_000} for i in range(100)]
        return httpx.Response(200, json={"projects": listed, "total": 90_000})

    async def main():
        transport = httpx.MockTransport(answer)
        async with ApiClient("http://sandbox/a", KEY, limiter=RateLimiter(10**6), transport=transport) as client:
            with pytest.raises(ReconcilerError, match="too large to be read whole"):
                await refresh(client, frozenset(), everything=True, at="")
            assert client.requests < 64

    run(main())
