"""Workspaces and accounts of any size, and real commands measured on them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

WORDS = "warm light falling leaves the red coat in the last shot upbeat no dialogue slow music for the shop "

SERVER = """
import sys
from pathlib import Path
from reconciler.sandbox.server import serve
from reconciler.sandbox.store import Options
serve(Path(sys.argv[1]), options=Options(speed=1000, requests_per_minute=0, active_projects=0, credits=10**9,
      log_requests=False), on_ready=lambda url: print(url, flush=True))
"""


def write_workspace(root: Path, projects: int, files: int) -> None:
    """``projects`` projects spread over ``files`` spec files, about 600 bytes each."""
    (root / "specs").mkdir(parents=True)
    (root / "reconciler.yaml").write_text(
        "workspace: fleet\nlimits: {active_projects: 1000000, requests_per_minute: 100000000}\n", encoding="utf-8"
    )
    for number in range(files):
        lines = ["projects:"]
        for index in range(number, projects, files):
            lines += [
                f"  clip-{index:06d}:",
                "    brief: |",
                f"      Clip number {index}. {WORDS * 4}",
                "    settings:",
                f"      title: Clip {index}",
                "      craft: cinema",
                "      agent_model: sonnet",
            ]
        (root / "specs" / f"fleet-{number:04d}.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def fill_account(db: Path, others: int) -> None:
    """An account with projects that nobody here manages."""
    from reconciler.sandbox.store import Options, Store

    store = Store(db, options=Options(speed=1000, credits=10**9, log_requests=False))
    for index in range(others):
        store.person_creates(brief=f"Somebody else's project {index}", title=f"Other {index}")
    store.close()


@contextmanager
def served(db: Path) -> Iterator[str]:
    """The emulated API in a process of its own, without limits; gives its URL."""
    with subprocess.Popen([sys.executable, "-c", SERVER, str(db)], stdout=subprocess.PIPE, text=True) as server:
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()
            server.wait()


@dataclass(frozen=True)
class Measured:
    """One command: wall and own CPU seconds, peak memory in MiB, what it printed last."""

    wall: float
    cpu: float
    peak: float
    last_lines: list[str]


def measure(*args: str, cwd: Path, url: str | None = None) -> Measured:
    """Run the real command in a process of its own."""
    return measured([sys.executable, "-m", "reconciler", *args], cwd=cwd, env={"EVERSINCE_API_URL": url} if url else {})


RUNNER = """
import json, os, subprocess, sys, time
start = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
out = process.stdout.read()
_, status, usage = os.wait4(process.pid, 0)
wall = time.perf_counter() - start
told = {"code": os.waitstatus_to_exitcode(status), "wall": wall, "cpu": usage.ru_utime + usage.ru_stime}
print(json.dumps({**told, "peak": usage.ru_maxrss / 1024, "out": out.decode()}))
"""
"""Linux counts what a process held before it ran another program, its parent's memory: so the parent is a small one."""


def measured(command: list[str], *, cwd: Path, env: dict[str, str]) -> Measured:
    """Run any command that has to succeed."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RECONCILER_", "EVERSINCE_"))}
    runner = [sys.executable, "-I", "-c", RUNNER, *command]
    ran = subprocess.run(runner, cwd=cwd, env=kept | env, stdout=subprocess.PIPE, text=True, check=True)
    told = json.loads(ran.stdout)
    assert told["code"] == 0, told["out"][-2000:]
    return Measured(told["wall"], told["cpu"], told["peak"], told["out"].splitlines()[-3:])
