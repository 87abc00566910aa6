"""Sends notices to receivers that may hang, fail or lie, without ever holding up the run.

Each is sent on a thread of its own that dies with the process: looking up a name can't be interrupted, and a run must not
wait for it. Where a notice goes comes from the user's environment, so any host may be named, over https; what the receiver
answers is not read, and a redirect is not followed.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

import httpx
from msgspec import Struct

from reconciler import proxies
from reconciler.adapters.hooks.deliveries import signature
from reconciler.model.errors import ConfigError, ReconcilerError
from reconciler.model.hosts import is_loopback
from reconciler.model.version import USER_AGENT

SIGNATURE: Final = "X-Reconciler-Signature"
TIMESTAMP: Final = "X-Reconciler-Timestamp"
DELIVERY: Final = "X-Reconciler-Delivery"
ATTEMPTS: Final = 4
PHASE_SECONDS: Final = 5.0
"""For connecting, for sending, and until the answer begins."""
FIRST_PAUSE: Final = 0.5
"""Seconds, doubled before each further attempt."""


class Sink(Struct, frozen=True, kw_only=True):
    """A receiver. ``secret`` signs what is sent; ``None``: nothing is signed."""

    name: str
    url: str
    secret: str | None = None


def checked_url(text: str, variable: str) -> str:
    """The address of a receiver.

    Raises:
        ConfigError: it is no https URL. It is not shown, as it may be a secret.

    """
    try:
        url = httpx.URL(text.strip())
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.host and (url.scheme == "https" or (url.scheme == "http" and is_loopback(url.host))):
        return text.strip()
    raise ConfigError(
        f"{variable} is not an https URL with a host",
        "Set it to the receiver's address. Plain http is for loopback addresses only.",
    )


class Delivery:
    """One notice under way to one receiver. ``seconds``: what it may take, with all attempts."""

    def __init__(self, sink: Sink, body: bytes, *, delivery_id: str, seconds: float) -> None:
        self.sink = sink
        self._body = body
        self._id = delivery_id
        self._end = time.monotonic() + seconds
        self._failure: str | None = "it did not answer in time"
        self._streams: list[Any] = []
        self._thread = threading.Thread(target=self._run, name=f"notify-{sink.name}", daemon=True)
        self._watchdog = threading.Timer(seconds, self._cut)
        self._watchdog.daemon = True
        self._watchdog.start()
        self._thread.start()  # last: it may be done at once

    @property
    def under_way(self) -> bool:
        return self._thread.is_alive()

    def wait(self, seconds: float) -> None:
        """Wait for its end, for so long at most."""
        self._thread.join(max(0.0, seconds))

    def failure(self) -> str | None:
        """Why it was not delivered, in words without the address; ``None`` if it was."""
        return self._failure

    def _run(self) -> None:
        try:
            self._failure = self._deliver()
        except ReconcilerError as error:  # of the proxy's variable
            self._failure = error.diagnostics[0].summary
        except Exception as error:  # noqa: BLE001  a thread's error would be printed; the run must not care
            self._failure = type(error).__name__
        finally:
            self._watchdog.cancel()

    def _deliver(self) -> str | None:
        failure: str | None = None
        with self._client() as client:
            for attempt in range(ATTEMPTS):
                again, failure, wait = self._attempt(client)
                pause = max(wait, FIRST_PAUSE * 2**attempt)
                if not again or attempt == ATTEMPTS - 1 or time.monotonic() + pause >= self._end:
                    break
                time.sleep(pause)
        return failure

    def _attempt(self, client: httpx.Client) -> tuple[bool, str | None, float]:
        """Whether it may help to try again, what failed, and the seconds that the receiver asks for."""
        try:
            with client.stream(
                "POST",
                self.sink.url,
                content=self._body,
                headers=self._headers(),
                extensions={"trace": self._trace},
            ) as response:
                status, wait = response.status_code, response.headers.get("Retry-After", "")
        except httpx.TimeoutException:
            return True, "it did not answer in time", 0.0
        except (httpx.HTTPError, OSError):
            cut = time.monotonic() >= self._end
            return not cut, "it did not answer in time" if cut else "there is no connection, or it broke", 0.0
        if 200 <= status < 300:
            return False, None, 0.0
        if 300 <= status < 400:
            return False, f"it answered with a redirect (status {status}), which is not followed", 0.0
        seconds = float(wait) if wait.isascii() and wait.isdecimal() and len(wait) < 6 else 0.0
        return status in (408, 425, 429) or status >= 500, f"it answered with status {status}", seconds

    def _headers(self) -> Mapping[str, str]:
        headers = {"Content-Type": "application/json", "User-Agent": USER_AGENT, DELIVERY: self._id}
        if self.sink.secret is not None:
            now = f"{time.time():.0f}"
            headers |= {TIMESTAMP: now, SIGNATURE: signature(self.sink.secret, now, self._body)}
        return headers

    def _client(self) -> httpx.Client:
        encrypted = self.sink.url.lower().startswith("https:")
        return httpx.Client(
            verify=httpx.create_ssl_context() if encrypted else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            proxy=proxies.proxy_for(httpx.URL(self.sink.url)),
            trust_env=False,  # the proxy is chosen above; a netrc file is nobody's business here
            timeout=PHASE_SECONDS,
            follow_redirects=False,
        )

    def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Remember the connection, so that it can be cut."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._streams = [info["return_value"]]

    def _cut(self) -> None:
        """End an answer that drips for ever."""
        for stream in self._streams:
            with contextlib.suppress(Exception):
                connection: socket.socket = stream.get_extra_info("socket")
                connection.shutdown(socket.SHUT_RDWR)
