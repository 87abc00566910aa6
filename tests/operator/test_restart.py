"""The operator is killed in the middle of an apply, with SIGKILL; nothing is done twice."""

from __future__ import annotations

import contextlib
import os
import signal

import pytest

SPECS = "projects:\n" + "".join(
    f"  {name}: {{brief: The brief of {name}., settings: {{title: {name}}}}}\n" for name in "abcdefghijkl"
)
EFFECTS = ["create"] * 12


SLOWLY = {"RECONCILER_APPLY_PARALLELISM": "1"}


def end(processes):
    """Kill them, but those that were quicker."""
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def everything(one):
    return sorted(one.world.kinds()) == EFFECTS


@pytest.mark.sweep
@pytest.mark.parametrize(("creates", "with_its_child"), [(3, True), (5, False)])
def test_a_new_operator_finishes_what_the_killed_one_began_and_nothing_happens_twice(
    cluster, team, operator, creates, with_its_child
):
    """Intent: in a pod the child dies too; elsewhere it lives on, and holds the lease that the next one waits for."""
    one = team(SPECS)
    one.resource(mode="apply", interval="10s")
    running = operator(**SLOWLY)
    cluster.until(lambda: len(one.world.created()) >= creates, running)
    children = running.children()
    running.kill()
    if with_its_child:
        end(children)
    successor = operator()
    cluster.until(lambda: everything(one), successor)
    cluster.until(lambda: cluster.condition("one")[0] == "True", successor)
    assert sorted(one.world.kinds()) == EFFECTS and len(set(one.world.created())) == 12


@pytest.mark.sweep
def test_an_approval_is_not_used_twice_after_a_kill(cluster, team, operator):
    one = team(SPECS)
    one.resource(mode="approve")
    running = operator(**SLOWLY)
    digest = cluster.reaches("one", "AwaitingApproval", running)["plan"]["digest"]
    running.kill()
    running = operator(**SLOWLY)
    assert cluster.reaches("one", "AwaitingApproval", running)["plan"]["digest"] == digest, "it waits on"
    one.resource(mode="approve", approved=digest, interval="10s")
    cluster.until(lambda: len(one.world.created()) >= 1, running)
    children = running.children()
    running.kill()
    end(children)
    successor = operator()

    def approved_again():
        plan = cluster.status("one").get("plan") or {}
        if plan.get("digest", digest) != digest:
            one.resource(mode="approve", approved=plan["digest"])
        return everything(one)

    cluster.until(approved_again, successor)
    assert len(set(one.world.created())) == 12


@pytest.mark.sweep
def test_stopping_in_the_middle_of_an_apply_lets_it_record_its_calls(cluster, team, operator):
    one = team(SPECS)
    one.resource(mode="apply", interval="10s")
    running = operator(**SLOWLY)
    cluster.until(lambda: len(one.world.created()) >= 1, running)
    assert running.stop() == 0 and not running.children()
    successor = operator()
    cluster.until(lambda: everything(one), successor)


@pytest.mark.sweep
def test_a_resource_that_is_deleted_in_the_middle_of_an_apply_frees_its_state_and_cancels_nothing(
    cluster, team, operator
):
    one = team(SPECS)
    one.resource(mode="apply")
    running = operator(**SLOWLY)
    cluster.until(lambda: len(one.world.created()) >= 1, running)
    cluster.delete("one")
    cluster.until(lambda: cluster.get("one") is None, running)
    assert not running.children() and list(running.work.iterdir()) == []
    before = one.world.kinds()
    assert set(before) == {"create"}
    one.resource(mode="apply", interval="10s")
    cluster.until(lambda: everything(one), running)
