"""Several machines on one state, each of them paused or killed anywhere: one holder at a time, nothing written is lost."""

import asyncio
import contextlib
import functools
import random
from unittest.mock import ANY

import pytest

from reconciler.adapters.state import lease as lease_module
from reconciler.adapters.state import remote as remote_module
from reconciler.adapters.state.lease import Lease
from reconciler.adapters.state.objects import Meta
from reconciler.adapters.state.remote import RemoteStateStore
from reconciler.model.errors import StateError
from reconciler.model.journal import Draft, End, Spend
from reconciler.model.state import State
from tests.persistence.shared_store import SharedStore, on_virtual_time
from tests.sampling import every

SECONDS = 12.0
LONG = 200.0
"""Longer than most pauses: what a lease that was ended by hand can't tell by its time, the journal has to."""
GAMES = 150


# ── the lease ───────────────────────────────────────────────────────────────────────────────────────────────────────


def leases(monkeypatch, seed):
    """Four machines take the lease in turn, hold it for a while, and give it back or die: at most one may act."""
    dice = random.Random(seed)
    store = SharedStore(dice)
    view = on_virtual_time(monkeypatch, store)
    held = {}

    def work(machine):
        lease = Lease(view, seconds=SECONDS, note=lambda _: None)
        try:
            with lease.hold(machine.name, 500.0):
                held[machine.name] = lease
                for _ in range(dice.randrange(6)):
                    store.sleep(dice.uniform(0, SECONDS / 2))
                    lease.renew()
        except StateError:
            pass
        finally:
            held.pop(machine.name, None)

    def judge():
        """Whoever may act is the one whose word is the store's newest."""
        acting = []
        for lease in held.values():
            try:
                lease.check()
            except StateError:
                continue
            if lease.held:
                acting.append(lease)
        assert len(acting) <= 1
        newest = max((name for name in store.objects if name.startswith("lease/0")), default=None)
        assert not acting or acting[0].writer.encode() in store.objects[newest][0]

    for number in range(4):
        store.add(f"machine {number}", work)
    store.play(judge, deaths=0.01)


@pytest.mark.sweep
@pytest.mark.parametrize("part", range(2))
def test_at_most_one_holder_may_act(monkeypatch, part):
    for seed in range(part * GAMES, (part + 1) * GAMES):
        leases(monkeypatch, seed)


LEASE_STEPS = {
    "its own time counts": lambda patch: patch.setattr(Lease, "check", lambda self: None),
    "time counts from before the request": lambda patch: patch.setattr(
        lease_module._Clock, "elapsed", lambda self: lease_module._steady() - self._steady - 4.0
    ),
    "a rounded time is no earlier one": lambda patch: patch.setattr(lease_module, "CLOCK_STEP", -4.0),
    "created only where absent": lambda patch: patch.setattr(SharedStore, "create", _overwrite),
    "whoever was overtaken long ago sees it": lambda patch: (
        patch.setattr(Lease, "_last", functools.partialmethod(_last, Lease._newest)),
        patch.setattr(Lease, "_newest", lambda self: Meta(ANY, None, 0)),
    ),
}


def _last(self, newest):
    meta = newest(self)
    return self._grant(meta.number, meta.at) if meta.number else None


def _overwrite(self, name, data):
    def act():
        self.objects[name] = data, self._stamp()
        return True

    return self._request(act)


@pytest.mark.parametrize("step", LEASE_STEPS)
def test_without_the_step_two_may_act(monkeypatch, step):
    LEASE_STEPS[step](monkeypatch)
    with pytest.raises(AssertionError):
        many(leases, 0, monkeypatch)


def many(game, first, monkeypatch, *more):
    for seed in range(first, first + 2 * GAMES):
        game(monkeypatch, seed, *more)


# ── the state ───────────────────────────────────────────────────────────────────────────────────────────────────────


EMPTY = State(lineage="l", workspace="w", api_url="u")


