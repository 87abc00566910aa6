"""The port of `watch`, before people who mean it no good: its probe and its deliveries are answered all the while."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import threading
import time
from collections import deque

import httpx
import pytest

from reconciler.adapters.hooks import connections
from tests.recovery.conftest import accounts, folder, zygote  # noqa: F401  fixtures
from tests.watch.conftest import watching, world  # noqa: F401  fixtures
from tests.watch.test_deliveries import served, signed
from tests.watch.test_watch import TEASER

HALF = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Half: "
MANY = 300
PROBE_SECONDS = 10.0
"""Far above what an answer takes, for a machine that does much else; a probe of Kubernetes gives up sooner."""
GONE_SECONDS = 60.0
ENDINGS = (ConnectionResetError, BrokenPipeError)


@pytest.fixture
def process(world, watching):  # noqa: F811
    """A `watch` that has had its first round."""
    w = world(TEASER)
    process = watching(w)
    process.reaches(1, "converged")
    return process


def address(url):
    parsed = httpx.URL(url)
    return parsed.host, parsed.port


def opened(where, data, source="127.0.0.1"):
    made = socket.create_connection(where, timeout=PROBE_SECONDS, source_address=(source, 0))
    try:
        made.sendall(data)
    except BaseException:
        made.close()
        raise
    return made


def probes(process):
    """Whether the probe and a delivery are answered as ever, each on a connection of its own."""

    def asked(method, path, **more):
        with httpx.Client(verify=False, trust_env=False, timeout=PROBE_SECONDS) as client:
            return client.request(method, f"{process.url}{path}", **more)

    def accepted():
        return re.search(r'deliveries_total\{.*"accepted"\} (\d+)', asked("GET", "/metrics").text)[1]

    answer = asked("GET", "/healthz")
    assert (answer.status_code, answer.text) == (200, "ok\n")
    before = int(accepted())
    headers = signed(b"{}", timestamp=f"{time.time():.3f}")
    assert asked("POST", "/webhook", headers=headers, content=b"{}").status_code == 202
    assert int(accepted()) == before + 1


def ends(connection, timeout=GONE_SECONDS):
    """Whether the other side ends it."""
    connection.settimeout(timeout)
    try:
        while connection.recv(65_536):
            pass
    except TimeoutError:
        return False
    except ENDINGS:
        pass
    return True


@pytest.mark.sweep
@pytest.mark.long
def test_half_sent_headers_are_neither_held_for_ever_nor_in_the_way(process):
    with contextlib.ExitStack() as stack:
        half = [stack.enter_context(opened(address(process.url), HALF)) for _ in range(MANY)]
        probes(process)
        process.reaches(2)
        last = time.monotonic() + GONE_SECONDS
        assert all(ends(one, max(0.01, last - time.monotonic())) for one in half)
        probes(process)


SLOW = {
    "a header": HALF,
    "nothing": b"",
    "a body": b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n",
    "a body in chunks": b"POST /webhook HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n",
    "a body after its answer": b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n",
    "the next header": HALF + b"\r\n\r\n" + HALF,
    "many requests, and then half of one": (HALF + b"\r\n\r\n") * 50 + HALF,
}


@pytest.mark.sweep
@pytest.mark.long
def test_what_comes_at_a_byte_a_second_is_not_waited_for(process):
    """Intent: whatever it is that comes so; all kinds at once, for the time of one."""
    with contextlib.ExitStack() as stack:
        left = {kind: stack.enter_context(opened(address(process.url), data)) for kind, data in SLOW.items()}
        last = time.monotonic() + GONE_SECONDS
        while left and time.monotonic() < last:
            for kind, one in list(left.items()):
                with contextlib.suppress(*ENDINGS):
                    if kind != "nothing":
                        one.sendall(b"x")
                if ends(one, 0.01):
                    del left[kind]
            time.sleep(1)
        assert not left
        probes(process)


@pytest.mark.sweep
def test_an_answer_that_nobody_takes_is_not_kept():
    """Intent: a page far larger than what the network holds; whoever asks for it and reads nothing is let go."""
    page = "x" * 50_000_000
    with served(seconds=1.0, page=page) as port:
        with opened(address(port.client.base_url), b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n") as deaf:
            time.sleep(3)
            came = 0
            with contextlib.suppress(*ENDINGS):
                while part := deaf.recv(1 << 20):
                    came += len(part)
        assert came < len(page)
        assert port.client.get("/healthz").status_code == 200


@pytest.mark.sweep
@pytest.mark.long
def test_a_flood_of_connections_pushes_out_its_own(process):
    """Intent: as many as one sender can make, each with half a header, kept open until they are ended."""
    where, over, made = address(process.url), threading.Event(), []

    def flood():
        kept = deque()
        while not over.is_set():
            with contextlib.suppress(OSError):  # ended while it began
                kept.append(opened(where, HALF))
            made.append(1)
            if len(kept) > MANY:
                kept.popleft().close()
        for one in kept:
            one.close()

    senders = [threading.Thread(target=flood) for _ in range(2)]
    for sender in senders:
        sender.start()
    try:
        for _ in range(3):
            probes(process)
            time.sleep(0.1)
        while len(made) <= 2 * MANY:
            probes(process)
    finally:
        over.set()
        for sender in senders:
            sender.join()
    probes(process)


def test_a_flood_from_one_address_leaves_others_their_connections():
    with served() as port, contextlib.ExitStack() as stack:
        where = address(port.client.base_url)
        slow = stack.enter_context(opened(where, HALF, source="127.0.0.2"))
        for _ in range(MANY):
            stack.enter_context(opened(where, HALF))
        assert port.client.get("/healthz").status_code == 200
        slow.sendall(b"whole\r\nConnection: close\r\n\r\n")
        assert b"".join(iter(lambda: slow.recv(4096), b"")).startswith(b"HTTP/1.1 200")


@pytest.mark.sweep
def test_who_asks_again_and_again_keeps_one_connection():
    """Intent: as Prometheus does; the time that a request has begins anew with each answer."""
    with served(seconds=2.0) as port, opened(address(port.client.base_url), b"") as one:
        for _ in range(8):
            one.sendall(HALF + b"\r\n\r\n")
            answer = b""
            while not answer.endswith(b"\r\n\r\nok\n"):
                answer += one.recv(4096)
            assert answer.startswith(b"HTTP/1.1 200")
            time.sleep(0.4)


@pytest.mark.sweep
def test_half_sent_requests_do_not_keep_it_from_ending(process):
    with contextlib.ExitStack() as stack:
        for data in SLOW.values():
            stack.enter_context(opened(address(process.url), data))
        ended = process.stop(signal.SIGTERM)
    assert ended.code == 0, ended


def test_the_rounds_keep_their_file_descriptors():
    """Intent: on systems that give a process 256."""
    assert connections.CONNECTIONS_MAX <= 128
    assert 4 * connections.AT_ONCE <= connections.CONNECTIONS_MAX
