"""An object store and several machines on virtual time: who goes on next, and after how long a pause, is thrown by dice.

Each machine is a greenlet, and one of them runs at a time: it is left wherever a request is about to reach the store, or
its answer about to come back. So what takes a pause at just the wrong moment happens hundreds of times a second.
"""

import sys
import threading
from asyncio import events
from datetime import UTC, datetime
from types import SimpleNamespace

from greenlet import getcurrent, greenlet

from reconciler.adapters.state import lease
from reconciler.adapters.state.objects import Meta

EPOCH = 1_750_000_000.0


class Died(BaseException):
    """The machine is no more."""


class Machine:
    """It runs only when it is let."""

    def __init__(self, world, name, work):
        self.world, self.name, self._work = world, name, work
        self.until = 0.0
        self.over, self.dies = False, False
        self._fiber = greenlet(self._run)

    def _run(self):
        try:
            self._work(self)
        except Died:
            pass
        except BaseException as error:  # noqa: BLE001  for those who judge
            self.world.errors.append(error)
        self.over = True

    def step(self):
        self.world.running = self
        self._fiber.parent = getcurrent()
        self._fiber.switch()

    def leave(self, seconds=0.0):
        """Called by the machine: everybody else may come first, and time may pass."""
        self.until = self.world.now + seconds
        loop = events._get_running_loop()  # each machine's is the thread's only while that machine runs
        events._set_running_loop(None)
        self._fiber.parent.switch()
        events._set_running_loop(loop)
        if self.dies:
            raise Died


class SharedStore:
    """Objects by name, as :class:`reconciler.adapters.state.objects.Objects` has them. Times are whole seconds."""

    url = "test://"

    def __init__(self, dice):
        self.dice = dice
        self.now = EPOCH
        self.objects = {}
        self.machines, self.errors = [], []
        self.running = None

    # ── machines ────────────────────────────────────────────────────────────────────────────────────────────────────

    def add(self, name, work):
        self.machines.append(Machine(self, name, work))

    def play(self, judge=lambda: None, *, deaths=0.0):
        """Until all machines are done, or dead."""
        hooks = sys.get_asyncgen_hooks()  # the machines' loops end in another order than they began
        try:
            self._play(judge, deaths)
        finally:
            sys.set_asyncgen_hooks(*hooks)

    def _play(self, judge, deaths):
        while not self.errors and (alive := [m for m in self.machines if not m.over]):
            ready = [m for m in alive if m.until <= self.now]
            if not ready:
                self.now = min(m.until for m in alive)
                continue
            machine = self.dice.choice(ready)
            pause = self.dice.random()
            if pause < 0.1:
                machine.until = self.now + self.dice.uniform(1, 100)
                continue
            machine.dies = machine.dies or self.dice.random() < deaths
            self.now += self.dice.choice((0.0, 0.01, 0.3, 1.0))
            machine.step()
            judge()
        for machine in self.machines:  # where something is wrong, the others are in the midst of their work
            machine.dies = True
            while not machine.over:
                machine.step()
        if self.errors:
            raise self.errors[0]

    def time(self):
        return self.now

    monotonic = time

    def sleep(self, seconds):
        self.running.leave(seconds)

    # ── requests ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _request(self, act):
        self.running.leave()
        answer = act()
        self.running.leave()
        return answer

    def create(self, name, data):
        def act():
            if name in self.objects:
                return self.objects[name][0] == data
            self.objects[name] = data, self._stamp()
            return True

        return self._request(act)

    async def create_async(self, name, data):
        return self.create(name, data)

    def is_strict(self, name, data):
        return True

    def read(self, name):
        return self._request(lambda: self.objects.get(name, (None,))[0])

    def read_all(self, names):
        return [self.read(name) for name in names]

    def numbered(self, folder, *, after=""):
        def act():
            names = sorted(name for name in self.objects if name.rpartition("/")[0] == folder and name > after)
            return [Meta(int(n.rpartition("/")[2][:-5]), self.objects[n][1], len(self.objects[n][0])) for n in names]

        return self._request(act)

    def folders(self, folder):
        return self._request(lambda: sorted({int(n.split("/")[1]) for n in self.objects if n.startswith(f"{folder}/")}))

    def delete(self, names):
        for name in list(names):
            self._request(lambda name=name: self.objects.pop(name, None))

    def now_(self, _):
        return self._request(self._stamp)

    def where(self, name):
        return self.url + name

    def _stamp(self):
        return datetime.fromtimestamp(int(self.now), UTC)


class Unthreaded:
    """A renewer that never runs: the machines renew when the dice say so."""

    def __init__(self, **_):
        pass

    def start(self):
        pass

    join = start


def on_virtual_time(monkeypatch, store):
    """The lease takes its time from ``store``, and renews only when it is told."""

    class View:
        """The store as one process sees it: ``now`` is a request there, and the clock here."""

        def __getattr__(self, name):
            return getattr(store, "now_" if name == "now" else name)

    monkeypatch.setattr(lease, "time", store)
    monkeypatch.setattr(lease, "_steady", store.time)
    parts = SimpleNamespace(Thread=Unthreaded, Lock=threading.Lock, Event=threading.Event)
    monkeypatch.setattr(lease, "threading", parts)
    return View()
