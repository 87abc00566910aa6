"""The emulated API as a real HTTP server on loopback, in the foreground or on a thread."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import uvicorn

from reconciler.model.hosts import is_loopback
from reconciler.sandbox.access import Guard, kept_token, new_token
from reconciler.sandbox.app import PREFIX, create_app
from reconciler.sandbox.store import Fault, Options, Store

_GRACE_SECONDS: Final = 1
_LONGEST_START_SECONDS: Final = 30.0


def serve(
    db: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    options: Options | None = None,
    changes: Mapping[str, Any] | None = None,
    faults: Iterable[Fault] = (),
    key: str | None = None,
    token: str | None = None,
    secret_values: Iterable[str] = (),
    on_ready: Callable[[str], None],
) -> None:
    """Serves until SIGINT or SIGTERM, which is raised again afterwards.

    Args:
        db: The account's file, created where needed.
        host: A loopback address: any key is let in.
        port: 0 takes a free one.
        options: ``None``: as stored in the file.
        changes: Options that are to be different.
        faults: What is to go wrong.
        key: The only key that is let in; ``None``: any.
        token: What opens the controls, kept in ``token_file(db)`` meanwhile; ``None``: a new one.
        secret_values: What must not be written down.
        on_ready: Gets the API's base URL as soon as connections are accepted.

    Raises:
        ValueError: The host is not a loopback address, or an option is wrong.
        OSError: The port is taken, or the token's file can't be written.
        ConfigError: The account's file can't be used.

    """
    listener = _listen(host, port)
    token = token or new_token()
    try:
        store = Store(db, options=options, changes=changes, secret_values=secret_values)
        try:
            for fault in faults:
                store.add_fault(fault)
            with kept_token(db, token):
                _Server(store, key, token, listener, on_ready).run(sockets=[listener])
        finally:
            store.close()
    finally:
        listener.close()


class BackgroundServer:
    """A server on a thread of its own, for as long as the ``with`` block lasts.

    ``store`` serves an account that stays the caller's; otherwise the one in ``db`` is opened, and closed at the end.
    """

    url: str
    """The API's base URL, once the block is entered."""
    store: Store
    """The account that is served, once the block is entered."""
    token: str
    """What opens the controls."""

    def __init__(
        self,
        db: Path | str = ":memory:",
        *,
        store: Store | None = None,
        options: Options | None = None,
        clock: Callable[[], float] = time.time,
        key: str | None = None,
        port: int = 0,
    ) -> None:
        self._given = store
        self._open: Callable[[], Store] = lambda: Store(db, options=options, clock=clock)
        self._key = key
        self._port = port
        self.token = new_token()

    def __enter__(self) -> Self:
        ready = threading.Event()
        listener = _listen("127.0.0.1", self._port)
        self.store = self._open() if self._given is None else self._given

        def on_ready(url: str) -> None:
            self.url = url
            ready.set()

        self._server = _Server(self.store, self._key, self.token, listener, on_ready)
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)
        self._thread.start()
        if not ready.wait(_LONGEST_START_SECONDS):
            raise TimeoutError("the sandbox did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join()
        if self._given is None:
            self.store.close()


class _Server(uvicorn.Server):
    def __init__(
        self,
        store: Store,
        key: str | None,
        token: str,
        listener: socket.socket,
        on_ready: Callable[[str], None],
    ) -> None:
        app = create_app(store, key=key, controls=True)
        config = uvicorn.Config(
            Guard(app, port=listener.getsockname()[1], token=token),
            interface="asgi3",
            lifespan="off",
            ws="none",
            access_log=False,
            # Breaking off a connection is part of the service, and uvicorn would report each as an error of the app.
            log_level="critical",
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        super().__init__(config)
        self._listener = listener
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        host, port = self._listener.getsockname()[:2]
        self._on_ready(f"http://{f'[{host}]' if ':' in host else host}:{port}{PREFIX}")


def _listen(host: str, port: int) -> socket.socket:
    if not is_loopback(host):
        raise ValueError(f"the sandbox is served on loopback only, not on {host}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Not socket.create_server: it names no protocol, and then asyncio leaves Nagle's algorithm on, at 40 ms an answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener
