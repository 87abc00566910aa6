"""The local journal, as those who write to it see it."""

import asyncio
from itertools import permutations

import pytest

from reconciler.adapters.state import local
from reconciler.adapters.state.format import encode_state
from reconciler.adapters.state.local import LocalStateStore
from reconciler.model.errors import StateError
from reconciler.model.journal import Bind, Draft, End
from reconciler.model.state import Entry, State


def test_whoever_writes_hears_of_any_failure_and_nothing_is_taken_after_it(tmp_path, monkeypatch):
    # Intent: a record that is not on disk is never waited for without end, and no call is made on the strength of it.
    def broken(_):
        raise ValueError("no such shape")

    store = LocalStateStore(tmp_path / "state.json", version="0")
    monkeypatch.setattr(local, "encode_record", broken)

    async def write():
        async with asyncio.timeout(10):
            await store.append(End(note="one"))

    with store.lock("test", 0.0):
        store.begin(State(lineage="l", workspace="w", api_url="u"))
        with pytest.raises(StateError) as first:
            asyncio.run(write())
        monkeypatch.undo()
        with pytest.raises(StateError):
            asyncio.run(write())
    assert "ValueError: no such shape" in first.value.diagnostics[0].detail


def test_two_runs_that_did_the_same_write_the_same_state():
    """Intent: which of several creates ended first changes nothing that is written, compared or said."""
    written = set()
    for order in permutations("abc"):
        draft = Draft(State(lineage="l", workspace="w", api_url="u"))
        draft.fold_all(
            End(effects=(Bind(address=a, entry=Entry(project_id=f"proj_{a}", origin="created", generation=1)),))
            for a in order
        )
        written.add(encode_state(draft.state(), "0"))
    assert len(written) == 1
