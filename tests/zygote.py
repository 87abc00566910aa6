"""A process that has the program imported and forks a child for each run: a real process in 30 ms instead of 600.

As a script it listens at a socket, and forks itself for each process of the tests that asks there: imports are paid for
once in a session. What that process gets has one thread, so that forking it is safe. It takes orders, a JSON line in, a
JSON line out; or it serves ``tests/started.py`` at a socket of its own, which stands in for the program's command where a
shell starts it.
"""

import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

from reconciler.model import contract
from tests import cheap_secrets


@functools.cache
def _imported():
    import reconciler

    for module in pkgutil.walk_packages(reconciler.__path__, "reconciler."):
        if not module.name.endswith("__main__"):
            with contextlib.suppress(ImportError):  # what needs an extra that is not installed
                importlib.import_module(module.name)
    for later in (
        "anyio._backends._asyncio",
        "deepdiff",
        "filelock",
        "encodings.utf_8_sig",
        "tests.recovery.kill_points",
    ):
        importlib.import_module(later)  # what runs would import, each of them
    cheap_secrets.use()
    with tempfile.TemporaryDirectory() as folder:
        _warm_up(Path(folder))
    gc.collect()
    gc.freeze()


WARM = """\
projects:
  first: {brief: "A brief. ${env.WARM}", settings: {title: First}, messages: [hello]}
  second: {brief: Another., references: [{url: "https://example.com/a.png", type: image}], depends_on: [first]}
"""


def _warm_up(folder):
    """An apply to a sandbox and a plan after it: forms, patterns and tables that a run builds first are then there."""
    (folder / "reconciler.yaml").write_text("policy: {allowed_env: [WARM]}\nsandbox: {speed: 5000}\n")
    (folder / "specs").mkdir()
    (folder / "specs" / "all.yaml").write_text(WARM)
    before = Path.cwd(), dict(os.environ), sys.argv, signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    streams = [os.dup(number) for number in (0, 1, 2)]
    _redirect({"out": folder / "out", "err": folder / "err"})
    apply = ("apply", "--auto-approve", "--poll-interval", "0.02", "--settle", "0")
    with contract.kept():
        for argv in (apply, ("plan", "--detailed-exitcode")):
            code = _child({"cwd": folder, "env": {"WARM": "a secret"}, "argv": ("--api-url", "sandbox", *argv)})
            assert code == 0, (folder / "err").read_text()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    cwd, env, sys.argv, interrupted, terminated = before
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    signal.signal(signal.SIGINT, interrupted)
    signal.signal(signal.SIGTERM, terminated)
    assert threading.active_count() == 1, "a process with threads must not be forked"


def _child(order):
    """The run: the program's own ``main`` and nothing before it but the counting of points."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    sys.argv = ["reconciler", *order["argv"]]
    from reconciler.cli.main import main

    if order.get("setting"):
        from reconciler.model import contract
        from tests.architecture.extended import with_field

        contract.use(with_field(order["setting"]))
    if "orders" in order:
        from tests.recovery import kill_points

        points = kill_points.Points(order["orders"], order.get("full", 0))
        kill_points.install(points)
    if order.get("without"):
        from tests.recovery import without

        (without.TAKEN_AWAY | without.TAKEN_AWAY_FROM_REMOTE)[order["without"]]()
    code = 70
    try:
        main()
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001  a traceback is what the tests look for
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    if order.get("trace"):
        Path(order["trace"]).write_text(json.dumps(points.names))
    return code


def _redirect(order):
    streams = [(0, order.get("in", os.devnull), os.O_RDONLY)] + [
        (number, order[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC) for number, name in ((1, "out"), (2, "err"))
    ]
    for number, path, flags in streams:
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)


def _wait(pid, timeout):
    end = time.monotonic() + timeout
    pause = 0.001
    while time.monotonic() < end:
        done, status, used = os.wait4(pid, os.WNOHANG)
        if done:
            return {"code": os.waitstatus_to_exitcode(status), "kibibytes": used.ru_maxrss}
        time.sleep(pause)
        pause = min(0.01, pause * 1.5)
    return {"code": None}


def serve():
    """Answers orders until its input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    orders = os.fdopen(os.dup(0), "r")
    answers.write('{"ready": true}\n')
    for line in orders:
        order = json.loads(line)
        if order["do"] == "start":
            pid = os.fork()
            if pid == 0:
                _redirect(order)
                os._exit(_child(order))
            answer = {"pid": pid}
        else:
            answer = _wait(order["pid"], order["timeout"])
        answers.write(json.dumps(answer) + "\n")


def _started(connection):
    """One run as ``tests/started.py`` asks for it: with its streams, folder and environment."""
    _, streams, *_ = socket.recv_fds(connection, 1, 3)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin, sys.stdout, sys.stderr = (  # as they are at a start: what they are is known by then
        os.fdopen(number, mode, 1 if os.isatty(number) or number == 2 else -1, "utf-8", errors, closefd=False)
        for number, mode, errors in ((0, "r", "strict"), (1, "w", "strict"), (2, "w", "backslashreplace"))
    )
    with connection.makefile("rb") as asked:
        count, cwd, *words = asked.read().split(b"\0")
    argv, env = words[: int(count)], words[int(count) :]
    connection.sendall(b"%d\n" % os.getpid())
    order = {"cwd": cwd, "argv": map(os.fsdecode, argv), "env": dict(os.fsdecode(e).split("=", 1) for e in env)}
    connection.sendall(b"%d\n" % _child(order))


def listen(address, serve_one):
    """Forks a child that serves each process that connects, until its input ends."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        os.write(1, b'{"ready": true}\n')
        while listener in select.select([0, listener], [], [])[0]:
            connection, _ = listener.accept()
            with connection:
                _imported()
                if os.fork() == 0:
                    listener.close()
                    serve_one(connection)
                    os._exit(0)
            with contextlib.suppress(ChildProcessError):  # those that have ended; they said themselves how
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


def _asked(connection):
    """A zygote for the process that asks, with the streams that it hands over."""
    address, streams, *_ = socket.recv_fds(connection, 4096, 2)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    connection.close()
    listen(address, _started) if address != b"-" else serve()


def _see_them_end(seconds):
    """Wait for those that were forked, so that what they took counts as taken by the session."""
    end = time.monotonic() + seconds
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < end:
            if not os.waitpid(-1, os.WNOHANG)[0]:
                time.sleep(0.01)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    listen(sys.argv[1], _asked)
    _see_them_end(5)
