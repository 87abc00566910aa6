"""Ctrl-C and `--timeout` are kept, whatever an apply is waiting for; what has not left never leaves."""

import contextlib
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from reconciler.sandbox.faults import Fault
from tests.cli.cli_support import REMOTE, make_space
from tests.command import ROOT, environment
from tests.recovery.accounts import Accounts
from tests.sampling import square, swept

SIX = "projects:\n" + "".join(f"  film-{n}:\n    brief: Film number {n}.\n" for n in range(6))
SLOW = REMOTE + "limits: {requests_per_minute: 4}\n"
QUICK = 10.0
"""Seconds: what a stop may take, a loaded machine included."""


@pytest.fixture
def account():
    with Accounts() as accounts:
        key, store = accounts.open()
        yield accounts.url, key, store


def space_at(root, url, key, config=REMOTE, specs=SIX):
    return make_space(root, specs, config, EVERSINCE_API_URL=url, EVERSINCE_API_KEY=key)


def until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.05)


def creates(store):
    return [row for row in store.requests() if (row.method, row.path) == ("POST", "/projects")]


@pytest.mark.parametrize("number", [signal.SIGINT, swept(signal.SIGTERM)])
@pytest.mark.parametrize(
    ("config", "fault", "before"),
    [
        (SLOW, None, 3),
        (REMOTE, Fault(kind="status", method="POST", path="^/projects$", status=429, code="rate_limited", retry_after="60", times=0), 1),
        (REMOTE, Fault(kind="status", method="POST", path="^/projects$", status=429, code="project_limit", retry_after="60", times=0), 1),
        (REMOTE, Fault(kind="status", method="POST", path="^/projects$", status=503, code="unavailable", retry_after="60", times=0), 1),
    ],
    ids=["our rate limit", "rate_limited", "project_limit", "unavailable"],
)  # fmt: skip
@pytest.mark.long
def test_an_interrupt_ends_every_kind_of_waiting_and_nothing_leaves_afterwards(
    tmp_path, account, config, fault, before, number
):
    url, key, store = account
    if fault is not None:
        store.add_fault(fault)
    space = space_at(tmp_path / "ws", url, key, config)
    with space.start("apply", "--auto-approve") as process:
        until(lambda: len(creates(store)) >= before)
        time.sleep(0.7)
        sent = len(creates(store))
        process.send_signal(number)
        begun = time.monotonic()
        out, err = process.communicate(timeout=30)
        assert time.monotonic() - begun < QUICK, err

    assert process.returncode == 130, err
    assert "Traceback" not in err and "interrupted" in out + err
    time.sleep(0.5)
    assert len(creates(store)) == sent
    assert not space.run("state", "list").err

    store.clear_faults()
    space.write("reconciler.yaml", f"{REMOTE}limits: {{settle_seconds: 1}}\n")
    space.run("apply", "--auto-approve", "--wait", "none", code=None)
    space.run("apply", "--auto-approve", "--wait", "none", code=None)
