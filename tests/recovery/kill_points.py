"""Points at which a run of the real program can be stopped: every write of the state adapter, every HTTP exchange.

Nothing in the product knows of this: the operating system's calls are wrapped where the state adapter looks them up,
and httpcore's sending and receiving in its own class. A family of points is counted by itself, since reads come as
often as an agent keeps the program waiting, and that differs from run to run.
"""

import errno
import os
import pathlib
import signal
import threading
from dataclasses import dataclass, field

import httpcore
import httpx
import obstore

from reconciler import files
from reconciler.adapters.state import local, objects

FAMILIES = ("state", "call", "read")
"""Writes of the state; requests that change something; requests that read."""


@dataclass
class Points:
    """Counts points and carries out orders: ``{"family", "n", "signal"}``; ``full``: from that write on, no space."""

    orders: list = field(default_factory=list)
    full: int = 0
    counts: dict = field(default_factory=lambda: dict.fromkeys(FAMILIES, 0))
    names: list = field(default_factory=list)
    writes: int = 0

    def due(self, family, name):
        """Counts a point; the signals that are ordered for it."""
        self.counts[family] += 1
        self.names.append((family, self.counts[family], name))
        return [o["signal"] for o in self.orders if o["family"] == family and o["n"] == self.counts[family]]

    def at(self, family, name):
        for number in self.due(family, name):
            os.kill(os.getpid(), number)


class _Os:
    """``os`` as the state adapter sees it."""

    def __init__(self, points):
        self._points = points

    def __getattr__(self, name):
        return getattr(os, name)

    def write(self, fd, data):
        points = self._points
        points.writes += 1
        if points.full and points.writes >= points.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        points.at("state", "before write")
        torn = points.due("state", "torn write")
        if signal.SIGKILL in torn:
            os.write(fd, bytes(data)[: max(1, len(data) // 2)])
        for number in torn:
            os.kill(os.getpid(), number)
        written = os.write(fd, data)
        points.at("state", "after write")
        return written

    def _around(self, name, *args):
        self._points.at("state", f"before {name}")
        result = getattr(os, name)(*args)
        self._points.at("state", f"after {name}")
        return result

    def fsync(self, fd):
        return self._around("fsync", fd)

    def replace(self, old, new):
        return self._around("replace", old, new)

    def ftruncate(self, fd, size):
        return self._around("ftruncate", fd, size)


class _Obstore:
    """``obstore`` as the remote state sees it. Renewals come by the clock, so they are no points."""

    def __init__(self, points):
        self._points = points

    def __getattr__(self, name):
        return getattr(obstore, name)

    def _at(self, when, what, names):
        if threading.current_thread() is threading.main_thread():
            self._points.at("state", f"{when} {what} {names if isinstance(names, str) else names[0]}")

    def put(self, store, name, *args, **kwargs):
        self._at("before", "put", name)
        result = obstore.put(store, name, *args, **kwargs)
        self._at("after", "put", name)
        return result

    async def put_async(self, store, name, *args, **kwargs):
        self._at("before", "put", name)
        result = await obstore.put_async(store, name, *args, **kwargs)
        self._at("after", "put", name)
        return result

    def delete(self, store, names):
        self._at("before", "delete", names)
        obstore.delete(store, names)
        self._at("after", "delete", names)


def install(points):
    """Wraps what a run goes through; for the rest of this process's life."""
    local.os = files.os = _Os(points)
    objects.obstore = _Obstore(points)
    unlink = pathlib.Path.unlink
    connection = httpcore._async.http11.AsyncHTTP11Connection
    send_body, send = connection._send_request_body, httpx.AsyncHTTPTransport.handle_async_request

    def unlinked(path, missing_ok=False):
        points.at("state", f"before unlink {path.suffix}")
        unlink(path, missing_ok=missing_ok)
        points.at("state", f"after unlink {path.suffix}")

    def family(method):
        return "read" if method in ("GET", b"GET") else "call"

    async def body_sent(self, request):
        await send_body(self, request)
        points.at(family(request.method), f"sent {request.method.decode()} {request.url.target.decode()}")

    async def exchanged(self, request):
        what = f"{request.method} {request.url.path}"
        points.at(family(request.method), f"before {what}")
        response = await send(self, request)
        response.stream = httpx.ByteStream(await response.aread())  # it is read once more, by the client
        response.is_stream_consumed = response.is_closed = False
        points.at(family(request.method), f"received {what}")
        return response

    pathlib.Path.unlink = unlinked
    connection._send_request_body = body_sent
    httpx.AsyncHTTPTransport.handle_async_request = exchanged


KILL = signal.SIGKILL
