"""Several runs at once, runs that are stopped, and runs that are out of time: one set of effects, nothing lost."""

import os
import re
import signal

import pytest

from tests.recovery.accounts import OPTIONS
from tests.recovery.campaign import judge, prepared, truth
from tests.recovery.runs import QUICK, kill_at, until_stopped
from tests.sampling import every, square, swept

SPECS = """\
projects:
  a: {brief: The brief of a., settings: {title: A}, messages: [one, one, two]}
  b: {brief: The brief of b., messages: [hello]}
  c: {brief: The brief of c.}
"""
EFFECTS = ["create"] * 3 + ["message"] * 4


def effects(world):
    return sorted(world.kinds())


@pytest.fixture
def world(new_world):
    return new_world(SPECS)


@pytest.mark.parametrize("count", [4, swept(8)])
def test_runs_at_once_have_one_set_of_effects(world, count):
    runs = [world.start("apply", *QUICK, "--lock-timeout", "60s") for _ in range(count)]
    ends = [world.end(run) for run in runs]
    assert [e.code for e in ends] == [0] * count, "\n".join(map(str, ends))
    assert effects(world) == EFFECTS
    assert world.sent("a") == ["one", "one", "two"]
    assert world.plan().code == 0


@pytest.mark.parametrize("count", [4, swept(8)])
def test_runs_that_do_not_wait_for_the_lock_are_told_who_holds_it(world, count):
    runs = [world.start("apply", *QUICK) for _ in range(count)]
    ends = [world.end(run) for run in runs]
    assert 0 in [e.code for e in ends]
    for ended in ends:
        assert ended.code in (0, 1)
        assert ended.code == 0 or "locked" in ended.err
    assert effects(world) == EFFECTS


@pytest.mark.sampled(6)
@pytest.mark.parametrize("point", every(2, [("call", 1), ("call", 2), ("state", 4), ("state", 20)]))
def test_a_stopped_holder_keeps_the_lock_and_a_killed_one_loses_it_at_once(world, point):
    started = world.start("apply", *QUICK, orders=[kill_at(*point, signal.SIGSTOP)])
    pid = started[0]
    until_stopped(pid)
    other = world.apply()
    assert other.code == 1
    assert re.search(rf"pid {pid}\b", other.err), other.err
    assert os.uname().nodename in other.err
    assert "reconciler apply" in other.err
    assert world.run("state", "unlock").code == 1
    os.kill(pid, signal.SIGKILL)
    assert world.end(started).killed
    world.converges()
    assert effects(world) == EFFECTS


def test_a_stopped_holder_that_goes_on_finishes_its_work(world):
    started = world.start("apply", *QUICK, orders=[kill_at("call", 2, signal.SIGSTOP)])
    until_stopped(started[0])
    waiting = world.start("apply", *QUICK, "--lock-timeout", "30s")
    os.kill(started[0], signal.SIGCONT)
    assert world.end(started).code == 0
    assert world.end(waiting).code == 0
    assert effects(world) == EFFECTS


# ── interrupts ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def campaign(zygote, accounts, shelf):
    base = prepared(zygote, accounts, shelf / "interrupts")
    calm = base.copy(shelf / "interrupts-calm")
    calm.converges()
    wanted = truth(calm)
    calm.close()
    yield base, wanted
    base.close()


POINTS = [("read", 1), *(("call", n) for n in range(1, 60, 9)), ("state", 3), ("state", 50)]


@pytest.mark.sampled(6)
@pytest.mark.parametrize(("number", "point"), square(4, [signal.SIGINT, signal.SIGTERM], POINTS))
def test_the_first_interrupt_finishes_what_is_under_way(campaign, folder, number, point):
    base, wanted = campaign
    world = base.copy(folder / "world")
    ended = world.apply(orders=[kill_at(*point, number)])
    assert ended.code == 130, str(ended)
    assert not world.journal.exists()
    assert world.pending() == {}
    world.converges()
    assert judge(truth(world), wanted) == ([], 0, 0)
    world.close()


@pytest.mark.sampled(6)
@pytest.mark.parametrize("n", every(3, range(2, 40, 6)))
def test_the_second_interrupt_stops_at_once_and_recovery_copes(campaign, folder, n):
    base, wanted = campaign
    world = base.copy(folder / "world")
    ended = world.apply(orders=[kill_at("call", n, signal.SIGINT), kill_at("state", 2 * n + 6, signal.SIGINT)])
    assert ended.code == 130, str(ended)
    world.converges()
    assert judge(truth(world), wanted) == ([], 0, 0)
    world.close()


@pytest.mark.sweep
def test_an_interrupted_plan_file_is_taken_up_again(campaign, folder):
    base, wanted = campaign
    world = base.copy(folder / "world")
    assert world.run("plan", "--out", "it.plan").code == 0
    for n in (3, 20, 9):
        world.run("apply", "it.plan", *QUICK[1:], orders=[kill_at("call", n, signal.SIGINT)])
    done = world.run("apply", "it.plan", *QUICK[1:])
    assert done.code == 0, str(done)
    assert judge(truth(world), wanted) == ([], 0, 0)
    world.close()


# ── time ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def slow(new_world):
    """Agents that do not get done by themselves."""
    options = type(OPTIONS)(speed=0.001, requests_per_minute=0)
    return new_world(SPECS, options=options)


@pytest.mark.sweep
def test_out_of_time_defers_the_rest_and_the_same_command_goes_on(slow):
    first = slow.apply("--timeout", "1s")
    assert first.code == 0, str(first)
    assert effects(slow) == ["create"] * 3
    assert slow.pending() == {}
    assert slow.apply("--timeout", "1s", "--detailed-exitcode").code == 2
    slow.store.finish_all()
    assert slow.apply("--timeout", "1s", "--detailed-exitcode").code == 2
    slow.store.finish_all()
    assert slow.apply("--wait", "none", "--detailed-exitcode").code == 2
    slow.store.finish_all()
    assert slow.apply("--wait", "none", "--detailed-exitcode").code == 0
    assert effects(slow) == EFFECTS
    assert slow.sent("a") == ["one", "one", "two"]


@pytest.mark.sweep
def test_out_of_time_with_a_plan_file_the_same_file_goes_on(slow):
    assert slow.run("plan", "--out", "it.plan").code == 0
    codes = []
    while not codes or codes[-1] == 2:  # three times, more where the machine is busy
        seconds = 0.2 * (1 + len(codes) // 4)
        ended = slow.run(
            "apply", "it.plan", "--timeout", f"{seconds}s", "--poll-interval", "0.02", "--detailed-exitcode"
        )
        codes.append(ended.code)
        assert len(codes) < 30, str(ended)
        slow.store.finish_all()
    assert len(codes) >= 4 and codes[-1] == 0, str(ended)
    assert effects(slow) == EFFECTS
