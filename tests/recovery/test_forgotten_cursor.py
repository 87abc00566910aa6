"""A server that no longer knows the message at which the state last looked: the conversation is read without it."""

import json

import pytest

from reconciler.sandbox.faults import Fault
from tests.recovery.runs import kill_at
from tests.sampling import square

SPECS = "projects:\n  it: {brief: The brief., settings: {title: It}, messages: [one, one, two]}\n"
MORE = SPECS.replace("two]", "two, one, three]")
SENT = ["one", "one", "two", "one", "three"]


def edited(world, change):
    """The state with its only entry changed by hand: here, what the server is asked with."""
    state = json.loads(world.state.read_text())
    change(state["projects"]["it"])
    world.state.write_text(json.dumps(state))


def forget_cursor(entry):
    entry["cursor"] = "msg_forgotten"


def forget_all_ids(entry):
    """As where the server has given every message another id."""
    forget_cursor(entry)
    for number, message in enumerate(entry["messages"]):
        if message.get("message_id"):
            message["message_id"] = f"msg_old_{number}"


@pytest.fixture
def world(new_world):
    world = new_world(SPECS, once=True)
    world.specs(MORE)
    return world


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("status", "change"), square(2, [None, 404, 410, 422], [forget_cursor, forget_all_ids]))
def test_the_messages_that_are_left_are_sent_once(world, status, change):
    edited(world, change)
    if status:
        world.store.add_fault(Fault(kind="status", method="GET", path="messages", status=status))
    done = world.apply()
    assert done.code == 0, str(done)
    assert world.sent("it") == SENT
    assert world.entries()["it"]["cursor"] != "msg_forgotten"
    assert world.plan().code == 0
    world.specs(MORE.replace("three]", "three, two]"))
    world.converges()
    assert world.sent("it") == [*SENT, "two"]


@pytest.mark.parametrize(("change", "unknown"), square(2, [forget_cursor, forget_all_ids], ["refuse", "empty"]))
def test_a_message_whose_answer_was_lost_is_found_and_not_sent_again(world, change, unknown):
    """Intent: also where the server says of a cursor that it has forgotten that nothing follows it."""
    edited(world, change)
    world.store.change({"unknown_cursor": unknown})
    world.store.add_fault(Fault(kind="reset", method="POST", path="messages", when="after"))
    assert world.apply().code == 0
    assert world.sent("it") == SENT


@pytest.mark.sampled(2)
@pytest.mark.parametrize(("change", "unknown"), square(2, [forget_cursor, forget_all_ids], ["refuse", "empty"]))
def test_an_older_state_sends_nothing_again(world, change, unknown):
    """Intent: a copy is put back, and the server says that nothing follows the cursor of then, which it has forgotten."""
    copy = world.state.read_text()
    assert world.apply().code == 0
    world.state.write_text(copy)
    edited(world, change)
    world.store.change({"unknown_cursor": unknown})
    assert world.apply().code == 0
    assert world.sent("it") == SENT


@pytest.mark.sampled(3)
@pytest.mark.parametrize("unknown", ["refuse", "empty"])
def test_a_message_that_was_killed_on_its_way_is_decided_or_left_to_the_user(world, unknown):
    world.store.change({"unknown_cursor": unknown})
    assert world.apply(orders=[kill_at("call", 1)]).killed
    assert world.kinds().count("message") in (3, 4)
    cursor = {"cursor": "msg_forgotten"}
    state = json.loads(world.state.read_text())
    state["projects"]["it"].update(cursor)
    world.state.write_text(json.dumps(state))
    assert world.apply().code == 0
    assert world.sent("it") == SENT


def test_a_project_that_is_gone_is_still_told_as_that(world):
    world.store.add_fault(Fault(kind="status", method="GET", path="messages", status=404, times=0))
    ended = world.apply()
    assert ended.code == 1
    assert "no such project" in ended.out + ended.err
    assert world.sent("it") == SENT[:3]
    world.store.clear_faults()
    world.converges()
    assert world.sent("it") == SENT


def test_a_conversation_that_can_not_be_read_does_not_make_a_lost_message_not_sent(world):
    world.store.add_fault(Fault(kind="reset", method="POST", path="messages", when="after"))
    world.store.add_fault(Fault(kind="status", method="GET", path="messages", status=404, times=0, skip=1))
    ended = world.apply()
    assert ended.code == 1
    world.store.clear_faults()
    world.converges()
    assert world.sent("it") == SENT
