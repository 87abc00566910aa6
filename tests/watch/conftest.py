"""`watch` as a real process, in the workspaces and accounts of the recovery tests."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.recovery.conftest import accounts, folder, zygote  # noqa: F401  fixtures
from tests.recovery.runs import World
from tests.watch.test_deliveries import SECRET, signed

QUICK = (
    "--interval",
    "1h",
    "--poll-interval",
    "0.02",
    "--settle",
    "0.2",
    "--debounce",
    "0s",
    "--listen",
    "127.0.0.1:0",
)


CLIENT = httpx.Client(trust_env=False, verify=False)


class Watching:
    """One process. What it says on stderr is read while it runs."""

    def __init__(self, world: World, *args: str, orders=(), quick: tuple[str, ...] = QUICK) -> None:
        self._world = world
        self._started = world.start("watch", *quick, *args, orders=orders)
        self.pid, name = self._started
        self._err, self._out = Path(f"{name}.err"), Path(f"{name}.out")

    @property
    def err(self) -> str:
        return self._err.read_text(encoding="utf-8") if self._err.exists() else ""  # not yet

    @property
    def out(self) -> str:
        return self._out.read_text(encoding="utf-8")

    def until(self, condition, timeout=30.0):
        """Wait for something to be so; what it gives."""
        end = time.monotonic() + timeout
        while not (found := condition()):
            assert time.monotonic() < end, f"it does not come to that\n{self.err}"
            time.sleep(0.01)
        return found

    def says(self, text: str, times: int = 1) -> None:
        self.until(lambda: self.err.count(text) >= times)

    @property
    def url(self) -> str:
        self.says("Listening on ")
        return self.until(lambda: self.err.partition("Listening on ")[2].partition(".\n")[0])

    def get(self, path: str) -> httpx.Response:
        return CLIENT.get(self.url + path)

    def metrics(self) -> dict[tuple[str, ...], float]:
        families = text_string_to_metric_families(self.get("/metrics").text)
        return {(s.name.removeprefix("reconciler_"), *s.labels.values()): s.value for f in families for s in f.samples}

    def rounds(self, outcome: str | None = None) -> int:
        counts = {key[1]: value for key, value in self.metrics().items() if key[0] == "rounds_total"}
        return int(sum(counts.values()) if outcome is None else counts[outcome])

    def reaches(self, rounds: int, outcome: str | None = None) -> None:
        self.until(lambda: self.rounds(outcome) >= rounds)

    def ask(self) -> None:
        os.kill(self.pid, signal.SIGHUP)

    def ask_and_wait(self) -> None:
        """Ask for a round, and wait for its end."""
        before = self.rounds()
        self.ask()
        self.reaches(before + 1)

    def deliver(self, body: bytes = b"{}", **how: str) -> int:
        headers = signed(body, **{"timestamp": f"{time.time():.3f}", **how})
        return CLIENT.post(f"{self.url}/webhook", headers=headers, content=body).status_code

    def stop(self, number: int = signal.SIGTERM):
        os.kill(self.pid, number)
        return self._world.end(self._started)

    def killed(self):
        return self._world.end(self._started)


@pytest.fixture
def world(zygote, accounts, folder):  # noqa: F811
    made = []

    def make(specs: str, **more):
        made.append(World.new(zygote, accounts, folder / f"w{len(made)}", specs, **more))
        made[-1].env["EVERSINCE_WEBHOOK_SECRET"] = SECRET
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.fixture
def watching(world):
    """Starts a `watch`; none is left running."""
    started = []

    def start(world: World, *args: str, **how) -> Watching:
        started.append(Watching(world, *args, **how))
        return started[-1]

    yield start
    for process in started:
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        process.killed()
