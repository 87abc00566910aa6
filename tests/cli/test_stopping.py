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


@pytest.mark.sampled(6)
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
    elsewhere = str(tmp_path / "cache")  # on this machine, runs wait as long as the refused one was told
    for _ in range(2):
        space.run("apply", "--auto-approve", "--wait", "none", code=None, XDG_CACHE_HOME=elsewhere)
    keys = [effect for effect in store.ledger() if effect.kind == "create"]
    assert len(keys) == len({project["brief"] for project in store.projects()}) >= 5


@pytest.mark.sweep
def test_the_timeout_ends_the_wait_for_the_rate_limit(tmp_path, account):
    url, key, store = account
    space = space_at(tmp_path / "ws", url, key, SLOW)
    begun = time.monotonic()

    ran = space.run("apply", "--auto-approve", "--timeout", "4s", "--detailed-exitcode", code=2)

    assert time.monotonic() - begun < 4 + 2 * QUICK
    assert len(creates(store)) == 3 and "3 deferred" in ran.out


@contextlib.contextmanager
def silent(answer):
    """A server that answers the list at once, and any POST as ``answer`` does: its URL, and whether one came."""
    page = b'{"projects": [], "total": 0, "limit": 100, "offset": 0}'
    over, asked = threading.Event(), threading.Event()

    def serve(connection):
        with connection, contextlib.suppress(OSError):
            while request := connection.recv(65536):
                if request.startswith(b"GET"):
                    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                    connection.sendall(head % len(page) + page)
                else:
                    asked.set()
                    answer(connection, over)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/api/v1", asked
        over.set()


def never(connection, over):
    over.wait(60)


def dripping(connection, over):
    connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n")
    while not over.wait(1):
        connection.sendall(b" ")


@pytest.mark.sampled(6)
@pytest.mark.long
@pytest.mark.parametrize(("answer", "how"), square(2, [never, dripping], ["--timeout", "SIGINT"]))
def test_a_call_under_way_has_a_bounded_grace_and_is_then_of_unknown_fate(tmp_path, answer, how):
    with silent(answer) as (url, asked):
        space = space_at(tmp_path / "ws", url, "es_live_1", specs="projects: {a: {brief: One film.}}\n")
        arguments = ("--timeout", "2s") if how == "--timeout" else ()
        with space.start("apply", "--auto-approve", *arguments) as process:
            assert asked.wait(30)
            begun = time.monotonic()
            if how == "SIGINT":
                process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)

        assert time.monotonic() - begun < 2 + 10 + 2 * QUICK, err
        assert process.returncode == (1 if how == "--timeout" else 130), err
        assert "unknown" in out and "Traceback" not in err


INTERRUPTED_IMPORT = """
import os, signal, sys
signal.signal(signal.SIGINT, {interrupt})  # the tests themselves may run as a job that ignores it

class Interrupting:
    def find_spec(self, name, *_):
        if name == "{module}":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
sys.argv = ["reconciler", "plan"]
from reconciler.cli.start import main
main()
"""


def interrupted_while_it_imports(tmp_path, module, interrupt):
    """A plan that gets SIGINT while it imports a module; ``interrupt`` is what the signal did when it started."""
    space = make_space(tmp_path / "ws")
    code = INTERRUPTED_IMPORT.format(module=module, interrupt=interrupt)
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=space.root,
        env=environment(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("module", ["click", "reconciler.cli.commands.plan_"])
def test_ctrl_c_while_the_program_starts_shows_no_traceback(tmp_path, module):
    done = interrupted_while_it_imports(tmp_path, module, "signal.default_int_handler")

    assert done.returncode == 130
    assert "Traceback" not in done.stderr


@pytest.mark.sweep
def test_a_job_that_is_not_to_be_interrupted_goes_on(tmp_path):
    done = interrupted_while_it_imports(tmp_path, "click", "signal.SIG_IGN")

    assert done.returncode == 0, done.stderr
