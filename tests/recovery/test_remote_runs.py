"""Several machines on one remote state; a store that is slow, stutters or goes away; a state that is lost: nothing twice."""

import os
import re
import signal
import threading
import time

import pytest

from tests.recovery.accounts import OPTIONS
from tests.recovery.campaign import judge, truth
from tests.recovery.proxy import Proxy
from tests.recovery.remote import CONFIG, LEASE, SHORT, in_bucket, until_held
from tests.recovery.runs import QUICK, kill_at, until_stopped
from tests.sampling import every, square, swept

SPECS = """\
projects:
  a: {brief: The brief of a., settings: {title: A}, messages: [one, one, two]}
  b: {brief: The brief of b., messages: [hello]}
  c: {brief: The brief of c.}
"""
EFFECTS = ["create"] * 3 + ["message"] * 4
PATIENT = ("--lock-timeout", "60s")


@pytest.fixture
def world(new_remote):
    return new_remote(SPECS)


def effects(world):
    return sorted(world.kinds())


def whole(world):
    """One undisturbed apply does what is left, and the account holds everything once."""
    done = world.apply(*PATIENT)
    assert done.code == 0, str(done)
    assert world.plan().code == 0
    assert effects(world) == EFFECTS
    assert world.sent("a") == ["one", "one", "two"]
    return done


# ── several machines ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("count", [4, swept(8)])
def test_runs_at_once_have_one_set_of_effects(world, folder, figures, count):
    runs = [world.machine(folder / f"machine-{n}") for n in range(count)]
    started = [(run, run.start("apply", *QUICK, *PATIENT)) for run in runs]
    ends = [run.end(start, timeout=120.0) for run, start in started]
    assert [e.code for e in ends] == [0] * count, "\n".join(map(str, ends))
    whole(world)
    figures["remote: runs at once"] += count


@pytest.mark.sampled(6)
@pytest.mark.parametrize("place", ["bucket", "folder"])
def test_who_does_not_wait_is_told_who_holds_the_lock(new_remote, folder, place):
    world = new_remote(SPECS, place=place)
    world.env["CI_JOB_URL"] = "https://ci.example/jobs/7"
    started = world.start("apply", *QUICK, orders=[kill_at("call", 1, signal.SIGSTOP)])
    until_stopped(started[0])
    other = world.machine(folder / "other")
    told = other.apply()
    assert told.code == 1 and "locked" in told.err
    asked = other.run("state", "unlock")
    assert asked.code == 1 and "--auto-approve" in asked.err
    for ended in (told, asked):
        assert re.search(rf"pid {started[0]}\b", ended.err), ended.err
        for word in (os.uname().nodename, "`reconciler apply`", "job https://ci.example/jobs/7", "expires in"):
            assert word in ended.err, ended.err
    os.kill(started[0], signal.SIGKILL)
    assert world.end(started).killed
    assert other.run("state", "unlock", "--auto-approve").out == "Unlocked.\n"
    assert other.run("state", "unlock", "--auto-approve").out == "It was not locked.\n"
    done = other.apply()
    assert done.code == 0, str(done)
    assert effects(world) == EFFECTS


@pytest.mark.sampled(6)
@pytest.mark.parametrize("point", every(2, [("call", 1), ("call", 5), ("state", 6), ("state", 13)]))
def test_a_holder_that_was_paused_for_longer_than_its_lease_sends_nothing_any_more(new_remote, folder, point):
    world = new_remote(SPECS, config=SHORT)
    started = world.start("apply", *QUICK, orders=[kill_at(*point, signal.SIGSTOP)])
    until_stopped(started[0])
    paused = time.monotonic()
    world.place.run_out()
    other = world.machine(folder / "other")
    whole(other)
    world.store.clear_requests()
    time.sleep(max(0.0, paused + LEASE - time.monotonic()))
    os.kill(started[0], signal.SIGCONT)
    ended = world.end(started)
    assert ended.code == 1 and "lease" in ended.err, str(ended)
    # of a request whose head was on its way already the body does not follow, and the server can't act
    assert not [request for request in world.store.requests() if request.method != "GET" and request.body is not None]
    whole(world)


