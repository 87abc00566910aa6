"""The message log is append-only: what was sent can't be edited, moved, unsent or preceded."""

import pytest

from reconciler.model.desired import DesiredMessage
from reconciler.model.errors import Location
from reconciler.model.values import Revealed, Secret
from reconciler.planning.message_log import accept, compare, message_digest
from reconciler.planning.offline import log_findings
from tests.planning.planning_support import (
    actions,
    created,
    desired,
    entry,
    finding,
    live,
    log,
    plan,
    quiet,
    sent,
    state,
)


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
        ([NEW, ONE, TWO], ["message `n` is new but comes before a message that was sent"]),
        ([ONE, NEW, TWO], ["message `n` is new but comes before a message that was sent"]),
        ([TWO], ["message `a` was removed from the middle of the log"]),
        ([ONE, NEW], ["message `b` was removed from the middle of the log"]),
        ([TWO, NEW], ["message `a` was removed from the middle of the log"]),
        ([("b", "TWO")], ["message `b` was edited after it was sent", "message `a` was removed from the middle of the log"]),
        ([NEW], ["message `a` was removed from the middle of the log", "message `b` was removed from the middle of the log"]),
    ],
)  # fmt: skip
def test_what_rewrites_the_past_is_an_error_and_nothing_is_sent(declared, problems):
    made = plan(created(messages=declared, settings={"title": "T"}), entry(messages=sent(ONE, TWO)), live())

    assert [d.summary for d in made.diagnostics] == problems
    assert all(d.severity == "error" and d.attention and d.address == "a" for d in made.diagnostics)
    for way_out in (
        "Restore the messages as they were sent",
        "append a new message at the end",
        "`reconciler state accept a`",
    ):
        assert all(way_out in d.detail for d in made.diagnostics)
    assert all("Sent: " in d.detail or "were sent in this order" in d.detail for d in made.diagnostics)
    assert all(d.code == "E201" for d in made.diagnostics)
    assert made.errors == made.diagnostics
    assert actions(made) == ["update"]


def test_three_sent_messages_may_not_change_places():
    found = compare("a", log(ONE, THREE, TWO), sent(ONE, TWO, THREE))

    assert [d.summary for d in found.diagnostics] == ["sent messages were reordered"]
    assert "They were sent in this order: a, b, c." in found.diagnostics[0].detail
    assert not found.to_send


def test_one_taken_out_of_the_middle_is_told_once():
    found = compare("a", log(ONE, THREE), sent(ONE, TWO, THREE))

    assert [d.summary for d in found.diagnostics] == ["message `b` was removed from the middle of the log"]
    assert "Sent: two" in found.diagnostics[0].detail


