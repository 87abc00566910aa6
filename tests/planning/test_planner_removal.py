"""Parting: what left the specs, and ``destroy``; each way of it in each status."""

import pytest

from reconciler.model.desired import Lifecycle, Removed
from reconciler.model.live import Snapshot
from tests.planning.planning_support import (
    account,
    actions,
    created,
    desired,
    entry,
    finding,
    live,
    only,
    plan,
    state,
)

FORGET = [("forget", None)]
STOP = [("cancel", None), ("forget", None)]
GONE = "404"


def leaving(status):
    return f"the project to leave `{status}`"


def pausing(status):
    return f"the agent to pause ({status})"


TABLE = {
    "stop": {
        "queued": STOP,
        "running": STOP,
        "generating": STOP,
        "rendering": [("forget", leaving("rendering"))],
        "dreaming": [("forget", leaving("dreaming"))],
        "idle": FORGET,
        "failed": FORGET,
        "cancelled": FORGET,
        GONE: FORGET,
    },
    "cancel": {
        "queued": STOP,
        "running": STOP,
        "generating": STOP,
        "rendering": [("cancel", leaving("rendering")), ("forget", None)],
        "dreaming": [("cancel", leaving("dreaming")), ("forget", None)],
        "idle": STOP,
        "failed": FORGET,
        "cancelled": FORGET,
        GONE: FORGET,
    },
    "release": {
        "queued": [("release", None), ("forget", None)],
        "running": [("release", pausing("running")), ("forget", None)],
        "generating": [("release", pausing("generating")), ("forget", None)],
        "rendering": [("release", pausing("rendering")), ("forget", None)],
        "dreaming": [("release", pausing("dreaming")), ("forget", None)],
        "idle": [("release", None), ("forget", None)],
        "failed": [("release", None), ("forget", None)],
        "cancelled": [("release", None), ("forget", None)],
        GONE: FORGET,
    },
    "forget": dict.fromkeys(
        ["queued", "running", "generating", "rendering", "dreaming", "idle", "failed", "cancelled", GONE], FORGET
    ),
}
TABLE["protect"] = {status: [] for status in TABLE["forget"]}
CASES = [(way, status, steps) for way, row in TABLE.items() for status, steps in row.items()]


@pytest.mark.parametrize(("way", "status", "expected"), CASES)
def test_what_left_the_specs_parts_as_its_kept_lifecycle_says(way, status, expected):
    have = entry(lifecycle=Lifecycle(on_remove=way))
    seen = account(missing=["proj_1"]) if status == GONE else live(status=status)

    made = plan(None, have, seen)

    assert [(s.action, s.waits_for) for s in made.steps] == expected
    assert all(s.reason == "it left the specs" and s.project_id == "proj_1" for s in made.steps)
    if way == "protect":
        assert finding(made).severity == "error" and finding(made).attention and finding(made).address == "a"
        assert "protected and can't be removed" in finding(made).summary
    else:
        assert not made.diagnostics


@pytest.mark.parametrize(("way", "status", "expected"), CASES)
def test_destroy_parts_with_what_is_declared_as_its_lifecycle_says(way, status, expected):
    seen = account(missing=["proj_1"]) if status == GONE else live(status=status)

    made = plan(created(lifecycle={"on_remove": way}), entry(), seen, destroy=True)

    assert [(s.action, s.waits_for) for s in made.steps] == expected
    assert all(s.reason == "destroy was requested" for s in made.steps)
    assert made.destroy and not made.lifecycles
    assert bool(made.errors) == (way == "protect")


def test_destroy_takes_what_left_the_specs_along():
    have = state(a=entry(), b=entry("proj_2"))
    made = plan(created("a"), have, account(live(), live("proj_2")), destroy=True)

    assert [(s.address, s.reason) for s in made.steps] == [
        ("a", "destroy was requested"),
        ("b", "it left the specs"),
    ]


def test_destroy_creates_nothing():
    assert not plan(created(), destroy=True).steps


@pytest.mark.parametrize("kept", ["stop", "protect", "cancel"])
def test_removed_overrides_the_kept_lifecycle(kept):
    have = entry(lifecycle=Lifecycle(on_remove=kept))
    specs = desired(removed=(Removed("other", "cancel"), Removed("a", "release")))

    made = plan(specs, have, live())

    assert actions(made) == ["release", "forget"]
    assert made.steps[0].reason == "`removed` says release"


def test_removed_can_protect():
    made = plan(desired(removed=(Removed("a", "protect"),)), entry(), live())

    assert not made.steps and finding(made).severity == "error"


def test_destroy_never_overrides_a_declared_protection():
    specs = desired(created(lifecycle={"on_remove": "protect"}), removed=(Removed("a", "cancel"),))

    made = plan(specs, entry(), live(), destroy=True)

    assert not made.steps and made.errors


def test_a_released_project_is_just_forgotten():
    have = entry(lifecycle=Lifecycle(on_remove="release"))

    assert only(plan(None, have, live(mode="none"))).action == "forget"


def test_what_could_not_be_read_is_neither_forgotten_nor_made_again():
    left = plan(None, entry(), Snapshot())
    declared = plan(created(settings={"title": "T"}), entry(), Snapshot())
    destroyed = plan(created(), entry(), Snapshot(), destroy=True)

    for made in (left, declared, destroyed):
        assert not made.steps
        assert finding(made).severity == "error" and not finding(made).attention
        assert finding(made).summary == "`proj_1` could not be read"
