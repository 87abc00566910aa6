"""The port of `watch`: deliveries in, metrics and health out. It runs on a thread, so that it always answers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from reconciler.adapters.hooks.connections import AT_ONCE, PENDING_MAX, LimitedConnection
from reconciler.adapters.hooks.deliveries import SIGNATURE, TIMESTAMP, VERDICTS, Deliveries, Verdict
from reconciler.model.errors import UsageError

BODY_MAX: Final = 262_144
"""Bytes of a delivery: many times the size of a status answer."""

_BODY_SECONDS: Final = 10.0
_CLOSE: Final = {"Connection": "close"}
"""For an answer before the body's end: otherwise the connection stays open for the rest."""

_GRACE_SECONDS: Final = 1
_LONGEST_START_SECONDS: Final = 30.0

_ANSWERS: Final[dict[Verdict, tuple[int, str]]] = {
    "accepted": (202, "a round follows"),
    "repeated": (200, "this delivery came before; it is ignored"),
    "unsigned": (401, f"{SIGNATURE} is not the signature of this delivery with the secret"),
    "stale": (401, f"{TIMESTAMP} is too old or in the future"),
}


class WatchServer:
    """``GET /healthz``, ``GET /readyz``, ``GET /metrics`` and ``POST /webhook``.

    ``secret`` of ``None``: deliveries are refused. The rest is called on the server's thread: ``health`` returns what is
    wrong, or ``None``; ``readiness`` returns whether the loop is ready, and a line on it; ``metrics`` returns the page for the counts of deliveries by verdict; ``on_delivery`` is called for
    each accepted delivery, whose content is not used; ``on_refusal`` gets the reason of the first refusal of each kind.

    Raises:
        UsageError: the address can't be listened on.

    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        secret: str | None,
        health: Callable[[], str | None],
        readiness: Callable[[], tuple[bool, str]],
        metrics: Callable[[Mapping[str, int]], str],
        on_delivery: Callable[[], object],
        on_refusal: Callable[[str], None],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._deliveries = Deliveries(secret) if secret is not None else None
        self._health, self._readiness, self._metrics = health, readiness, metrics
        self._on_delivery, self._on_refusal = on_delivery, on_refusal
        self._now = now
        self._counts: Counter[Verdict] = Counter()
        self._listener = _listen(host, port)
        config = uvicorn.Config(
            self._app(),
            http=LimitedConnection,
            lifespan="off",
            ws="none",
            access_log=False,
            log_level="critical",
            server_header=False,
            proxy_headers=False,
            backlog=AT_ONCE,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        self._server = _Server(config)

    @contextlib.contextmanager
    def serving(self) -> Iterator[str]:
        """Serve on a thread in this context; gives the server's URL."""
        host, port = self._listener.getsockname()[:2]
        thread = threading.Thread(target=self._server.run, args=([self._listener],), daemon=True)
        thread.start()
        try:
            if not self._server.up.wait(_LONGEST_START_SECONDS):
                raise UsageError(f"the server did not start on port {port}", "Try again, or omit `--listen`.")
            yield f"http://{f'[{host}]' if ':' in host else host}:{port}"
        finally:
            self._server.should_exit = True
            thread.join()

    def _app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/healthz", self._get_health),
                Route("/readyz", self._get_readiness),
                Route("/metrics", self._get_metrics),
                Route("/webhook", self._post_delivery, methods=["POST"]),
            ]
        )

    async def _get_health(self, _: Request) -> Response:
        why = self._health()
        return PlainTextResponse("ok\n" if why is None else f"{why}\n", 200 if why is None else 503)

    async def _get_readiness(self, _: Request) -> Response:
        ready, text = self._readiness()
        return PlainTextResponse(f"{text}\n", 200 if ready else 503)

    async def _get_metrics(self, _: Request) -> Response:
        return Response(
            self._metrics({verdict: self._counts[verdict] for verdict in VERDICTS}),
            media_type="text/plain; version=0.0.4; charset=utf-8",
        )

    async def _post_delivery(self, request: Request) -> Response:
        if self._deliveries is None:
            return PlainTextResponse("no secret is set, so deliveries are refused\n", 403)
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                body = await _body(request)
        except TimeoutError:
            return PlainTextResponse("the body did not arrive in time\n", 408, _CLOSE)
        except ClientDisconnect:
            return Response(status_code=400)
        if body is None:
            return PlainTextResponse(f"a delivery has at most {BODY_MAX} bytes\n", 413, _CLOSE)
        headers = request.headers
        verdict = self._deliveries.check(headers.get(SIGNATURE, ""), headers.get(TIMESTAMP, ""), body, now=self._now())
        status, text = _ANSWERS[verdict]
        if verdict == "accepted":
            self._on_delivery()
        elif status == 401 and not self._counts[verdict]:
            self._on_refusal(text)
        self._counts[verdict] += 1
        return PlainTextResponse(f"{text}\n", status)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(PENDING_MAX)
        self.up.set()


async def _body(request: Request) -> bytes | None:
    """The body; ``None`` if it is too long, in which case the rest is not read."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_MAX:
            return None
    return bytes(body)


def _listen(host: str, port: int) -> socket.socket:
    try:
        ((family, *_, address), *_) = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return socket.create_server(address, family=family)
    except OSError as error:
        raise UsageError(f"can't listen on {host}:{port}: {error}", "Use another address with `--listen`.") from error
