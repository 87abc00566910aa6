"""Outcomes that a store could not take: kept on this machine, read again, and forgotten once they are in the store."""

import pytest

from reconciler.adapters.state.format import encode_header
from reconciler.adapters.state.spill import Spill
from reconciler.model.errors import StateError
from reconciler.model.journal import Begin, End, Spend
from reconciler.model.state import Intent, State

STATE = State(lineage="l", workspace="w", api_url="u")
URL = "s3://bucket/prefix"


def end(op):
    return End(op=op, effects=(Spend(address="a", generation=1),))


def keep(folder, *records, url=URL, writer="me"):
    return Spill(folder, url).keep(encode_header(STATE, writer), writer, records)


def test_what_is_kept_in_several_goes_is_read_as_one(tmp_path):
    keep(tmp_path, end("one"))
    keep(tmp_path, end("two"), end("three"))
    ((path, (lineage, ends)),) = Spill(tmp_path, URL).kept().items()
    assert lineage == "l"
    assert [e.op for e in ends] == ["one", "two", "three"]
    Spill.drop([path])
    assert Spill(tmp_path, URL).kept() == {}


def test_only_outcomes_of_calls_are_kept_and_each_state_has_its_own(tmp_path):
    intent = Intent(op="one", kind="message", address="a", at="2026-01-01T00:00:00Z")
    assert keep(tmp_path, Begin(intent=intent), End(effects=())) is None
    assert list(tmp_path.iterdir()) == []
    keep(tmp_path, end("one"))
    assert Spill(tmp_path, "s3://other/prefix").kept() == {}


def test_a_file_that_was_cut_off_is_read_as_far_as_it_goes(tmp_path):
    path = keep(tmp_path, end("one"), end("two"))
    path.write_bytes(path.read_bytes()[:-5])
    assert [e.op for e in Spill(tmp_path, URL).kept()[path][1]] == ["one"]


def test_a_folder_that_can_t_be_written_is_an_error_and_no_traceback(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="can't write"):
        keep(tmp_path / "file", end("one"))
