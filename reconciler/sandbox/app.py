"""The emulated API over HTTP: reads a request, has it carried out in one transaction, sends the answer or breaks off."""

from __future__ import annotations

import asyncio
import hmac
import re
import secrets
from typing import Final
from urllib.parse import parse_qsl

import httpx
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from reconciler.model.contract import ErrorCode
from reconciler.sandbox import calls, control, faults
from reconciler.sandbox.account import Account, Ration
from reconciler.sandbox.faults import Fault
from reconciler.sandbox.store import Store
from reconciler.sandbox.wire import Answer, Call, error_answer

PREFIX: Final = "/api/v1"
_BEARER: Final = re.compile(r"(?i:bearer) +(\S+)")
_UNDELIVERED: Final = 1_000
_UNKNOWN_CALLER: Final = error_answer(ErrorCode.UNAUTHORIZED, "Missing or invalid API key", 401, {})


def create_app(store: Store, *, key: str | None = None, controls: bool = False) -> Starlette:
    """The API below ``/api/v1``, its outputs below ``/media``, and on demand the controls below ``/_sandbox``.

    Args:
        store: The account to serve. It stays the caller's to close.
        key: The only key that is let in; ``None``: any.
        controls: Whether the controls are there, which ask for nothing: they need a ``Guard`` in front.

    """
    routes = [Mount(PREFIX, app=_Api(store, key)), *control.pages(store)]
    return Starlette(
        routes=[*routes, *control.routes(store)] if controls else routes,
        exception_handlers={HTTPException: _outside},
    )


class _Api:
    def __init__(self, store: Store, key: str | None) -> None:
        self._store = store
        self._key = key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = await _read(scope, receive, self._store.contract.limits.body_bytes)
        fault = self._store.take_fault(call.method, call.path)
        early = fault if fault is not None and fault.when == "before" else None
        late = fault if early is None else None
        await self._disturb(early)
        if early is not None and (early.drops or early.garbles):
            answer = self._refuse(call, early)
        else:
            answer = self._carry_out(call, late)
        await self._disturb(late)
        if fault is not None and fault.drops:
            await _break_off(send, fault, receive)
        else:
            await _send(send, answer)

    async def _disturb(self, fault: Fault | None) -> None:
        if fault is not None and fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
        elif fault is not None and fault.kind == "shift":
            self._store.person_creates(brief="Made by a person while the list was read.")

    def _refuse(self, call: Call, fault: Fault) -> Answer:
        with self._store.account() as account:
            answer = faults.garbled(fault, None)
            account.log(call, None if fault.drops else answer.status)
            return _labelled(answer, call, account.ration(take=False))

    def _carry_out(self, call: Call, late: Fault | None) -> Answer:
        with self._store.account() as account:
            known = self._authorized(call)
            ration = account.ration(take=known)
            answer = _admitted(account, call, ration) if known else _UNKNOWN_CALLER
            if late is not None and late.garbles:
                answer = faults.garbled(late, answer)
            account.log(call, None if late is not None and late.drops else answer.status)
            return _labelled(answer, call, ration)

    def _authorized(self, call: Call) -> bool:
        found = _BEARER.fullmatch(call.authorization)
        return found is not None and (self._key is None or hmac.compare_digest(found[1].encode(), self._key.encode()))


def _admitted(account: Account, call: Call, ration: Ration | None) -> Answer:
    if ration is None or ration.retry_after is None:
        return calls.answer(account, call)
    headers = {"Retry-After": str(ration.retry_after)}
    return error_answer(ErrorCode.RATE_LIMITED, "Too many requests", 429, headers)


def _labelled(answer: Answer, call: Call, ration: Ration | None) -> Answer:
    headers = {"X-Request-Id": call.request_id}
    if ration is not None:
        headers["X-RateLimit-Limit"] = str(ration.limit)
        headers["X-RateLimit-Remaining"] = str(ration.remaining)
        headers["X-RateLimit-Reset"] = str(ration.reset)
    return Answer(answer.status, answer.body, headers | answer.headers, answer.content_type)


async def _read(scope: Scope, receive: Receive, limit: int) -> Call:
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    return Call(
        method=scope["method"],
        path=scope["path"].removeprefix(PREFIX),
        query=parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True),
        body=await _read_body(receive, limit),
        authorization=headers.get(b"authorization", ""),
        content_type=headers.get(b"content-type", ""),
        origin=f"{scope['scheme']}://{headers.get(b'host', '127.0.0.1')}",
        request_id=f"req_{secrets.token_hex(8)}",
    )


async def _read_body(receive: Receive, limit: int) -> bytes | None:
    # A body that is too large is read to its end all the same: the client is to get an answer, not a broken pipe.
    parts, size, more = list[bytes](), 0, True
    while more:
        event = await receive()
        part = event.get("body", b"")
        size += len(part)
        if size <= limit:
            parts.append(part)
        more = event.get("more_body", False)
    return b"".join(parts) if size <= limit else None


async def _send(send: Send, answer: Answer) -> None:
    headers = {"content-type": answer.content_type, "content-length": str(len(answer.body))} | answer.headers
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": pairs})
    await send({"type": "http.response.body", "body": answer.body})


async def _break_off(send: Send, fault: Fault, receive: Receive) -> None:
    """Ends the connection without an answer.

    Over a socket the server closes it with bytes outstanding; in process, where there is no connection to close, the
    error goes straight to the caller, who is to see what a socket would have shown: hence httpx's own errors.
    """
    if fault.kind == "timeout":
        await _patience(receive, fault.seconds)
    headers = [(b"content-length", str(_UNDELIVERED).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    broken = httpx.ReadTimeout if fault.kind == "timeout" else httpx.ReadError
    raise broken(f"{fault.kind} asked for")


async def _patience(receive: Receive, seconds: float) -> None:
    # Ends early when the caller has given up, so that a server never waits for nobody when it shuts down.
    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    try:
        await asyncio.wait_for(gone(), seconds)
    except TimeoutError:
        return


async def _outside(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = ErrorCode.NOT_FOUND if error.status_code == 404 else ErrorCode.VALIDATION
    answer = error_answer(code, error.detail, error.status_code, {})
    return Response(answer.body, answer.status, error.headers, answer.content_type)