@pytest.mark.parametrize(
    ("declared", "text"),
    [
        ([ONE, TWO], "message `c` left the specs but was already sent"),
        ([ONE], "messages `b`, `c` left the specs but were already sent"),
        ([], "messages `a`, `b`, `c` left the specs but were already sent"),
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
        return (("a", {"message": Secret("Say ${env.X}", digest, Revealed("Say boo"))}),)

    have = entry(messages=sent(*texts("d1")))

    assert quiet(plan(created(messages=texts("d1")), have, live()))
    edited = plan(created(messages=texts("d2")), have, live())
    assert "Spec: Say ${env.X}" in finding(edited).detail and "boo" not in repr(edited)


def test_equal_texts_are_messages_of_their_own():
    made = plan(created(messages=["again", "again"]), entry(messages=sent("again")), live())

    assert [s.message.id for s in made.steps] == ["2"]


# ── accepting a log as the spec has it ──


def accepted(declared, have):
    return accept(log(*declared), have, unsent=lambda m: sent((m.id, m.body))[0])


@pytest.mark.parametrize(
    ("declared", "have", "ids", "edited", "counted", "dropped", "to_send"),
    [
        ([("a", "ONE"), TWO], [ONE, TWO], "a b", "a", "", "", ""),
        ([TWO, ONE], [ONE, TWO], "b a", "", "", "", ""),
        ([NEW, ONE, TWO], [ONE, TWO], "n a b", "", "n", "", ""),
        ([TWO], [ONE, TWO], "b", "", "", "a", ""),
        ([("b", "TWO")], [ONE, TWO, THREE], "b", "b", "", "a", ""),
        ([ONE, NEW], [ONE, TWO], "a", "", "", "b", "n"),
        ([NEW], [ONE, TWO], "", "", "", "a b", "n"),
        ([("x", "one"), NEW], [ONE], "x", "", "", "", "n"),
        (["new", "one", "two"], ["one", "two"], "1 2 3", "", "1", "", ""),
        (["two"], ["one", "two"], "1", "", "", "1", ""),
        ([("a", "ONE"), ("b", "again"), ("c", "again")], [ONE, ("b", "again")], "a b", "a", "", "", "c"),
        ([], [ONE, TWO], "", "", "", "", ""),
    ],
)  # fmt: skip
def test_an_accepted_log_is_the_specs_up_to_the_last_message_that_was_sent(
    declared, have, ids, edited, counted, dropped, to_send
):
    made = accepted(declared, sent(*have))
    kept = [m.id for m in made.log[: len(ids.split())]]

    assert kept == ids.split()
    assert [list(x) for x in (made.edited, made.counted, made.dropped, made.to_send)] == [
        part.split() for part in (edited, counted, dropped, to_send)
    ]
    again = compare("a", log(*declared), made.log)
    assert [m.id for m in again.to_send] == to_send.split()
    assert not [d for d in again.diagnostics if d.severity == "error"]


def test_accepting_never_lets_a_message_that_was_sent_be_sent_under_another_name():
    """Whatever was done to a log: what was sent is not among what is still to be sent."""
    from itertools import permutations

    have = sent("one", "two", "three")
    texts = ["one", "two", "three", "new", "ONE"]
    for count in range(6):
        for order in permutations(texts, count):
            made = accepted(order, have)
            left = {order[int(name) - 1] for name in made.to_send}
            assert not left & {"one", "two", "three"}, order
            assert not [d for d in compare("a", log(*order), made.log).diagnostics if d.severity == "error"], order


def test_what_was_taken_off_the_end_stays_known_so_that_putting_it_back_changes_nothing():
    made = accepted([("a", "ONE"), TWO], sent(ONE, TWO, THREE))

    assert [m.id for m in made.log] == ["a", "b", "c"]
    assert quiet(plan(created(messages=[("a", "ONE"), TWO, THREE]), entry(messages=made.log), live()))


def test_an_accepted_edit_still_tells_what_the_agent_has():
    made = accepted([("a", "ONE")], sent(ONE))

    assert made.log[0].text == "one"
    assert "Sent: one" in compare("a", log(("a", "again")), made.log).diagnostics[0].detail


def test_a_shifted_position_is_told_from_an_edit():
    found = compare("a", log("new", "one"), sent("one")).diagnostics

    assert "It was sent as message" not in found[0].detail
    found = compare("a", log("two", "one"), sent("one", "two")).diagnostics
    assert "It was sent as message `2`; without an `id`, a message's id is its position." in found[0].detail


# ── without the account ──


def offline(project, have):
    return [d.summary for d in log_findings(desired(project), state(a=have))]


def test_a_rewritten_log_is_found_without_the_account():
    edited = created(messages=["ONE"], settings={"title": "New"})

    assert offline(edited, entry(messages=sent("one"))) == ["message `1` was edited after it was sent"]
    assert offline(created(messages=["one", "two"]), entry(messages=sent("one"))) == []
    assert offline(created(messages=[]), entry(messages=sent("one"))) == []


@pytest.mark.parametrize(
    "project",
    [
        created(messages=["ONE"], brief="Another film."),
        created(messages=["ONE"], cancelled=True),
        created("b", messages=["ONE"]),
    ],
)
def test_a_log_that_begins_anew_rewrites_nothing(project):
    """A replacement, a cancelled project and a project of another address have no sent messages to agree with."""
    assert offline(project, entry(messages=sent("one"))) == []
