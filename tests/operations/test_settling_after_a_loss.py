"""After the loss of a state, what was on its way to a project that is found again is waited for."""

import asyncio
from types import SimpleNamespace

import pytest

from reconciler.model.state import Entry, Rendered
from reconciler.operations.apply.exactly_once import settle_found

FOUND = "2026-01-01T00:00:00.000Z"
NOW = "2026-01-01T00:00:03.000Z"


def waited(rendered, found):
    """The seconds that a run waits, three seconds after ``FOUND``."""
    pauses = []

    async def pause(seconds, _):
        pauses.append(seconds)

    entry = Entry(project_id="proj_1", origin="created", rendered=rendered)
    run = SimpleNamespace(
        draft=SimpleNamespace(projects={"a": entry}),
        found=found,
        options=SimpleNamespace(settle=10.0),
        api=SimpleNamespace(pause=pause),
        now=lambda: NOW,
    )
    asyncio.run(settle_found(run, "a"))
    return sum(pauses)


@pytest.mark.parametrize(
    ("rendered", "found", "seconds"),
    [
        (None, {}, 0),
        (None, {"a": FOUND}, 7),
        (Rendered(at=FOUND, how="found"), {}, 7),
        (Rendered(at=FOUND, how="found"), {"a": NOW}, 10),
        (Rendered(at="2025-12-31T00:00:00.000Z", how="found"), {}, 0),
        (Rendered(at=FOUND, how="sent"), {}, 0),
    ],
    ids=["made here", "found by this run", "by one that was killed", "again", "long ago", "rendered here"],
)
def test_what_was_on_its_way_to_a_found_project_is_waited_for(rendered, found, seconds):
    """Intent: the run that found it may be killed, too: the next one waits for what is left of the time."""
    assert waited(rendered, found) == seconds
