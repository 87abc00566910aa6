"""Access to a served sandbox: for programs on this machine, but no web page that a browser on it happens to show."""

from __future__ import annotations

import contextlib
import hmac
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from reconciler import files
from reconciler.model.contract import ErrorCode
from reconciler.model.hosts import is_loopback
from reconciler.sandbox.wire import Answer, error_answer

CONTROL: Final = "/_sandbox"
"""Where the controls are, which need the token."""
_LONGEST_TOKEN: Final = 100
_OPEN: Final = ("/media/", "/app/")
"""What other pages may show and link to: addresses that nobody can guess."""


class Guard:
    """Lets a request through to the sandbox or refuses it.

    The ``Host`` must name this machine and the port, or a page could reach it under a name of its own (DNS rebinding).
    Requests that a browser makes for another site's page are refused, but for pictures and links. Controls need the
    token.

    Args:
        app: What is behind it.
        port: The port of this server.
        token: What opens the controls.

    """

    def __init__(self, app: ASGIApp, *, port: int, token: str) -> None:
        self._app = app
        self._port = port
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = self._refusal(scope)
        if refused is None:
            await self._app(scope, receive, send)
            return
        headers = {"content-type": refused.content_type, "content-length": str(len(refused.body))} | refused.headers
        pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await _read_to_the_end(receive)
        await send({"type": "http.response.start", "status": refused.status, "headers": pairs})
        await send({"type": "http.response.body", "body": refused.body})

    def _refusal(self, scope: Scope) -> Answer | None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        host = headers.get(b"host", "")
        if len(hosts) != 1 or not _names_this_server(host, self._port):
            return _refused(f"Host: the sandbox answers on this machine's own names only, with port {self._port}")
        if _is_foreign(scope, headers, host):
            return _refused("Origin: the sandbox answers no other site's pages")
        path = scope["path"]
        if not (path == CONTROL or path.startswith(f"{CONTROL}/")):
            return None
        scheme, _, given = headers.get(b"authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self._token.encode()):
            return None
        challenge = {"WWW-Authenticate": "Bearer"}
        message = "Control calls need the token that the sandbox printed when it started"
        return error_answer(ErrorCode.UNAUTHORIZED, message, 401, challenge)


def new_token() -> str:
    """A token for one run of a server."""
    return secrets.token_urlsafe(24)


def token_file(db: Path) -> Path:
    """Where the token of the server of an account is kept while it runs."""
    return db.with_name(f"{db.name}.token")


@contextlib.contextmanager
def kept_token(db: Path, token: str) -> Iterator[None]:
    """The token in a file that only its owner can read, beside the account, while the block lasts."""
    path = token_file(db)
    files.remove(path)  # whatever came with a checkout
    files.replace(path, f"{token}\n".encode())
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if files.read(path, _LONGEST_TOKEN) == f"{token}\n".encode():  # not that of a server that began later
                files.remove(path)


def _names_this_server(host: str, port: int) -> bool:
    try:
        parts = urlsplit(f"//{host}")
        named = 80 if parts.port is None else parts.port
    except ValueError:
        return False
    return parts.netloc == host and "@" not in host and is_loopback(parts.hostname or "") and named == port


def _is_foreign(scope: Scope, headers: dict[bytes, str], host: str) -> bool:
    origin = headers.get(b"origin")
    if origin is not None:
        return origin.lower() != f"http://{host.lower()}"
    site = headers.get(b"sec-fetch-site", "none")
    if site in ("same-origin", "none"):
        return False
    return not (scope["method"] in ("GET", "HEAD") and scope["path"].startswith(_OPEN))


def _refused(message: str) -> Answer:
    return error_answer("forbidden", message, 403, {})


async def _read_to_the_end(receive: Receive) -> None:
    while (await receive()).get("more_body", False):
        pass