def states(monkeypatch, seed, folder):
    """Machines load, write records and save. What was acknowledged is in whatever is loaded from then on."""
    dice = random.Random(seed)
    store = SharedStore(dice)
    view = on_virtual_time(monkeypatch, store)
    acknowledged, owner = [], [None, set()]

    def opened(machine):
        state_store = RemoteStateStore("file:///nowhere", version="0", spill=folder / machine.name, lease_seconds=LONG)
        state_store._objects = state_store._lease._objects = view
        return state_store

    def loaded(state_store, name):
        state = state_store.load().state
        newest = max(name for name in store.objects if name.startswith("lease/0"))
        if state_store._lease.writer.encode() not in store.objects[newest][0]:
            return state or EMPTY  # its lease was ended by hand and it does not know: it may not write, that is all
        missing = set(acknowledged) - (state.generations.keys() if state else set())
        assert not missing, f"{name} does not know of {missing}"
        owner[:] = name, set(state.generations) if state else set()
        return state or EMPTY

    async def written(state_store, machine, draft):
        for number in range(dice.randrange(1, 5)):
            name = f"{machine.name}-{number}"
            record = End(effects=(Spend(address=name, generation=1),))
            await state_store.append(record)
            known = owner[0] == machine.name or name in owner[1]
            assert known, f"{machine.name} wrote what {owner[0]}, who had taken over, does not know of"
            acknowledged.append(name)
            draft.fold(record)
            if dice.random() < 0.5:
                state_store._lease.renew()

    def work(machine):
        state_store = opened(machine)
        try:
            with state_store.lock(machine.name, 9000.0):
                state = loaded(state_store, machine.name)
                state_store.begin(state)
                draft = Draft(state)
                try:
                    asyncio.run(written(state_store, machine, draft))
                finally:
                    if not machine.dies:
                        state_store.save(draft.state(state.serial + 1))
        except StateError:
            pass

    def person(machine):
        """Ends leases whose holders live."""
        for _ in range(12):
            store.sleep(dice.uniform(0, 60))
            with contextlib.suppress(StateError):
                Lease(view, seconds=LONG, note=lambda _: None).break_lease(lambda _: True)

    def last(machine):
        store.sleep(20_000.0)
        state_store = opened(machine)
        while True:
            with contextlib.suppress(StateError), state_store.lock(machine.name, 9000.0):
                loaded(state_store, machine.name)
                return

    for number in range(5):
        store.add(f"m{number}", work)
    store.add("person", person)
    store.add("last", last)
    store.play(deaths=0.006)
    return len(acknowledged)


@pytest.mark.parametrize("part", every(2, range(2)))
def test_what_was_acknowledged_is_never_lost(monkeypatch, tmp_path, part):
    assert sum(states(monkeypatch, seed, tmp_path) for seed in range(part * GAMES, (part + 1) * GAMES)) > GAMES


def _unfenced(self):
    return False


STATE_STEPS = {
    "the fence": lambda patch: patch.setattr(
        Lease, "seized", property(_unfenced, lambda self, value: None), raising=False
    ),
    "what comes after the folded is read": lambda patch: patch.setattr(
        remote_module, "decode_snapshot", lambda data, where: (remote_module.decode_state(data, where), None)
    ),
    "it is read until nothing changed meanwhile": lambda patch: patch.setattr(
        RemoteStateStore, "_read", lambda self: self._read_serial(self._newest())
    ),
    "a serial is created once": lambda patch: patch.setattr(SharedStore, "create", _overwrite_state),
    "fences outlive the next serials": lambda patch: patch.setattr(remote_module, "KEPT", 1),
}
FIRST = {"it is read until nothing changed meanwhile": 300, "a serial is created once": 400}
"""Seeds from which it does not take long to see what goes wrong."""
_create = SharedStore.create


def _overwrite_state(self, name, data):
    return (_overwrite if name.startswith("state") else _create)(self, name, data)


@pytest.mark.sampled(6)
@pytest.mark.parametrize("step", STATE_STEPS)
def test_without_the_step_something_is_lost(monkeypatch, tmp_path, step):
    STATE_STEPS[step](monkeypatch)
    with pytest.raises(AssertionError):
        many(states, FIRST.get(step, 0), monkeypatch, tmp_path)
