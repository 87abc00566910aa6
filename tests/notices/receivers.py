"""Receivers of notices: good ones, and ones that hang, drip, fail, redirect, refuse or break."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "canary-notice-secret-4417"
PATH = "/services/T000/B000/canary-path-of-slack"


@dataclass
class Receiver:
    """``habits``: what it does with one request after another; the last one stays."""

    url: str
    habits: list[str] = field(default_factory=list)
    heard: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    """Headers and body of every request."""

    @property
    def documents(self) -> list[Any]:
        return [json.loads(body) for _, body in self.heard]

    @property
    def facts(self) -> list[tuple[str, str | None]]:
        """Kind and address of every fact, in order."""
        return [(fact["kind"], fact["address"]) for document in self.documents for fact in document["facts"]]

    def env(self, *, slack: bool = False) -> dict[str, str]:
        if slack:
            return {"RECONCILER_NOTIFY": "slack", "RECONCILER_NOTIFY_SLACK_URL": self.url}
        return {
            "RECONCILER_NOTIFY": "webhook",
            "RECONCILER_NOTIFY_WEBHOOK_URL": self.url,
            "RECONCILER_NOTIFY_WEBHOOK_SECRET": SECRET,
        }


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def receiving(*habits: str) -> Iterator[Receiver]:
    """A receiver on this machine."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            receiver.heard.append((dict(self.headers), body))
            index = min(len(receiver.heard), len(receiver.habits)) - 1
            self.behave(receiver.habits[index])

        def behave(self, habit: str) -> None:
            match habit:
                case "hang":
                    over.wait(60)
                case "drip":
                    with contextlib.suppress(OSError):
                        self.connection.sendall(b"HTTP/1.1 200 OK\r\nX-Drip: ")
                        while not over.wait(0.2):
                            self.connection.sendall(b"a")
                case "endless":  # a good answer whose body never ends
                    with contextlib.suppress(OSError):
                        self.connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n")
                        while not over.wait(0.2):
                            self.connection.sendall(b"a")
                case "reset":
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.connection.close()
                case "garbage":
                    self.connection.sendall(b"220 smtp.example ESMTP\r\n")
                case _:
                    status, _, more = habit.partition(" ")
                    self.send_response(int(status))
                    if more:
                        name, _, value = more.partition(": ")
                        self.send_header(name, value)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

        def do_GET(self) -> None:
            receiver.heard.append((dict(self.headers), b"GET"))

        def log_message(self, *_: object) -> None:
            pass

    with _Server(("127.0.0.1", 0), Handler) as server:
        receiver = Receiver(f"http://127.0.0.1:{server.server_port}{PATH}", list(habits) or ["200"])
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield receiver
        finally:
            over.set()
            server.shutdown()


def until(condition, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)
