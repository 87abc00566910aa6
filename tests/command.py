"""The real command, each run a process of its own: forked from one that has the program imported."""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TIMEOUT = 120.0
STRAY = (
    "RECONCILER_",
    "EVERSINCE_API_URL",
    "EVERSINCE_API_VERSION",
    "GITHUB_",
    "NO_COLOR",
    "FORCE_COLOR",
    "HTTP",
    "ALL_PROXY",
)


class Zygote:
    """Starts runs. One for each test process."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self.kibibytes = 0
        """The most memory that the run which ended last had at once; with what it shares with the zygote."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.zygote"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True
        )
        assert json.loads(self._process.stdout.readline())["ready"]

    def _ask(self, **order: Any) -> dict[str, Any]:
        with self._turn:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

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
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


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
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.zygote", str(address)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )
    atexit.register(server.communicate)
    assert server.stdout.readline()
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
