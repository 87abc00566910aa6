"""Every call of the contract against every way in which it can fail."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

import httpx
import pytest

from reconciler.adapters.api.client import ApiClient
from reconciler.adapters.api.limiter import RateLimiter
from reconciler.model.contract import ErrorCode
from reconciler.model.errors import (
    AnswerError,
    ApiError,
    CreditsError,
    Fate,
    NotFoundError,
    ProjectLimitError,
    RateLimitedError,
    RefusedError,
    UnauthorizedError,
    UnknownFateError,
    UnreachableError,
    WrongStatusError,
)
from tests.adapters.api_support import (
    BY_NAME,
    ENDPOINTS,
    KEY,
    Endpoint,
    Reply,
    good,
    refusal,
    reply,
    script,
    socket_server,
)
from tests.virtual_time import run

RETRIES = 2
NOT_DONE, UNKNOWN = Fate.NOT_DONE, Fate.UNKNOWN
HTML = b"<html>Bad gateway</html>"


@dataclass(frozen=True)
class Fault:
    """A reply, what it is raised as, its fate for a call that changes something, and who tries again after it."""

    name: str
    reply: Reply
    raises: type[ApiError]
    fate: Fate = NOT_DONE
    repeated: str = "nobody"


UNTRUSTED = ssl.SSLCertVerificationError("certificate verify failed")


def caused(error, cause):
    """As httpx and httpcore chain their errors."""
    error.__cause__ = cause
    return error


FAULTS = [
    Fault("connection refused", httpx.ConnectError("refused"), UnreachableError, NOT_DONE, "all"),
    Fault("connecting takes too long", httpx.ConnectTimeout("slow"), UnreachableError, NOT_DONE, "all"),
    Fault("no free connection", httpx.PoolTimeout(""), UnreachableError, NOT_DONE, "all"),
    Fault("proxy refuses", httpx.ProxyError("407 Proxy Authentication Required"), UnreachableError, NOT_DONE),
    Fault("proxy forbids", httpx.ProxyError("403 Forbidden"), UnreachableError, NOT_DONE),
    Fault("proxy fails", httpx.ProxyError("502 Bad Gateway"), UnreachableError, NOT_DONE, "all"),
    Fault("bad certificate", caused(httpx.ConnectError("self-signed"), UNTRUSTED), UnreachableError),
    Fault("bad certificate below", caused(httpx.ConnectError(""), caused(OSError("TLS"), UNTRUSTED)), UnreachableError),
    Fault("a name like it", httpx.ConnectError("no CERTIFICATE_VERIFY_FAILED"), UnreachableError, NOT_DONE, "all"),
    Fault("no answer in time", httpx.ReadTimeout(""), UnknownFateError, UNKNOWN, "reads"),
    Fault("writing takes too long", httpx.WriteTimeout(""), UnknownFateError, UNKNOWN, "reads"),
    Fault("reset while reading", httpx.ReadError("reset"), UnknownFateError, UNKNOWN, "reads"),
    Fault("reset while writing", httpx.WriteError("reset"), UnknownFateError, UNKNOWN, "reads"),
    Fault("no HTTP", httpx.RemoteProtocolError("illegal"), UnknownFateError, UNKNOWN, "reads"),
    Fault("TLS breaks", ssl.SSLError("bad record mac"), UnknownFateError, UNKNOWN, "reads"),
    Fault("broken compression", httpx.DecodingError("zlib"), AnswerError, UNKNOWN, "reads"),
    Fault("500", refusal(500, "internal_error"), UnknownFateError, UNKNOWN, "reads"),
    Fault("500 without an envelope", reply(500, HTML), UnknownFateError, UNKNOWN, "reads"),
    Fault("502", reply(502, HTML), UnknownFateError, UNKNOWN, "reads"),
    Fault("503", reply(503, HTML, retry_after="1"), UnknownFateError, UNKNOWN, "reads"),
    Fault("504 with nothing", reply(504, b""), UnknownFateError, UNKNOWN, "reads"),
    Fault("503 rate limited", refusal(503, "rate_limited"), RateLimitedError, NOT_DONE, "all"),
    Fault("429 rate limited", refusal(429, "rate_limited"), RateLimitedError, NOT_DONE, "all"),
    Fault("429 of a proxy", reply(429, HTML), RateLimitedError, NOT_DONE, "all"),
    Fault("429 project limit", refusal(429, "project_limit"), ProjectLimitError),
    Fault("429 project limit with a time", refusal(429, "project_limit", retry_after="1"), ProjectLimitError),
    Fault("401", refusal(401, "unauthorized"), UnauthorizedError),
    Fault("401 of a proxy", reply(401, HTML), UnauthorizedError),
    Fault("403", refusal(403, "forbidden"), UnauthorizedError),
    Fault("402", refusal(402, "insufficient_credits"), CreditsError),
    Fault("400 for want of credits", refusal(400, "insufficient_credits"), CreditsError),
    Fault("400 about fields", refusal(400, "validation_error", "title: at most 30 characters"), RefusedError),
    Fault("400 without a code", refusal(400, None, "title: at most 30 characters"), RefusedError),
    Fault("400 of a proxy", reply(400, HTML), RefusedError),
    Fault("404 of a proxy", reply(404, HTML), RefusedError),
    Fault("404 of another API", reply(404, {"detail": "Not Found"}), RefusedError),
    Fault("405", refusal(405, "validation_error"), RefusedError),
    Fault("413", refusal(413, "validation_error"), RefusedError),
    Fault("418 with JSON of another kind", reply(418, [1]), RefusedError),
    Fault("422 about fields", refusal(422, "validation_error", "brief: required"), RefusedError),
    Fault("408 of a proxy", reply(408, HTML), UnknownFateError, UNKNOWN, "reads"),
    Fault("425 of a proxy", reply(425, b""), UnknownFateError, UNKNOWN, "reads"),
    Fault("499 of a proxy", reply(499, b""), UnknownFateError, UNKNOWN, "reads"),
    Fault("408 of the API", refusal(408, "timeout"), RefusedError),
    Fault("301", reply(301, b"", location="https://elsewhere.example/"), AnswerError, UNKNOWN),
    Fault("307", reply(307, b"", location="https://elsewhere.example/"), AnswerError, UNKNOWN),
    Fault("304", reply(304, b""), AnswerError, UNKNOWN),
    Fault("204", reply(204, b""), AnswerError, UNKNOWN),
    Fault("206", reply(206, {}), AnswerError, UNKNOWN),
]

GARBLED = {
    "nothing": b"",
    "a cut document": b'{"id": "proj_1", "sta',
    "HTML": HTML,
    "no UTF-8": b"\xff\x00\x9c\x01",
    "too deep": b"[" * 100_000,
}
MISSHAPEN = {"null": b"null", "a list": b"[]", "a text": b'"ok"', "an empty object": b"{}"}


async def failure(endpoint: Endpoint, client: ApiClient) -> ApiError:
    """What the call raises, in a client that is closed afterwards."""
    async with client:
        with pytest.raises(ApiError) as caught:
            await endpoint.make(client)
    return caught.value


def assert_failed(error: ApiError, endpoint: Endpoint, kind: type[ApiError], fate: Fate) -> None:
    assert type(error) is kind
    assert error.fate is (NOT_DONE if endpoint.reads else fate)
    assert (error.method, error.path) == (endpoint.method, endpoint.path)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.name)
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: e.name)
def test_a_fault_has_its_exception_and_fate_and_is_tried_again_only_where_that_is_harmless(endpoint, fault):
    server = script(fault.reply)
    client = server.client(retries=RETRIES)
    error = run(failure(endpoint, client))
    assert_failed(error, endpoint, fault.raises, fault.fate)
    harmless = not (endpoint.doubled and fault.raises is RateLimitedError)
    repeated = (fault.repeated == "all" and harmless) or (fault.repeated == "reads" and endpoint.reads)
    assert len(server.requests) == (1 + RETRIES if repeated else 1)
    assert client.requests == (0 if fault.raises is UnreachableError else len(server.requests))
    if isinstance(fault.reply, httpx.Response):
        assert error.status == fault.reply.status_code


@pytest.mark.sampled(3)
@pytest.mark.parametrize("body", GARBLED.values(), ids=GARBLED.keys())
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: e.name)
def test_a_good_status_with_an_unreadable_body_is_an_answer_error_that_only_reads_try_again(endpoint, body):
    server = script(reply(endpoint.status, body))
    error = run(failure(endpoint, server.client(retries=RETRIES)))
    assert_failed(error, endpoint, AnswerError, UNKNOWN)
    assert len(server.requests) == (1 + RETRIES if endpoint.reads else 1)


@pytest.mark.parametrize("body", MISSHAPEN.values(), ids=MISSHAPEN.keys())
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: e.name)
def test_json_of_another_shape_is_an_answer_error_that_nobody_tries_again(endpoint, body):
    server = script(reply(endpoint.status, body))
    error = run(failure(endpoint, server.client(retries=RETRIES)))
    assert_failed(error, endpoint, AnswerError, UNKNOWN)
    assert len(server.requests) == 1


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: e.name)
def test_a_404_in_the_apis_words_means_absence_only_where_the_call_is_about_a_project(endpoint):
    error = run(failure(endpoint, script(refusal(404, "not_found")).client()))
    assert_failed(error, endpoint, NotFoundError if endpoint.on_project else RefusedError, NOT_DONE)


@pytest.mark.parametrize(
    "answer",
    [
        refusal(409, "conflict"),
        refusal(409, None),
        refusal(400, ErrorCode.INVALID_STATUS),
        refusal(400, "bad_request"),
        refusal(422, "unprocessable"),
        refusal(400, "validation_error", "Project must be idle"),
        refusal(400, "validation_error", "Not allowed in the current status"),
        refusal(400, None, "The agent is running"),
    ],
)
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: e.name)
def test_a_refusal_over_the_status_is_known_on_the_calls_that_a_status_can_forbid(endpoint, answer):
    error = run(failure(endpoint, script(answer).client()))
    assert_failed(error, endpoint, WrongStatusError if endpoint.by_status else RefusedError, NOT_DONE)


def test_an_error_carries_what_the_server_said_about_the_call():
    answer = refusal(402, "insufficient_credits", "30 credits needed", x_request_id="req_7")
    error = run(failure(BY_NAME["create"], script(answer).client()))
    assert (error.status, error.code, error.request_id) == (402, "insufficient_credits", "req_7")
    (diagnostic,) = error.diagnostics
    assert "too few credits" in diagnostic.summary
    assert "POST /projects → 402 insufficient_credits, request req_7" in diagnostic.detail
    assert "30 credits needed" in diagnostic.detail


def test_an_answer_that_is_not_the_apis_says_so():
    error = run(failure(BY_NAME["cancel"], script(reply(404, HTML)).client()))
    assert "does not look like the API's own answer" in error.diagnostics[0].detail


def test_a_servers_text_has_no_secrets_no_control_characters_and_no_great_length():
    said = f"\x1b[31mBearer {KEY[:9]}\u202e{KEY[9:]} and {KEY}\r\ntop-secret\x00 " + "x" * 2000
    answer = refusal(400, f"code_{KEY}", said, x_request_id=f"req_{KEY}")
    error = run(
        failure(BY_NAME["create"], script(answer).client(redact=lambda text: text.replace("top-secret", "(hidden)")))
    )
    text = error.diagnostics[0].summary + error.diagnostics[0].detail + str(error.code) + str(error.request_id)
    assert KEY not in text and "top-secret" not in text
    assert "(hidden)" in text
    assert all(character.isprintable() or character == "\n" for character in text)
    assert len(text) < 1500


def test_a_wrong_field_is_named_and_its_value_is_not_shown():
    answer = reply(202, {"id": "proj_1", "status": {"private": "hush"}})
    error = run(failure(BY_NAME["create"], script(answer).client()))
    assert "Expected `str`, got `object` - at `$.status`" in error.diagnostics[0].summary
    assert "hush" not in error.diagnostics[0].summary + error.diagnostics[0].detail


def test_a_key_is_not_sent_on_to_where_a_redirect_points():
    server = script(reply(302, b"", location="http://127.0.0.1/elsewhere"))
    error = run(failure(BY_NAME["project"], server.client()))
    assert "redirect refused: the key is sent to no other address" in error.diagnostics[0].summary
    assert len(server.requests) == 1


# Over real sockets.


async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def half_a_head(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-")


async def half_a_body(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"id": ')


async def half_a_chunk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 202 Accepted\r\ntransfer-encoding: chunked\r\n\r\n50\r\n{"id": ')


async def no_http(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")


async def silence(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    await asyncio.sleep(10_000)


async def dripping(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    for _ in range(1000):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(20)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("fault", [reset, close, half_a_head, half_a_body, half_a_chunk, no_http, silence, dripping])
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: e.name)
def test_a_connection_that_breaks_after_the_request_leaves_its_fate_unknown(endpoint, fault):
    async def main() -> None:
        async with socket_server(fault) as server:
            client = ApiClient(server.url, KEY, limiter=RateLimiter(120), retries=1)
            assert_failed(await failure(endpoint, client), endpoint, UnknownFateError, UNKNOWN)
            assert server.requests == client.requests == (2 if endpoint.reads else 1)

    run(main())


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: e.name)
def test_a_server_that_is_not_there_has_been_sent_nothing(endpoint):
    async def main() -> None:
        async with socket_server(close) as server:
            pass
        client = ApiClient(server.url, KEY, limiter=RateLimiter(120), retries=3)
        assert_failed(await failure(endpoint, client), endpoint, UnreachableError, NOT_DONE)
        assert client.requests == 0

    run(main())


def test_calls_share_a_kept_connection_and_one_that_the_server_closed_is_replaced():
    served: list[int] = []
    body = good(BY_NAME["project"]).content
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body)

    async def two_answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(0)
        while served[-1] < 2:
            if served[-1]:
                await reader.readuntil(b"\r\n\r\n")
            writer.write(head + body)
            await writer.drain()
            served[-1] += 1

    async def main() -> None:
        async with (
            socket_server(two_answers) as server,
            ApiClient(server.url, KEY, limiter=RateLimiter(120), retries=0) as client,
        ):
            for _ in range(4):
                assert (await client.project("proj_1")).status == "idle"
                await asyncio.sleep(0.1)  # the server's close arrives
        assert served == [2, 2]

    run(main())
