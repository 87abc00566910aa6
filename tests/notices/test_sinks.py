"""One notice to one receiver: what is retried, what is not, and that nothing holds it up for longer than its time."""

from __future__ import annotations

import hashlib
import hmac
import socket
import threading
import time

import pytest

from reconciler.adapters.hooks import sinks
from reconciler.adapters.hooks.sinks import Delivery, Sink, checked_url
from reconciler.adapters.hooks.told import EVENTS_MAX, Told
from reconciler.model.errors import ConfigError
from tests.notices.receivers import SECRET, Receiver, receiving
from tests.security.security_support import network

BODY = b'{"facts": []}'


def delivered(receiver, seconds=20.0, secret=SECRET):
    delivery = Delivery(Sink(name="webhook", url=receiver.url, secret=secret), BODY, delivery_id="d-1", seconds=seconds)
    delivery.wait(seconds + 20)
    return delivery


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(sinks, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(sinks, "PHASE_SECONDS", 0.5)


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("habits", "failure", "attempts"),
    [
        (["200"], None, 1),
        (["204"], None, 1),
        (["endless"], None, 1),
        (["500", "200"], None, 2),
        (["429", "503 Retry-After: 0", "200"], None, 3),
        (["reset", "garbage", "200"], None, 3),
        (["hang", "200"], None, 2),
        (["500"], "it answered with status 500", sinks.ATTEMPTS),
        (["reset"], "there is no connection, or it broke", sinks.ATTEMPTS),
        (["hang"], "it did not answer in time", sinks.ATTEMPTS),
        (["404"], "it answered with status 404", 1),
        (["401", "200"], "it answered with status 401", 1),
        (["302 Location: /elsewhere", "200"], "it answered with a redirect (status 302), which is not followed", 1),
        (
            ["307 Location: http://127.0.0.1:1/", "200"],
            "it answered with a redirect (status 307), which is not followed",
            1,
        ),
        (["429 Retry-After: 86400", "200"], "it answered with status 429", 1),
        (["429 Retry-After: -1e99", "200"], None, 2),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_what_may_pass_is_tried_again_and_nothing_else(habits, failure, attempts):
    with receiving(*habits) as receiver:
        delivery = delivered(receiver)
        assert (delivery.failure(), len(receiver.heard)) == (failure, attempts)
        assert {body for _, body in receiver.heard} == {BODY}


@pytest.mark.sampled(6)
@pytest.mark.parametrize("habit", ["drip", "hang"])
def test_a_receiver_that_never_answers_is_cut_off(habit, monkeypatch):
    # Intent: also one that sends a byte now and then, which no time-out of a phase notices; its thread ends, too.
    monkeypatch.setattr(sinks, "PHASE_SECONDS", 5.0)
    with receiving(habit) as receiver:
        begun = time.monotonic()
        delivery = delivered(receiver, seconds=1.0)
        assert not delivery.under_way and time.monotonic() - begun < 15
        assert delivery.failure() == "it did not answer in time"


def test_nobody_listens():
    with socket.socket() as reserved:  # bound and not listening: nobody else gets the port meanwhile
        reserved.bind(("127.0.0.1", 0))
        delivery = delivered(Receiver(f"http://127.0.0.1:{reserved.getsockname()[1]}/"))
    assert delivery.failure() == "there is no connection, or it broke"


def test_a_delivery_that_is_over_at_once_raises_nothing_in_its_thread(monkeypatch):
    # Intent: a thread's error would be a traceback on the user's screen.
    raised = []
    monkeypatch.setattr(threading, "excepthook", raised.append)
    monkeypatch.setattr(Delivery, "_deliver", lambda _: None)
    for _ in range(200):
        delivery = Delivery(Sink(name="slack", url="https://h.example/"), BODY, delivery_id="d", seconds=5)
        delivery.wait(5)
        assert delivery.failure() is None
    assert raised == []


def test_every_attempt_is_signed_over_its_time_and_body():
    with receiving("500", "200") as receiver:
        delivered(receiver)
    for headers, body in receiver.heard:
        signed = headers["X-Reconciler-Timestamp"].encode() + b"." + body
        expected = "sha256=" + hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        assert headers["X-Reconciler-Signature"] == expected
        assert abs(int(headers["X-Reconciler-Timestamp"]) - time.time()) < 60
        assert headers["X-Reconciler-Delivery"] == "d-1"  # the same for each attempt, so that a receiver can tell


def test_without_a_secret_nothing_is_signed_and_no_other_credentials_are_sent(tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password gotcha\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with receiving() as receiver:
        delivered(receiver, secret=None)
    ((headers, _),) = receiver.heard
    assert not {"Authorization", "X-Reconciler-Signature", "Cookie"} & {*headers}


def test_another_machine_is_reached_through_the_proxy(monkeypatch):
    with network() as net:
        for name, value in net.env.items():
            monkeypatch.setenv(name, value)
        sink = Sink(name="slack", url="https://hooks.example/services/x")
        delivery = Delivery(sink, BODY, delivery_id="d", seconds=5)
        delivery.wait(30)
    assert net.heard and net.heard[0].startswith("CONNECT hooks.example:443 ")
    assert "example" not in str(delivery.failure())


@pytest.mark.parametrize(
    "url",
    ["", "hooks.slack.com/x", "http://hooks.slack.com/x", "ftp://h/x", "https://", "file:///etc/passwd", "http://169.254.169.254/", "https://[::1"],
)  # fmt: skip
def test_only_https_and_this_machine_may_be_named(url):
    with pytest.raises(ConfigError, match="THE_URL is not an https URL") as failure:
        checked_url(url, "THE_URL")
    assert not url or url not in str(failure.value)


def test_what_was_told_is_remembered_for_each_receiver(tmp_path):
    told = Told(tmp_path, ("acme", "prod"))
    told.add("slack", [("drift", "a"), ("drift", "b"), ("applied", "1")])
    told.save()
    again = Told(tmp_path, ("acme", "prod"))
    assert again.knows("slack", "drift", "a") and again.knows("slack", "applied", "1")
    assert not again.knows("webhook", "drift", "a") and not Told(tmp_path, ("acme", "dev")).knows("slack", "drift", "a")
    again.keep("slack", "drift", ["b", "c"])
    assert not again.knows("slack", "drift", "a") and not again.knows("slack", "drift", "c")
    assert again.knows("slack", "drift", "b") and again.knows("slack", "applied", "1")
    (path,) = tmp_path.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"a": {"b": "c"}}', b"\xff\xfe", b"9" * 100])
def test_a_broken_memory_is_none(tmp_path, content):
    told = Told(tmp_path, ("acme",))
    told.add("slack", [("drift", "a")])
    told.save()
    (path,) = tmp_path.iterdir()
    path.write_bytes(content)
    again = Told(tmp_path, ("acme",))
    assert not again.knows("slack", "drift", "a")
    again.add("slack", [("drift", "a")])
    again.save()
    assert Told(tmp_path, ("acme",)).knows("slack", "drift", "a")


def test_a_memory_that_can_not_be_kept_lasts_as_long_as_the_run(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (None, tmp_path / "file" / "below"):
        told = Told(folder, ("acme",))
        told.add("slack", [("drift", "a")])
        told.save()
        assert told.knows("slack", "drift", "a")


def test_the_memory_of_applies_is_bounded():
    told = Told(None, ())
    told.add("slack", [("applied", str(n)) for n in range(EVENTS_MAX + 10)])
    assert not told.knows("slack", "applied", "9") and told.knows("slack", "applied", "10")
