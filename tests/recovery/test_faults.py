"""Every call of the API with everything that can go wrong with it; then one calm apply, and the ledger is as if nothing
had been wrong.
"""

import pytest

from reconciler.model.errors import ReconcilerError
from reconciler.sandbox.store import Fault
from tests.recovery.campaign import judge, truth
from tests.recovery.runs import World
from tests.recovery.within import Within, impatient
from tests.sampling import square

CALLS = {
    "create": ("POST", "^/projects$"),
    "adopt": ("POST", "^/projects/adopt$"),
    "list": ("GET", "^/projects$"),
    "status": ("GET", "^/projects/[^/]+$"),
    "settings": ("PATCH", "/settings$"),
    "cancel": ("POST", "/cancel$"),
    "message": ("POST", "/messages$"),
    "conversation": ("GET", "/messages$"),
    "render": ("POST", "/render$"),
    "share": ("POST", "/share$"),
    "links": ("GET", "^/account/shares$"),
}
_PLAIN = {"code": "internal_error"}
FAULTS = {
    **{f"{kind} {when}": {"kind": kind, "when": when} for kind in ("reset", "empty") for when in ("before", "after")},
    **{f"truncated {when}": {"kind": "truncated", "when": when} for when in ("before", "after")},
    **{f"timeout {when}": {"kind": "timeout", "when": when, "seconds": 1.0} for when in ("before", "after")},
    **{
        f"{status} {when}": {"kind": "status", "status": status, "when": when, **_PLAIN}
        for status in (500, 502, 503)
        for when in ("before", "after")
    },
    **{f"html {when}": {"kind": "html", "status": 502, "when": when} for when in ("before", "after")},
    "html as if well": {"kind": "html", "status": 200, "when": "after"},
    "429": {"kind": "status", "status": 429},
    "429 with Retry-After": {"kind": "status", "status": 429, "retry_after": "1"},
    "503 rate limited": {"kind": "status", "status": 503},
    "429 project limit": {"kind": "status", "status": 429, "code": "project_limit"},
    "409": {"kind": "status", "status": 409},
    "401": {"kind": "status", "status": 401},
    "402": {"kind": "status", "status": 402},
    "404": {"kind": "status", "status": 404},
    "shift": {"kind": "shift"},
}
BEFORE = """\
projects:
  kept: {brief: A kept one., settings: {title: Kept}, messages: [one]}
  renewed: {brief: The old brief., settings: {title: Renewed}}
"""
AFTER = """\
projects:
  kept: {brief: A kept one., settings: {title: Kept on, craft: humor}, messages: [one, two]}
  renewed: {brief: The new brief., settings: {title: Renewed}, messages: [new words]}
  fresh: {brief: A fresh one., settings: {title: Fresh}, messages: [go on, go on], deliver: {render: 4k, share: {}}}
  adopted: {adopt: 51d10000-0000-4000-8000-000000000001, settings: {title: Adopted}, messages: [hi]}
"""


@pytest.fixture(scope="session")
def ready(zygote, accounts, shelf):
    """A workspace applied once, with new specs in place, and the truth after an undisturbed apply of those."""
    base = World.new(zygote, accounts, shelf / "faults", BEFORE)
    base.converges()
    base.specs(AFTER)
    calm = base.copy(shelf / "faults-calm")
    calm.converges()
    wanted = truth(calm)
    calm.close()
    yield base, wanted
    base.close()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    impatient(monkeypatch)


def trial(ready, folder, figures, *faults):
    """A disturbed apply, then a calm one. The disturbed one, for what else is to be said of it."""
    base, wanted = ready
    world = base.copy(folder / "trial")
    try:
        for fault in faults:
            world.store.add_fault(fault)
        disturbed = Within(world).apply(timeout=5.0)  # slots that are never free are waited for without end
        world.store.clear_faults()
        calm = Within(world, patience=5.0)
        done = calm.apply()
        assert done.error is None, f"{disturbed}\n———\n{done}"
        assert set(done.outcomes.values()) <= {"done"}, f"{disturbed}\n———\n{done}"
        found = truth(world)
        for name in [label for label in found.settings if label is None]:  # what the fault «shift» put there
            del found.settings[name]
        wrong, twice, lost = judge(found, wanted)
        figures["faults"] += 1
        figures["effects twice"] += twice
        figures["effects lost"] += lost
        assert not wrong, f"{wrong}\n{disturbed}\n———\n{done}"
        assert not calm.plan().steps
        return disturbed
    finally:
        world.close()


@pytest.mark.sampled(6)
@pytest.mark.parametrize(("call", "fault"), square(9, CALLS, FAULTS))
def test_a_fault_of_one_call_is_mended_by_the_next_apply(ready, folder, figures, call, fault):
    method, path = CALLS[call]
    trial(ready, folder, figures, Fault(method=method, path=path, **FAULTS[fault]))


