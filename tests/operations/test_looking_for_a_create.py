"""A create whose answer was lost is looked for among what no other environment has."""

import asyncio
from types import SimpleNamespace

import pytest

from reconciler.model.identity import Elsewhere, Holder
from reconciler.model.state import Intent
from reconciler.operations.calls import create
from tests.planning.planning_support import AT, BRIEF, live

BODY = {"brief": BRIEF, "title": "Sea"}


THEIRS, OWN = live("proj_1", title="Sea"), live("proj_2", title="Renamed")


def looked_for(monkeypatch, *says):
    """The projects that a create may have made, and what other environments say as they are asked, one time after another."""
    said = iter(says)

    async def listed(_, *, title):
        return [THEIRS] if title else [THEIRS, OWN]

    monkeypatch.setattr(create, "list_filtered", listed)
    run = SimpleNamespace(
        api=None,
        draft=SimpleNamespace(projects={}, forgotten=set()),
        elsewhere=Elsewhere,
        elsewhere_now=lambda: next(said),
    )
    intent = Intent(op="1", kind="create", address="a", at=AT)
    found, elsewhere = asyncio.run(create._matches(run, intent, BODY))
    return found, elsewhere.incomplete


KNOWN = Elsewhere(holders={"proj_1": Holder("a", "dev")})
UNREAD = Elsewhere(incomplete=True)


def test_a_renamed_project_is_found_beside_what_another_environment_made_meanwhile(monkeypatch):
    """Intent: what still has the title is another environment's, which this run did not know of when it began."""
    assert looked_for(monkeypatch, KNOWN, KNOWN) == ([OWN], False)


@pytest.mark.parametrize("says", [(UNREAD, UNREAD), (KNOWN, UNREAD), (UNREAD, KNOWN)])
def test_where_the_state_of_another_environment_cant_be_read_both_may_be_meant(monkeypatch, says):
    """Intent: it may be back a moment later. What has the title is not taken for the only one that could be meant."""
    found, unsure = looked_for(monkeypatch, *says)
    assert OWN in found and (THEIRS in found) == unsure == (says[-1] is UNREAD)


def test_where_all_states_tell_what_has_the_title_is_it(monkeypatch):
    assert looked_for(monkeypatch, Elsewhere()) == ([THEIRS], False)
