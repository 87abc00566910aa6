"""Runs of the real program in a workspace of their own, each a process that can really be killed."""

import contextlib
import json
import os
import re
import shutil
import signal
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests import canaries, command

QUICK = ("--auto-approve", "--poll-interval", "0.02", "--settle", "0.2")
CONFIG = """\
workspace: recovery
api: {{url: "{url}"}}
limits: {{requests_per_minute: 1000000}}
policy: {{max_share: null, ALLOWED}}
""".replace("ALLOWED", canaries.ALLOWED)


class BrokenError(Exception):
    """The program failed in a way that it did not expect; no assertion, so that nothing mistakes it for one."""


@dataclass
class Ended:
    """How a run ended: ``code`` is negative for the signal that killed it."""

    code: int
    out: str
    err: str
    points: list

    @property
    def killed(self):
        return self.code == -signal.SIGKILL

    def __str__(self):
        return f"exit {self.code}\n{self.out}\n{self.err}"


class World:
    """A workspace folder, an account, and runs of the program on them."""

    def __init__(self, zygote, accounts, folder, *, source=None, **account):
        self.zygote = zygote
        self.accounts = accounts
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.key, self.store = accounts.open(source, **account)
        self.state = self.folder / "reconciler.state.json"
        self.journal = self.folder / "reconciler.state.json.journal"
        self.env = {}
        self.without = None
        self._runs = 0

    @classmethod
    def new(cls, zygote, accounts, folder, specs, *, config=CONFIG, **account):
        world = cls(zygote, accounts, folder, **account)
        (world.folder / "reconciler.yaml").write_text(config.format(url=accounts.url))
        world.specs(specs)
        return world

    def copy(self, folder):
        """The same workspace and the same account once more, with fates of their own."""
        world = self._twin(folder)
        shutil.copytree(self.folder, world.folder, ignore=shutil.ignore_patterns(".run-*"), dirs_exist_ok=True)
        return world

    def _twin(self, folder):
        return World(self.zygote, self.accounts, folder, source=self.store)

    def close(self):
        self.accounts.close(self.key)
        canaries.look_through(self.folder, self.key)
        shutil.rmtree(self.folder, ignore_errors=True)

    def specs(self, text):
        (self.folder / "specs").mkdir(exist_ok=True)
        (self.folder / "specs" / "all.yaml").write_text(text)

    def start(self, *argv, orders=(), full=0, trace=False, cwd=None):
        self._runs += 1
        name = str(self.folder / f".run-{self._runs}")
        pid = self.zygote.start(
            argv=list(argv),
            cwd=str(cwd or self.folder),
            env=command.environment(**{"EVERSINCE_API_KEY": self.key, "NO_COLOR": "1", **self.env}),
            out=f"{name}.out",
            err=f"{name}.err",
            orders=list(orders),
            full=full,
            without=self.without,
            trace=f"{name}.trace" if trace else None,
        )
        return pid, name

    def end(self, started, timeout=60.0):
        pid, name = started
        code = self.zygote.end(pid, timeout)
        text = [Path(f"{name}.{end}").read_text(errors="replace") for end in ("out", "err")]
        assert code is not None, f"the run hangs\n{text[0]}\n{text[1]}"
        if "Traceback" in text[1] or "This is a bug" in text[1]:
            raise BrokenError(text[1])
        trace = Path(f"{name}.trace")
        return Ended(code, *text, json.loads(trace.read_text()) if trace.exists() else [])

    def run(self, *argv, timeout=60.0, **how):
        return self.end(self.start(*argv, **how), timeout)

    def apply(self, *more, **how):
        return self.run("apply", *QUICK, *more, **how)

    def plan(self, *more):
        return self.run("plan", "--detailed-exitcode", *more)

    def converges(self):
        """One undisturbed apply does all, and then nothing is left."""
        done = self.apply()
        assert done.code == 0, str(done)
        left = self.plan()
        assert left.code == 0, str(left)
        return done

    def converges_with_answers(self, at_most=3):
        """As after a lost state: what the account can't tell of a render or a link is answered as its advice says."""
        for _ in range(at_most):
            done = self.apply()
            asked = {*re.findall(r"`reconciler state resolve (\S+) --sent`", done.out)}
            if not asked:
                break
            assert done.code == 1 and "needs a decision" in done.out, str(done)
            for address in sorted(asked):
                answered = self.run("state", "resolve", address, "--sent")
                assert answered.code == 0, str(answered)
        return self.converges()

    def document(self):
        return json.loads(self.state.read_text())

    def entries(self):
        return self.document()["projects"]

    def pending(self):
        return self.document()["pending"]

    def backdate(self, *, days):
        """Makes what the journal holds that much older."""
        earlier = (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S")
        text, count = re.subn(r'"at":"[^".]*', f'"at":"{earlier}', self.journal.read_text())
        assert count
        self.journal.write_text(text)

    def kinds(self):
        return [effect.kind for effect in self.store.ledger()]

    def sent(self, address=None, project_id=None):
        """The messages that clients sent to a project, in order."""
        wanted = project_id or self.entries()[address]["project_id"]
        return [e.detail["message"] for e in self.store.ledger() if e.kind == "message" and e.project_id == wanted]

    def created(self):
        return [e.project_id for e in self.store.ledger() if e.kind == "create"]


def killed(world, at):
    """A run that is killed at a point of its changing calls."""
    ended = world.apply(orders=[kill_at("call", at)])
    assert ended.killed, str(ended)


def arrived(world, creates):
    """Whether so many creates were made soon; a connection that breaks may take a request with it unread."""
    end = time.monotonic() + 1.0
    while len(world.created()) < creates and time.monotonic() < end:
        time.sleep(0.01)
    return len(world.created()) >= creates


def kill_at(family, n, number=signal.SIGKILL):
    """The order to send this process a signal at a point."""
    return {"family": family, "n": n, "signal": int(number)}


def until_stopped(pid):
    """Waits for a process that is about to be stopped by SIGSTOP."""
    while (status := Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]) != "T":
        assert status != "Z", "it ended before it was stopped"
        time.sleep(0.005)


@contextlib.contextmanager
def scratch():
    folder = tempfile.mkdtemp(prefix="recovery-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