def several(ready, folder, figures, call, fault, *, skips):
    """A fault that comes once, three times or for ever, after so many calls that go well.

    What a fault does to an answer does not depend on which of several equal calls it meets, and lives (tests/simulation)
    have most of them at any call, so that each cell has two of the twelve, one in each of two versions of the API; every
    call, and every fault, has all of them.
    """
    method, path = CALLS[call]
    number = [*CALLS].index(call) + [*FAULTS].index(fault)
    skip = skips[number % 2]
    times = (1, 3, 0)[(number + skip) % 3]
    print(f"{times=} {skip=}")
    trial(ready, folder, figures, Fault(method=method, path=path, skip=skip, times=times, **FAULTS[fault]))


@pytest.mark.sweep
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", CALLS)
def test_a_fault_of_several_calls_is_mended_by_the_next_apply(ready, folder, figures, call, fault):
    """From the second or from the fourth call on; on the latest version of the API from the first or the third on."""
    several(ready, folder, figures, call, fault, skips=(1, 3))


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("status", "skip"), square(8, [401, 402, 500], range(0, 24, 3)))
def test_an_account_that_says_no_from_some_call_on(ready, folder, figures, status, skip):
    trial(ready, folder, figures, Fault(kind="status", status=status, skip=skip, times=0))


def test_too_few_credits_stop_what_costs_and_nothing_else(ready, folder):
    base, _ = ready
    world = base.copy(folder / "trial")
    world.store.set_credits(5)
    poor = Within(world).apply()
    assert poor.outcomes["kept", "update"] == "done"
    assert poor.outcomes["adopted", "adopt"] == "done"
    assert poor.outcomes["fresh", "create"] == "failed"
    world.store.set_credits(10_000)
    world.converges()
    world.close()


# ── lists that can't be trusted ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def crowded(ready, folder):
    """The workspace in an account of three pages."""
    base, wanted = ready
    world = base.copy(folder / "crowded")
    for number in range(230):
        world.store.person_creates(brief=f"Foreign {number}.", title=f"Foreign {number}")
    yield world, wanted
    world.close()


UNTRUE = (
    Fault(kind="shift", method="GET", path="^/projects$"),
    Fault(kind="shift", method="GET", path="^/projects$", skip=1, times=2),
    Fault(kind="shift", method="GET", path="^/projects$", times=0),
    Fault(kind="status", method="GET", path="^/projects$", skip=1, times=0),
    Fault(kind="status", method="GET", path="^/projects$", skip=2, times=0),
    Fault(kind="truncated", method="GET", path="^/projects$", when="after", skip=1, times=0),
    Fault(kind="html", method="GET", path="^/projects$", status=200, when="after", skip=1, times=0),
    Fault(kind="reset", method="GET", path="^/projects$", skip=1, times=0),
)


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("fault", "lost"), square(2, UNTRUE, [False, True]))
def test_a_list_that_shifts_or_breaks_off_is_no_reason_to_make_anything(crowded, fault, lost):
    world, wanted = crowded
    if lost:
        world.state.unlink()
    world.store.add_fault(fault)
    Within(world, patience=5.0).apply()
    world.store.clear_faults()
    if lost:  # beside a failed project no key settles what is whose: the plan says how to go on
        done = world.run("state", "recover", "--auto-approve")
        assert done.code == 0, str(done)
    done = Within(world, patience=5.0).apply()
    assert done.error is None, str(done)
    if lost:  # a project of the old brief is not bound, so what was to replace it is left to the user
        _, twice, _ = judge(truth(world), wanted)
        assert not twice
        return
    assert not Within(world, patience=5.0).plan().steps
    found = truth(world)
    assert found.creates == wanted.creates
    assert found.once == wanted.once
    assert {k: v for k, v in found.messages.items() if k} == wanted.messages


def test_a_status_never_seen_before_is_left_alone(ready, folder):
    base, wanted = ready
    world = base.copy(folder / "trial")
    kept = world.entries()["kept"]["project_id"]
    world.store.set_status(kept, "dreaming")
    strange = Within(world).apply(wait="none")
    assert strange.error is None, str(strange)
    assert world.sent("kept") == ["one"]
    world.store.set_status(kept, "idle")
    world.converges()
    assert judge(truth(world), wanted)[0] == []
    world.close()


def test_a_managed_project_that_is_not_there_is_not_made_anew(ready, folder):
    base, _ = ready
    world = base.copy(folder / "trial")
    kept = world.entries()["kept"]["project_id"]
    with world.store.account() as account:
        account.run("DELETE FROM projects WHERE id = ?", kept)
    done = Within(world).apply()
    assert done.error is None, str(done)
    assert [e.idempotency_key for e in world.store.ledger() if e.kind == "create"].count("recovery/kept/1") == 1
    assert world.entries()["kept"]["project_id"] == kept
    assert any("kept" in (d.address or "") and d.attention for d in done.result.plan.diagnostics)
    world.close()


def test_an_unreadable_account_makes_nothing(ready, folder):
    base, _ = ready
    world = base.copy(folder / "trial")
    before = len(world.kinds())
    world.store.add_fault(Fault(kind="reset", times=0))
    done = Within(world).apply()
    assert isinstance(done.error, ReconcilerError)
    assert len(world.kinds()) == before
    world.close()
