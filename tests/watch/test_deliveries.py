"""The webhook, over a real socket: only what the secret signed, only what is of now, each once."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import socket

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from reconciler.adapters.hooks import connections, http_port
from reconciler.adapters.hooks.deliveries import WINDOW, Deliveries
from reconciler.adapters.hooks.http_port import BODY_MAX, WatchServer
from reconciler.model.errors import UsageError
from reconciler.model.rounds import Round, Tally
from reconciler.report.metrics import metrics_text

NOW = 1_790_000_000
SECRET = "whsec_zoë"
BODY = b'{"event":"project.idle","id":"proj_1","status":"idle"}'


def signed(body=BODY, *, secret=SECRET, timestamp=str(NOW)):
    """The headers, computed from what is published and not by the code under test."""
    mac = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256)
    return {"X-Eversince-Signature": f"sha256={mac.hexdigest()}", "X-Eversince-Timestamp": timestamp}


class Port:
    def __init__(self, client, heard, refused):
        self.client, self.heard, self.refused = client, heard, refused
        self.ailing = None
        self.readiness = (True, "ok")
        self.now = float(NOW)
        self.counts = {}

    def deliver(self, headers, content=BODY):
        return self.client.post("/webhook", headers=headers, content=content).status_code


@contextlib.contextmanager
def served(secret=SECRET, *, page="page\n", seconds=connections.REQUEST_SECONDS):
    heard, refused = [], []
    port = Port(None, heard, refused)

    def metrics(counts):
        port.counts = dict(counts)
        return page

    door = WatchServer(
        "127.0.0.1",
        0,
        secret=secret,
        health=lambda: port.ailing,
        readiness=lambda: port.readiness,
        metrics=metrics,
        on_delivery=lambda: heard.append(1),
        on_refusal=refused.append,
        now=lambda: port.now,
    )
    with (
        pytest.MonkeyPatch.context() as patch,
        door.serving() as url,
        httpx.Client(verify=False, base_url=url, trust_env=False) as client,
    ):
        patch.setattr(connections, "REQUEST_SECONDS", seconds)
        port.client = client
        yield port


@pytest.fixture
def port():
    with served() as port:
        yield port


def test_a_signed_delivery_is_heard_once(port):
    assert port.deliver(signed()) == 202
    assert port.deliver(signed()) == 200
    assert port.deliver(signed(b"{}"), b"{}") == 202
    assert port.deliver(signed(timestamp=str(NOW + 1))) == 202
    assert len(port.heard) == 3
    port.client.get("/metrics")
    assert port.counts == {"accepted": 3, "unsigned": 0, "stale": 0, "repeated": 1}


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        signed(secret="another"),
        signed(b"another body"),
        {**signed(), "X-Eversince-Timestamp": str(NOW + 1)},
        {**signed(), "X-Eversince-Signature": signed()["X-Eversince-Signature"].removeprefix("sha256=")},
        {**signed(), "X-Eversince-Signature": "sha256="},
        {**signed(), "X-Eversince-Signature": "sha256=\xe9"},
    ],
    ids=["none", "other secret", "other body", "other time", "no scheme", "empty", "not ascii"],
)
def test_what_the_secret_did_not_sign_is_refused(port, headers):
    for _ in range(2):
        assert port.deliver({k: v.encode("latin-1") for k, v in headers.items()}) == 401
    assert port.heard == []
    assert len(port.refused) == 1, "said once"


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("timestamp", "status"),
    [
        (NOW - WINDOW, 202),
        (NOW - WINDOW - 1, 401),
        (NOW + WINDOW, 202),
        (NOW + WINDOW + 1, 401),
        (NOW * 1000, 202),
        ((NOW - WINDOW - 1) * 1000, 401),
        ("nan", 401),
        ("inf", 401),
        ("", 401),
        ("yesterday", 401),
        ("1e400", 401),
    ],
)
def test_a_delivery_is_of_now(port, timestamp, status):
    # Intent: a recorded delivery is worth nothing later, and one dated ahead can't be kept for later either.
    text = timestamp if isinstance(timestamp, str) else f"{timestamp:.0f}"
    assert port.deliver(signed(timestamp=text)) == status
    assert len(port.heard) == (status == 202)


def test_a_delivery_is_never_heard_twice_while_its_time_is_good():
    deliveries = Deliveries(SECRET)
    headers = signed(timestamp=str(NOW + int(WINDOW)))
    verdicts = [
        deliveries.check(*headers.values(), BODY, now=NOW + second) for second in range(0, 2 * int(WINDOW) + 20, 10)
    ]
    assert verdicts[0] == "accepted"
    assert set(verdicts[1:61]) == {"repeated"}
    assert set(verdicts[61:]) == {"stale"}


def test_what_is_out_of_the_window_is_not_kept():
    deliveries = Deliveries(SECRET)
    for second in range(0, 5000, 10):
        headers = signed(timestamp=str(NOW + second))
        assert deliveries.check(*headers.values(), BODY, now=NOW + second) == "accepted"
        assert len(deliveries._seen) <= WINDOW / 10 + 1


def test_a_body_is_read_no_further_than_it_may_be(port):
    long = b"x" * (BODY_MAX + 1)
    assert port.deliver(signed(long), long) == 413
    fits = long[:BODY_MAX]
    assert port.deliver(signed(fits), fits) == 202

    def endless():
        while True:
            yield b"x" * 65536

    with contextlib.suppress(httpx.TransportError):  # the connection ends, and the answer may be lost with it
        assert port.client.post("/webhook", headers=signed(), content=endless()).status_code == 413
    assert len(port.heard) == 1


def test_a_body_that_does_not_come_is_not_waited_for(port, monkeypatch):
    monkeypatch.setattr(http_port, "_BODY_SECONDS", 0.05)
    with socket.create_connection((port.client.base_url.host, port.client.base_url.port)) as slow:
        slow.sendall(b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        answer = b"".join(iter(lambda: slow.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"\r\nconnection: close\r\n" in answer.lower()


def test_without_a_secret_no_delivery_is_taken():
    with served(secret=None) as port:
        assert port.deliver(signed(secret="")) == 403
        assert port.heard == []


def test_the_port_tells_health_and_serves_nothing_else(port):
    assert (port.client.get("/healthz").status_code, port.client.get("/healthz").text) == (200, "ok\n")
    port.ailing = "3 rounds in a row failed"
    answer = port.client.get("/healthz")
    assert (answer.status_code, answer.text) == (503, "3 rounds in a row failed\n")
    for port.readiness, told in (((True, "standby"), (200, "standby\n")), ((False, "not yet"), (503, "not yet\n"))):
        answer = port.client.get("/readyz")
        assert (answer.status_code, answer.text) == told
    assert port.client.get("/metrics").headers["content-type"].startswith("text/plain; version=0.0.4")
    assert port.client.get("/").status_code == 404
    assert port.client.get("/webhook").status_code == 405
    assert "server" not in answer.headers


def test_a_taken_port_is_an_error_with_the_way_out():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError, match="can't listen") as caught:
        WatchServer(
            "127.0.0.1",
            taken.getsockname()[1],
            secret=None,
            health=lambda: None,
            readiness=lambda: (True, "ok"),
            metrics=lambda _: "",
            on_delivery=lambda: None,
            on_refusal=lambda _: None,
        )
    assert "--listen" in caught.value.diagnostics[0].detail


def test_prometheus_reads_the_metrics():
    ended = Round(outcome="waiting", steps={("create", "done"): 2}, left=3, managed=4, attention=1, requests=5)
    tally = Tally(started=NOW).after(ended, began=NOW, at=NOW + 1.5)
    text = metrics_text(tally, deliveries={"accepted": 6}, healthy=True, version="1.2")
    families = {family.name: family for family in text_string_to_metric_families(text)}
    samples = {(s.name, *s.labels.values()): s.value for f in families.values() for s in f.samples}
    assert samples["reconciler_rounds_total", "waiting"] == 1
    assert samples["reconciler_rounds_total", "failed"] == 0
    assert samples["reconciler_steps_total", "create", "done"] == 2
    assert samples["reconciler_deliveries_total", "accepted"] == 6
    assert samples["reconciler_round_seconds_total",] == 1.5
    assert samples["reconciler_last_good_round_timestamp_seconds",] == NOW + 1.5
    assert samples["reconciler_steps_left",] == 3
    assert samples["reconciler_managed_projects",] == 4
    assert samples["reconciler_attention",] == 1
    assert samples["reconciler_healthy",] == 1
    assert samples["reconciler_build_info", "1.2"] == 1
    assert all(family.documentation and family.type in ("counter", "gauge") for family in families.values())
    assert text.endswith("\n")