@pytest.mark.sweep
def test_a_holder_that_was_paused_and_not_replaced_stops_and_the_next_run_goes_on(new_remote):
    world = new_remote(SPECS, config=SHORT)
    started = world.start("apply", *QUICK, orders=[kill_at("call", 1, signal.SIGSTOP)])
    until_stopped(started[0])
    time.sleep(LEASE * 0.8)  # it keeps the last quarter free
    os.kill(started[0], signal.SIGCONT)
    ended = world.end(started)
    assert ended.code == 1 and "run out" in ended.err, str(ended)
    whole(world)


@pytest.mark.sweep
def test_a_holder_whose_lease_is_ended_by_hand_stops_by_itself(new_remote, folder):
    """It waits for an agent; it learns of it with its next renewal, which comes each third of a lease."""
    config = CONFIG.replace("lease_seconds: 20", "lease_seconds: 6")  # does not run out before, on a busy machine too
    world = new_remote(SPECS, config=config, options=type(OPTIONS)(speed=0.001, requests_per_minute=0))
    started = world.start("apply", *QUICK)
    until_held(world)
    while not world.kinds():
        time.sleep(0.02)
    other = world.machine(folder / "other")
    assert other.run("state", "unlock", "--auto-approve").code == 0
    ended = world.end(started)
    assert ended.code == 1 and "another run has taken over" in ended.err, str(ended)


@pytest.mark.sampled(6)
@pytest.mark.parametrize(("kind", "number"), square(2, ["file", "folder"], [signal.SIGINT, signal.SIGTERM]))
def test_waiting_for_the_lock_can_be_interrupted(new_world, new_remote, kind, number):
    world = new_world(SPECS) if kind == "file" else new_remote(SPECS, place="folder")
    holder = world.start("apply", *QUICK, orders=[kill_at("call", 1, signal.SIGSTOP)])
    until_stopped(holder[0])
    waiting = world.start("apply", *QUICK, "--lock-timeout", "50s")
    time.sleep(0.7)
    os.kill(waiting[0], number)
    assert world.end(waiting, timeout=20.0).code == 130
    os.kill(holder[0], signal.SIGKILL)
    world.end(holder)


# ── the store ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def proxied(new_remote, seaweed):
    with Proxy(seaweed.url) as proxy:
        world = new_remote(SPECS, new_place=lambda: in_bucket(seaweed, proxy.url))
        yield world, proxy


@pytest.mark.sweep
def test_a_slow_store_only_takes_longer(proxied):
    world, proxy = proxied
    proxy.delay = 0.05
    whole(world)


@pytest.mark.sampled(6)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_store_that_stutters_is_asked_again(proxied, when):
    """Each third connection is cut off, before the store has acted or after it: an answer that was lost is no refusal."""
    world, proxy = proxied
    numbers = iter(range(10_000))
    proxy.on_request = lambda *_: proxy.cut_off(when, times=1) if next(numbers) % 3 == 2 else None
    whole(world)


@pytest.mark.sampled(6)
@pytest.mark.parametrize("nth", [2, 5, swept(1), swept(3), swept(8)])
def test_a_store_that_goes_away_midway_stops_the_run_and_nothing_is_lost(proxied, folder, figures, nth):
    """From the nth write of the journal on; the work is taken up here, or on another machine."""
    world, proxy = proxied
    numbers = iter(range(10_000))

    def on_request(method, path):
        if method == "PUT" and "/journal/" in path and next(numbers) >= nth:
            proxy.cut_off()

    proxy.on_request = on_request
    ended = world.apply()
    assert ended.code == 1 and "can't be reached" in ended.err, str(ended)
    proxy.on_request = lambda *_: None
    proxy.mend()
    world.place.run_out()
    whole(world if nth % 2 else world.machine(folder / "other"))
    figures["remote: times the store went away"] += 1


