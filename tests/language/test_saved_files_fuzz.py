"""Plan files, states and journals may hold anything: a value comes out, or an error of ours."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import strategies as st

from reconciler.adapters.plan_file import read_plan
from reconciler.adapters.state.format import decode_journal, decode_state, encode_header, encode_record, encode_state
from reconciler.model.errors import PlanFileError, StateError
from reconciler.model.journal import Bind, End
from reconciler.model.plan_json import encode_plan
from reconciler.model.state import Entry, Known, SentMessage, State
from tests.cli.report_samples import PLAN
from tests.sampling import examples, tried

STATE = State(
    lineage="l" * 32,
    workspace="w",
    api_url="sandbox",
    serial=3,
    projects={
        "promo[us,16:9]": Entry(
            project_id="p",
            origin="created",
            generation=1,
            settings={"title": Known("x", "list", "2026-01-01T00:00:00Z")},
            creation={"brief": "x"},
            messages=(SentMessage(id="1", digest="d", text="t", content="c", message_id="m", at="", how="sent"),),
        )
    },
    generations={"promo[us,16:9]": 1},
)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("promo[us]"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def spots(node, path=()):
    yield path
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield from spots(value, (*path, key))


@st.composite
def damaged(draw, document):
    """A document with a value replaced or taken out at some place."""
    node = copy = json.loads(json.dumps(document))
    path = draw(st.sampled_from(list(spots(document))))
    if not path:
        return draw(JUNK)
    for part in path[:-1]:
        node = node[part]
    if draw(st.booleans()):
        node[path[-1]] = draw(JUNK)
    else:
        del node[path[-1]]
    return copy


def as_bytes(document):
    return json.dumps(document).encode(errors="surrogatepass")


STATE_JSON = json.loads(encode_state(STATE, "1"))
STATES = st.one_of(damaged(STATE_JSON).map(as_bytes), JUNK.map(as_bytes), st.binary(max_size=80))


@examples(100, 400)
def test_any_state_file_is_a_state_or_an_error(examples):
    tried(_is_a_state, examples, data=STATES)


def _is_a_state(data):
    try:
        state = decode_state(data, "state.json")
    except StateError:
        return
    assert decode_state(encode_state(state, "1"), "again") == state


RECORDS = [
    json.loads(encode_header(STATE)),
    json.loads(
        encode_record(
            End(op="o", result="done", effects=(Bind(address="a[us]", entry=STATE.projects["promo[us,16:9]"]),))
        )
    ),
]


@examples(100, 300)
def test_any_journal_is_records_or_an_error(examples):
    head = st.just(RECORDS[0]) | damaged(RECORDS[0])
    lines = st.lists(damaged(RECORDS[1]) | st.just(RECORDS[1]), max_size=3)
    tried(_is_records, examples, head=head, lines=lines, tail=st.binary(max_size=30))


def _is_records(head, lines, tail):
    data = b"\n".join(map(as_bytes, (head, *lines))) + b"\n" + tail
    try:
        _, records, whole = decode_journal(data, "journal")
    except StateError:
        return
    assert whole <= len(data) and len(records) <= data.count(b"\n")


PLAN_JSON = encode_plan(PLAN)
PLANS = st.one_of(damaged(PLAN_JSON).map(as_bytes), JUNK.map(as_bytes), st.binary(max_size=80))


@examples(100, 400)
def test_any_plan_file_is_a_plan_or_an_error(tmp_path, examples):
    path = tmp_path / "p.plan"

    def is_a_plan(data):
        path.write_bytes(data)
        with contextlib.suppress(PlanFileError):
            read_plan(path)

    tried(is_a_plan, examples, data=PLANS)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b'"origin": "created"', b'"origin": 7', "projects.promo[us,16:9]: Expected `str`, got `int` - at `$.origin`"),
        (b'"promo[us,16:9]": 1', b'"promo[us,16:9]": "1"', "generations.promo[us,16:9]: Expected `int`, got `str`"),
        (b'"promo[us,16:9]": 1', b'"a": 1, "b": "1", "c": 2', "generations.b: "),
        (b'"generations": {', b'"generations": {"a": "1"}, "generations": null, "x": {', "`$.generations[...]`"),
        (b'"promo[us,16:9]": 1', b'"a": "1", "a": 1', "`$.generations[...]`"),
        (b'"promo[us,16:9]": 1', b'"a": "1", "b": "\xff"', "`$.generations[...]`"),
    ],
)
def test_what_is_damaged_in_a_state_is_named_by_its_place(old, new, said):
    """Intent: among thousands of entries the one to mend is told; and where it can't be, that is no fault of ours."""
    data = encode_state(STATE, "1")
    assert old in data
    with pytest.raises(StateError) as caught:
        decode_state(data.replace(old, new), "state.json")
    assert said in caught.value.diagnostics[0].detail


@pytest.mark.parametrize("number", [b"Infinity", b"-Infinity", b"NaN", b"1e999"])
def test_a_number_outside_json_is_refused_in_a_state_and_in_a_journal(number):
    """Intent: what could not be written again, or would come back as null, does not get in."""
    with pytest.raises(StateError):
        decode_state(encode_state(STATE, "1").replace(b'"value": "x"', b'"value": ' + number), "state.json")
    line = encode_record(End(effects=(Bind(address="a", entry=STATE.projects["promo[us,16:9]"]),)))
    with pytest.raises(StateError):
        decode_journal(encode_header(STATE) + line.replace(b'"value":"x"', b'"value":' + number), "journal")
