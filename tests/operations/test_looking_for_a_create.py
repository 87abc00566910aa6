"""A create whose answer was lost is looked for among what no other environment has."""

import asyncio
from types import SimpleNamespace

from reconciler.model.identity import Elsewhere, Holder
from reconciler.model.state import Intent
from reconciler.operations.calls import create
from tests.planning.planning_support import AT, BRIEF, live

BODY = {"brief": BRIEF, "title": "Sea"}


def test_a_renamed_project_is_found_beside_what_another_environment_made_meanwhile(monkeypatch):
    """Intent: what still has the title is another environment's, which this run did not know of when it began."""
    theirs, own = live("proj_1", settings={"title": "Sea"}), live("proj_2", settings={"title": "Renamed"})

    async def listed(_, *, title):
        return [theirs] if title else [theirs, own]

    monkeypatch.setattr(create, "list_filtered", listed)
    run = SimpleNamespace(
        api=None,
        draft=SimpleNamespace(projects={}, forgotten=set()),
        elsewhere=Elsewhere,
        elsewhere_now=lambda: Elsewhere(holders={"proj_1": Holder("a", "dev")}),
    )
    intent = Intent(op="1", kind="create", address="a", at=AT)
    assert asyncio.run(create._matches(run, intent, BODY)) == [own]