@pytest.mark.sweep
@pytest.mark.parametrize("nth", [1, 2, 3, 5])
def test_a_store_that_accepts_and_never_answers_stops_the_run_and_what_it_writes_late_changes_nothing(
    proxied, folder, nth
):
    """The nth write of the journal and all after it reach the store only when another machine has done the rest."""
    world, proxy = proxied
    numbers = iter(range(10_000))
    late = threading.Event()
    proxy.on_request = lambda method, path: (
        late.wait(120) if method == "PUT" and "/journal/" in path and next(numbers) >= nth else None
    )
    ended = world.apply(timeout=120.0)
    assert ended.code == 1 and "can't be reached" in ended.err, str(ended)
    proxy.on_request = lambda *_: None
    world.place.run_out()
    other = world.machine(folder / "other")
    whole(other)
    passed = proxy.passed
    late.set()
    while proxy.passed == passed:
        time.sleep(0.01)
    whole(world)
    whole(other)


@pytest.mark.sweep
def test_outcomes_that_were_kept_here_are_not_taken_for_news_once_another_machine_has_cleared_up(proxied, folder):
    world, proxy = proxied
    numbers = iter(range(10_000))

    def on_request(method, path):
        if method == "PUT" and "/journal/" in path and next(numbers) >= 1:
            proxy.cut_off()

    proxy.on_request = on_request
    assert world.apply().code == 1
    spill = world.folder / ".reconciler" / "spill"
    assert [path.stat().st_mode & 0o777 for path in spill.iterdir()] == [0o600]
    proxy.on_request = lambda *_: None
    proxy.mend()
    world.place.run_out()
    whole(world.machine(folder / "other"))
    before = world.entries()
    whole(world)
    assert not list(spill.iterdir())
    assert {a: e["project_id"] for a, e in world.entries().items()} == {a: e["project_id"] for a, e in before.items()}


# ── a lost state ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.sampled(6)
@pytest.mark.parametrize("what", ["", "state"])
def test_a_deleted_state_costs_nothing_but_reading(remote_base, folder, what):
    """All of it; or its snapshots alone, with leases and journals left behind."""
    base = remote_base.copy(folder / "base")
    specs = (base.folder / "specs" / "all.yaml").read_text()
    base.specs(specs[: specs.index("moved:")].replace("  to-name:", "  from-name:"))
    base.converges()
    before = truth(base)
    base.place.clear(what)
    base.converges_with_answers()
    after = truth(base)
    assert (after.creates, after.messages, after.once) == (before.creates, before.messages, before.once)
    base.close()


@pytest.mark.sweep
def test_an_old_copy_of_the_store_put_back_repeats_nothing(new_remote):
    world = new_remote("projects:\n  b: {brief: The brief of b.}\n")
    world.converges()
    old = {name: world.place.read(name) for name in world.place.names()}
    world.specs(SPECS)
    whole(world)
    world.place.clear()
    for name, data in old.items():
        world.place.write(name, data)
    whole(world)


@pytest.mark.sweep
def test_what_a_deleted_state_left_behind_never_stops_a_new_one(new_remote):
    """A run is killed and leaves its journal behind at serial 2; the state is deleted; the new one gets there, too."""
    world = new_remote(SPECS, place="folder")
    world.converges()
    while world.document()["serial"] < 2:
        world.apply()
    world.specs(SPECS + "  d: {brief: The brief of d., messages: [first]}\n")
    assert world.apply(orders=[kill_at("call", 5)]).killed
    assert world.place.names(f"journal/{world.document()['serial']:010d}")
    world.place.run_out()
    world.place.clear("state")
    for _ in range(4):
        done = world.apply(*PATIENT, "--refresh-only")
        assert done.code == 0, str(done)
    world.converges()
    assert effects(world) == sorted([*EFFECTS, "create", "message"])


def test_the_interrupted_run_gives_its_lease_back_and_its_campaign_goes_on(remote_base, folder):
    calm = remote_base.copy(folder / "calm")
    calm.converges()
    for number, n in ((signal.SIGINT, 10), (signal.SIGTERM, 31)):
        world = remote_base.copy(folder / f"world-{n}")
        ended = world.apply(orders=[kill_at("call", n, number)])
        assert ended.code == 130, str(ended)
        assert world.lease()["standing"] == "released"
        assert world.pending() == {}
        world.converges()
        assert judge(truth(world), truth(calm)) == ([], 0, 0)
        world.close()
    calm.close()
