"""What keeps runs on one remote state apart: each step is taken out, and its scenario fails."""

import os
import signal

import pytest

from tests.recovery.accounts import OPTIONS
from tests.recovery.proxy import Proxy
from tests.recovery.remote import CONFIG, EXPIRED, SHORT, until_held
from tests.recovery.runs import QUICK, kill_at, until_stopped
from tests.recovery.without import TAKEN_AWAY_FROM_REMOTE

ONE = "projects:\n  it: {brief: A brief., settings: {title: It}}\n"
SAYS = "projects:\n  it: {brief: A brief., settings: {title: It}, messages: [hello]}\n"
SLOW = type(OPTIONS)(speed=0.001, requests_per_minute=0)
"""Agents that do not get done by themselves."""
STOP = signal.SIGSTOP


def stopped(world, *point):
    started = world.start("apply", *QUICK, orders=[kill_at(*point, STOP)])
    until_stopped(started[0])
    return started


def resumed(world, started):
    os.kill(started[0], signal.SIGCONT)
    return world.end(started)


def says_hello(world):
    world.converges()
    world.specs(SAYS)


def paused_until_another_has_taken_over(world, folder):
    """Stopped right before it sends; goes on when its lease has long run out and all is done."""
    says_hello(world)
    first = stopped(world, "call", 1)
    other = world.machine(folder / "other")
    assert other.apply("--lock-timeout", "30s").code == 0
    world.store.finish_all()
    ended = resumed(world, first)
    assert ended.code == 1 and "lease" in ended.err, str(ended)
    assert world.sent("it") == ["hello"]


def unlocked_while_it_lived(world, folder):
    """Stopped before it writes its intent; its lease is ended by hand and all is done elsewhere; then it goes on."""
    says_hello(world)
    point = next(n for f, n, name in traced(world, folder) if f == "state" and name.startswith("before put journal"))
    first = stopped(world, "state", point)
    other = world.machine(folder / "other")
    assert other.run("state", "unlock", "--auto-approve").code == 0
    assert other.apply().code == 0
    world.store.finish_all()
    resumed(world, first)
    assert world.sent("it") == ["hello"]


def traced(world, folder):
    """The points of such a run, from a copy of the workspace with the same leases before it."""
    twin = world.copy(folder / "twin")
    for name in world.place.names("lease"):
        twin.place.write(name, world.place.read(name))
    ended = twin.apply(trace=True)
    twin.close()
    assert ended.code == 0, str(ended)
    return ended.points


def two_that_take_the_lease_at_once(world, folder):
    """The first is stopped before it takes it; the second has it and is stopped before it sends; the first goes on."""
    says_hello(world)
    first = stopped(world, "state", 1)
    other = world.machine(folder / "other")
    second = stopped(other, "call", 1)
    resumed(world, first)
    world.store.finish_all()
    resumed(other, second)
    world.apply("--lock-timeout", "30s")
    assert world.sent("it") == ["hello"]


def a_store_that_overwrites(world, folder, seaweed):
    with Proxy(seaweed.url, loose=True) as proxy:
        world.env["AWS_ENDPOINT_URL"] = proxy.url
        assert "overwrites" in world.apply().err


def a_run_that_takes_longer_than_its_lease(world, folder):
    world.specs(SAYS)
    first = world.start("apply", *QUICK)
    until_held(world)
    other = world.machine(folder / "other")
    told = other.apply("--lock-timeout", f"{EXPIRED + 1}s", "--timeout", f"{EXPIRED + 3}s")  # which ends that wait, too
    world.store.finish_all()
    assert world.end(first).code == 0
    assert told.code == 1 and "locked" in told.err


def cut_off_from_the_store(world, folder, seaweed):
    """The store goes away when the outcome of a call is to be written: it is kept here, and the next run knows it."""
    says_hello(world)
    with Proxy(seaweed.url) as proxy:
        world.env["AWS_ENDPOINT_URL"] = proxy.url
        journal = iter(range(100))

        def on_request(method, path):
            if method == "PUT" and "/journal/" in path and next(journal) >= 1:
                proxy.cut_off()

        proxy.on_request = on_request
        ended = world.apply()
        assert ended.code == 1 and "can't be reached" in ended.err, str(ended)
        proxy.on_request = lambda *_: None
        proxy.mend()
        world.place.run_out()
        again = world.apply("--lock-timeout", "30s")
    assert again.code == 0, str(again)
    assert "had been done" not in again.err, str(again)
    assert not list((world.folder / ".reconciler" / "spill").iterdir())
    assert world.sent("it") == ["hello"]


SCENARIOS = {
    "look at the lease": (paused_until_another_has_taken_over, SHORT),
    "fence": (unlocked_while_it_lived, CONFIG),
    "fence after the fold": (unlocked_while_it_lived, CONFIG),
    "create only if absent": (two_that_take_the_lease_at_once, CONFIG),
    "test of the store": (a_store_that_overwrites, CONFIG),
    "renewal": (a_run_that_takes_longer_than_its_lease, SHORT),
    "spill": (cut_off_from_the_store, CONFIG),
}


def played(new_remote, scenario, config, folder, seaweed, without=None):
    world = new_remote(
        ONE, config=config, options=SLOW if scenario is a_run_that_takes_longer_than_its_lease else OPTIONS
    )
    world.without = without
    more = (seaweed,) if "seaweed" in scenario.__code__.co_varnames[: scenario.__code__.co_argcount] else ()
    scenario(world, folder / "machines", *more)


def test_every_step_has_its_scenario():
    assert SCENARIOS.keys() == TAKEN_AWAY_FROM_REMOTE.keys()


@pytest.mark.sampled(12)
@pytest.mark.parametrize(("scenario", "config"), dict.fromkeys(SCENARIOS.values()))
def test_with_all_steps_the_scenario_holds(new_remote, scenario, config, folder, seaweed):
    played(new_remote, scenario, config, folder, seaweed)


@pytest.mark.sampled(12)
@pytest.mark.parametrize("step", SCENARIOS)
def test_without_the_step_its_scenario_breaks(new_remote, step, folder, seaweed, figures):
    with pytest.raises(AssertionError):
        played(new_remote, *SCENARIOS[step], folder, seaweed, without=step)
    figures["remote: safety steps shown to be needed"] += 1
