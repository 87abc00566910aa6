"""The message log is append-only: what was sent can't be edited, moved, unsent or preceded."""

import pytest

from reconciler.model.desired import DesiredMessage
from reconciler.model.errors import Location
from reconciler.model.values import Secret
from reconciler.planning.message_log import compare, message_digest
from tests.planning.planning_support import actions, created, entry, finding, live, log, plan, quiet, sent


def test_new_messages_are_sent_in_order_the_first_at_once_if_the_agent_is_idle():
    made = plan(created(messages=["one", "two", "three"]), entry(messages=sent("one")), live())

    assert actions(made) == ["message", "message"]
    assert [(s.message.id, s.waits_for, s.project_id) for s in made.steps] == [
        ("2", None, "proj_1"),
        ("3", "the agent to become idle", "proj_1"),
    ]
    assert made.steps[0].reason == "it is in the specs and was not sent"


@pytest.mark.parametrize("status", ["queued", "running", "generating", "rendering", "dreaming"])
def test_a_message_waits_for_an_idle_agent(status):
    made = plan(created(messages=["one"]), entry(), live(status=status))

    assert made.steps[0].waits_for == "the agent to become idle"


ONE, TWO, THREE, NEW = ("a", "one"), ("b", "two"), ("c", "three"), ("n", "new")


@pytest.mark.parametrize(
    ("declared", "problems"),
    [
        ([("a", "ONE"), TWO], ["message `a` was edited after it was sent"]),
        ([ONE, ("b", "TWO")], ["message `b` was edited after it was sent"]),
        ([TWO, ONE], ["sent messages were reordered"]),
        ([NEW, ONE, TWO], ["message `n` is new but stands before a message that was sent"]),
        ([ONE, NEW, TWO], ["message `n` is new but stands before a message that was sent"]),
        ([TWO], ["message `a` was taken out of the middle of the log"]),
        ([ONE, NEW], ["message `b` was taken out of the middle of the log"]),
        ([TWO, NEW], ["message `a` was taken out of the middle of the log"]),
        ([("b", "TWO")], ["message `b` was edited after it was sent", "message `a` was taken out of the middle of the log"]),
        ([NEW], ["message `a` was taken out of the middle of the log", "message `b` was taken out of the middle of the log"]),
    ],
)  # fmt: skip
def test_what_rewrites_the_past_is_an_error_and_nothing_is_sent(declared, problems):
    made = plan(created(messages=declared, settings={"title": "T"}), entry(messages=sent(ONE, TWO)), live())

    assert [d.summary for d in made.diagnostics] == problems
    assert all(d.severity == "error" and d.attention and d.address == "a" for d in made.diagnostics)
    assert all("append a new message at the end" in d.detail for d in made.diagnostics)
    assert made.errors == made.diagnostics
    assert actions(made) == ["update"]


def test_three_sent_messages_may_not_change_places():
    found = compare("a", log(ONE, THREE, TWO), sent(ONE, TWO, THREE))

    assert [d.summary for d in found.diagnostics] == ["sent messages were reordered"]
    assert "They were sent in this order: a, b, c." in found.diagnostics[0].detail
    assert not found.to_send


def test_one_taken_out_of_the_middle_is_told_once():
    found = compare("a", log(ONE, THREE), sent(ONE, TWO, THREE))

    assert [d.summary for d in found.diagnostics] == ["message `b` was taken out of the middle of the log"]
    assert "Sent: two" in found.diagnostics[0].detail


@pytest.mark.parametrize(
    ("declared", "text"),
    [
        ([ONE, TWO], "message `c` left the specs but was sent already"),
        ([ONE], "messages `b`, `c` left the specs but were sent already"),
        ([], "messages `a`, `b`, `c` left the specs but were sent already"),
    ],
)
def test_messages_taken_off_the_end_are_a_note(declared, text):
    made = plan(created(messages=declared), entry(messages=sent(ONE, TWO, THREE)), live())

    assert not made.steps and made.unchanged == 1
    assert finding(made).severity == "note" and not finding(made).attention and finding(made).summary == text


def test_putting_one_back_changes_nothing():
    assert quiet(plan(created(messages=[ONE, TWO]), entry(messages=sent(ONE, TWO)), live()))


def test_an_edit_names_both_texts_and_the_place():
    edited = DesiredMessage("a", {"message": "ONE"}, Location("a.yaml", 7))
    found = compare("a", (edited,), sent(ONE)).diagnostics[0]

    assert "Sent: one\nSpec: ONE" in found.detail and found.location == Location("a.yaml", 7)


def test_references_and_extraction_belong_to_the_message():
    body = {"message": "one", "references": [{"upload_id": "u"}], "extract_content": False}
    before = sent(("a", body))

    assert quiet(plan(created(messages=[("a", body)]), entry(messages=before), live()))
    for changed in ({**body, "extract_content": True}, {**body, "references": []}, {**body, "message": "two"}):
        assert compare("a", log(("a", changed)), before).diagnostics


def test_a_default_that_is_spelled_out_is_the_same_message():
    assert message_digest({"message": "x"}) == message_digest(
        {"message": "x", "references": [], "extract_content": True}
    )
    assert message_digest({"message": "x"}) != message_digest({"message": "y"})


def test_a_secret_in_a_message_is_known_by_its_digest():
    def texts(digest):
        return (("a", {"message": Secret("Say ${env.X}", digest, "Say boo")}),)

    have = entry(messages=sent(*texts("d1")))

    assert quiet(plan(created(messages=texts("d1")), have, live()))
    edited = plan(created(messages=texts("d2")), have, live())
    assert "Spec: Say ${env.X}" in finding(edited).detail and "boo" not in repr(edited)


def test_equal_texts_are_messages_of_their_own():
    made = plan(created(messages=["again", "again"]), entry(messages=sent("again")), live())

    assert [s.message.id for s in made.steps] == ["2"]
