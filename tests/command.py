"""The real command, each run a process of its own: forked from one that has the program imported."""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, TextIO

ROOT = Path(__file__).parents[1]
TIMEOUT = 120.0
STRAY = (
    "RECONCILER_",
    "EVERSINCE_API_URL",
    "EVERSINCE_API_VERSION",
    "CI",
    "GITHUB_",
    "GITLAB_",
    "NO_COLOR",
    "FORCE_COLOR",
    "HTTP",
    "ALL_PROXY",
)


SESSION = "ZYGOTES_OF_THE_TESTS"
"""The variable that says where processes of one session get their zygotes."""


def offer_zygotes() -> str:
    """Start what zygotes are forked from (``tests/zygote.py``); its socket. It ends with this process."""
    folder = Path(tempfile.mkdtemp(prefix="zygotes-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.zygote", str(folder / "socket")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    atexit.register(server.communicate)
    assert server.stdout.readline()
    return str(folder / "socket")


@functools.cache
def _offered() -> str:
    return os.environ.get(SESSION) or offer_zygotes()


def _forked(address: str = "-") -> tuple[TextIO, TextIO]:
    """A zygote of this process's own: what it reads, until that is closed, and what it answers."""
    (read, told), (answered, write) = os.pipe(), os.pipe()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(_offered())
        socket.send_fds(connection, [address.encode()], [read, write])
    os.close(read)
    os.close(write)
    orders, answers = os.fdopen(told, "w"), os.fdopen(answered)
    assert json.loads(answers.readline())["ready"]
    return orders, answers


class Zygote:
    """Starts runs. One for each test process."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self.kibibytes = 0
        """The most memory that the run which ended last had at once; with what it shares with the zygote."""
        self._orders, self._answers = _forked()

    def _ask(self, **order: Any) -> dict[str, Any]:
        with self._turn:
            self._orders.write(json.dumps(order) + "\n")
            self._orders.flush()
            return json.loads(self._answers.readline())

    def start(self, **order: Any) -> int:
        return self._ask(do="start", **order)["pid"]

    def wait(self, pid: int, timeout: float = 60.0) -> int | None:
        """The exit code; none while it runs, and then to be asked again. Others start and wait meanwhile."""
        end = time.monotonic() + timeout
        while True:
            answer = self._ask(do="wait", pid=pid, timeout=0.2)
            code = answer["code"]
            if code is not None:
                self.kibibytes = answer["kibibytes"]
            if code is not None or time.monotonic() > end:
                return code

    def end(self, pid: int, timeout: float) -> int | None:
        """The exit code; none where it hangs, and was killed."""
        code = self.wait(pid, timeout)
        if code is None:
            os.kill(pid, signal.SIGKILL)
            self.wait(pid)
        return code

    def close(self) -> None:
        self._orders.close()
        self._answers.read()  # until it has ended
        self._answers.close()


@functools.cache
def zygote() -> Zygote:
    """This test process's."""
    made = Zygote()
    atexit.register(made.close)
    return made


@functools.cache
def command() -> Path:
    """An executable that shells start as ``reconciler``: this installation's, forked as those of :func:`run` are."""
    folder = Path(tempfile.mkdtemp(prefix="started-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    address = folder / "socket"
    orders, answers = _forked(str(address))
    atexit.register(answers.close)
    atexit.register(orders.close)
    path = folder / "reconciler"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -IS "{ROOT / "tests" / "started.py"}" "{address}" "$@"\n')
    path.chmod(0o755)
    return path


def environment(**more: str) -> dict[str, str]:
    """This process's, without what could reach the command by accident."""
    return {k: v for k, v in os.environ.items() if not k.upper().startswith(STRAY)} | more


def run(*args: str, cwd: Path, stdin: str = "", setting: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """``reconciler`` with these arguments, to its end; no terminal anywhere. ``setting``: one more that the API has
    (``tests/architecture/extended.py``).
    """
    with tempfile.TemporaryDirectory() as folder:
        streams = {name: Path(folder, name) for name in ("in", "out", "err")}
        streams["in"].write_text(stdin, encoding="utf-8", newline="")
        pid = zygote().start(
            argv=args,
            cwd=str(cwd),
            env=environment(**env),
            setting=setting,
            **{name: str(path) for name, path in streams.items()},
        )
        code = zygote().end(pid, TIMEOUT)
        if code is None:
            raise subprocess.TimeoutExpired(["reconciler", *args], TIMEOUT)
        out, err = (streams[name].read_text(encoding="utf-8") for name in ("out", "err"))
    return subprocess.CompletedProcess(["reconciler", *args], code, out, err)
