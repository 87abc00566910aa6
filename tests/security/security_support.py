"""A listener that stands for the whole network: what a run tries to reach arrives here, or nothing was tried."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

KEY = "sk-canary-key-51c7d2"
STOLEN = "canary-credential-93ab0e"
"""The value of somebody else's credential."""
ATTACKER = "https://attacker.example/api/v1"
PLAIN = "projects:\n  teaser: {brief: Ten seconds.}\n"


@dataclass
class Network:
    """A proxy for everything that is not on this machine; it answers nothing."""

    url: str
    heard: list[str] = field(default_factory=list)
    """The first bytes of every connection."""

    @property
    def env(self) -> dict[str, str]:
        """With these variables a client of any other machine comes here first."""
        return {"HTTPS_PROXY": self.url, "HTTP_PROXY": self.url, "ALL_PROXY": self.url, "NO_PROXY": ""}


@contextlib.contextmanager
def network() -> Iterator[Network]:
    """The network, as far as a run can see."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.settimeout(5)
            with contextlib.suppress(OSError):
                seen.heard.append(self.request.recv(2000).decode("latin-1"))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        seen = Network(f"http://127.0.0.1:{server.server_address[1]}")
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield seen
        finally:
            server.shutdown()
