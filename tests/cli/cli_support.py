"""The real command in a workspace of its own: a process for each run, as users and CI jobs start it."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from reconciler.sandbox.store import Store
from tests import command
from tests.canaries import ALLOWED, HOOK
from tests.command import ROOT, environment

REMOTE = f"workspace: acme\npolicy: {{{ALLOWED}}}\n"
CONFIG = REMOTE + "api: {url: sandbox}\nsandbox: {speed: 200}\n"
APPLY = ("apply", "--auto-approve", "--poll-interval", "0.05")
ONE = f"""\
projects:
  teaser:
    brief: Ten seconds, one product.
    settings: {{title: Teaser, webhook_url: "{HOOK}"}}
"""


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout; fails where there is more or less."""
        return json.loads(self.out)

    @property
    def errors(self) -> list[dict[str, Any]]:
        return [d for d in self.document["diagnostics"] if d["severity"] == "error"]


@dataclass
class Space:
    """A workspace's folder and how to run commands in it."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)

    def run(self, *args: str, code: int | None = 0, stdin: str = "", **env: str) -> Ran:
        """Run the command; no terminal anywhere. ``code``: the exit code that is expected."""
        done = command.run(*args, cwd=self.root, stdin=stdin, **{**self.env, **env})
        ran = Ran(done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in ran.out + ran.err, ran.err
        assert "This is a bug" not in ran.err, ran.err
        if code is not None:
            assert ran.code == code, f"{args}: {ran.code}\n{ran.out}\n{ran.err}"
        return ran

    def start(self, *args: str, **env: str) -> subprocess.Popen[str]:
        """The command as a process under way, to be used with ``with``."""
        return subprocess.Popen(
            [command.command(), *args],
            cwd=self.root,
            env=environment(**{**self.env, **env}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    @property
    def state_path(self) -> Path:
        return self.root / ".reconciler" / "sandbox" / "reconciler.state.json"

    @property
    def state(self) -> dict[str, Any]:
        return json.loads(self.state_path.read_text(encoding="utf-8"))

    @property
    def db(self) -> Path:
        return self.root / ".reconciler" / "sandbox" / "account.db"

    def account(self) -> Account:
        return Account(self.db)

    def files(self) -> dict[str, tuple[bytes, int]]:
        """Every file with its bytes and mode, but the emulated account itself."""
        return {
            str(path.relative_to(self.root)): (path.read_bytes(), path.stat().st_mode & 0o777)
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and not path.name.startswith("account.db")
        }


class Account:
    """The emulated account behind a workspace, looked into from outside."""

    def __init__(self, db: Path) -> None:
        self.store = Store(db)

    def __enter__(self) -> Store:
        return self.store

    def __exit__(self, *_: object) -> None:
        self.store.close()


def make_space(root: Path, specs: str | None = ONE, config: str = CONFIG, **env: str) -> Space:
    """A workspace with one spec file."""
    root.mkdir(parents=True, exist_ok=True)
    space = Space(root, env)
    space.write("reconciler.yaml", config)
    if specs is not None:
        space.write("specs/a.yaml", specs)
    return space


def campaign_space(root: Path, config: str = CONFIG) -> Space:
    """A workspace with a copy of the repository's specs."""
    space = make_space(root, None, config)
    shutil.copytree(ROOT / "specs", root / "specs")
    return space


def copied(space: Space, root: Path) -> Space:
    """The same workspace, its account included, in another place."""
    shutil.copytree(space.root, root)
    return Space(root, dict(space.env))


def on_terminal(
    space: Space, *args: str, answer: bytes, before: tuple[tuple[bytes, bytes | signal.Signals], ...] = (), **env: str
) -> tuple[str, int]:
    """Run on a pseudo-terminal, answering the question; all that was shown, and the exit code.

    ``before``: other questions that come first, each by some words of it, with their answers (or a signal).
    """
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [command.command(), *args],
        cwd=space.root,
        env=environment(**{"TERM": "xterm", **space.env, **env}),
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    shown, answered = b"", 0
    dialog = [*before, (b"[y/N]", answer)]
    with process, contextlib.suppress(OSError):  # EIO once the other side is closed
        while select.select([master], [], [], 60)[0]:
            part = os.read(master, 65536)
            if not part:
                break
            shown += part
            while dialog and dialog[0][0] in shown[answered:]:
                answered += shown[answered:].index(dialog[0][0]) + len(dialog[0][0])
                reply = dialog.pop(0)[1]
                if isinstance(reply, signal.Signals):
                    time.sleep(0.3)  # the answer is waited for only a moment after the question is shown
                    process.send_signal(reply)
                else:
                    os.write(master, reply)
    os.close(master)
    return shown.decode(), process.wait(timeout=60)


@dataclass
class Answering:
    """A server that gives everybody the same answer."""

    url: str
    heard: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Method, path and key of each request."""


@contextlib.contextmanager
def answering(status: int, body: str, headers: Mapping[str, str] | None = None) -> Iterator[Answering]:
    """A server of which nobody knows what it is."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            server_.heard.append((self.command, self.path, self.headers.get("Authorization")))
            data = body.replace("{key}", str(self.headers.get("Authorization"))).encode()
            self.send_response(status)
            for name, value in {
                "Content-Type": "application/json",
                "X-Request-Id": "req_77",
                **(headers or {}),
            }.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_PATCH = do_GET  # noqa: N815  http.server looks for these names

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server_ = Answering(f"http://127.0.0.1:{server.server_port}/api/v1")
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield server_
        finally:
            server.shutdown()
