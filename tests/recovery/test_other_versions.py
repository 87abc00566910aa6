"""Kills, faults and random courses on the latest version of the API.

In the sweep, every kill point is a first one here, too, each with a second one; every call meets every fault.
What does not depend on the version is divided: repetitions here are not those of the default version, which is killed a
second time early in its recovery only.
"""

from __future__ import annotations

import pytest

from reconciler.adapters.specs.yaml.upgrading import upgraded_spec
from reconciler.model import contract
from reconciler.sandbox.store import Fault
from tests.recovery import campaign
from tests.recovery import test_faults as faults
from tests.recovery.runs import CONFIG, World
from tests.recovery.test_anything_goes import Anything, machine
from tests.recovery.test_kill_matrix import CHUNKS, SECONDS, disturbed, killed_twice
from tests.recovery.within import impatient

VERSION = contract.versions()[-1]
IN_VERSION = CONFIG.replace("api: {{", f"api: {{{{version: {VERSION}, ")
EVERY = 24
"""One call and fault in so many is tried in the default run."""


def worded(text):
    """Specs of the default version in the words of this one."""
    return upgraded_spec(text, "all.yaml", contract.named(VERSION)).text


@pytest.fixture(scope="session")
def account():
    return {"config": IN_VERSION, "api": contract.named(VERSION)}


# ── kills ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="session")
def matrix(zygote, accounts, shelf, account):
    after = worded(campaign.AFTER.replace("craft: humor", "craft: ugc"))
    assert after.count("skills") == 2
    base = campaign.prepared(zygote, accounts, shelf / "version", after=after, **account)
    yield campaign.matrix_of(base, base.copy(shelf / "version-calm"))
    base.close()


@pytest.mark.sweep
@pytest.mark.long
def test_a_run_killed_at_one_point_in_many_is_completed_by_the_next_one(matrix, folder, figures):
    wrong = []
    for number, point in enumerate(campaign.points_of(matrix[2])[::CHUNKS]):
        wrong += disturbed(matrix, folder / str(number), figures, point, plans=number % 3 == 0)
    assert not wrong, "\n\n".join(wrong[:5])


@pytest.mark.sweep
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("chunk", range(SECONDS))
def test_a_run_killed_at_any_point_and_again_is_completed_by_the_next_one(matrix, folder, figures, chunk):
    killed_twice(matrix, folder, figures, chunk)


# ── faults ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="session")
def ready(zygote, accounts, shelf, account):
    base = World.new(zygote, accounts, shelf / "version-faults", faults.BEFORE, **account)
    base.converges()
    base.specs(worded(faults.AFTER.replace("craft: humor", "craft: ugc")))
    calm = base.copy(shelf / "version-faults-calm")
    calm.converges()
    wanted = campaign.truth(calm)
    calm.close()
    yield base, wanted
    base.close()


CELLS = [
    (call, fault)
    for row, call in enumerate(faults.CALLS)
    for column, fault in enumerate(faults.FAULTS)
    if (row + column) % EVERY == 0
]


@pytest.mark.sampled(6)
@pytest.mark.parametrize(("call", "fault"), CELLS)
def test_a_fault_of_one_call_is_made_good_by_the_next_apply(ready, folder, figures, monkeypatch, call, fault):
    impatient(monkeypatch)
    method, path = faults.CALLS[call]
    faults.trial(ready, folder, figures, Fault(method=method, path=path, **faults.FAULTS[fault]))


@pytest.mark.sweep
@pytest.mark.parametrize("fault", faults.FAULTS)
@pytest.mark.parametrize("call", faults.CALLS)
def test_every_fault_of_every_call_is_made_good_by_the_next_apply(ready, folder, figures, monkeypatch, call, fault):
    impatient(monkeypatch)
    faults.several(ready, folder, figures, call, fault, skips=(0, 2))


# ── random courses ──────────────────────────────────────────────────────────────────────────────────────────────────


class Latest(Anything):
    """The same courses; an edit sets skills."""

    version = VERSION

    def direction(self, craft):
        return {"skills": [craft, "music"] if craft in contract.named(VERSION).field("skills").values else []}


@pytest.mark.sweep
def test_anything_in_any_order(figures):
    machine(4, 14, figures, Latest)


@pytest.mark.sweep
@pytest.mark.timeout(3600)
def test_anything_in_any_order_for_long(figures):
    machine(60, 20, figures, Latest)
