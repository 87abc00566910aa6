"""A call whose answer nobody heard: it is found out what became of it, and it is never repeated on a guess."""

import os
import signal
import time

import pytest

from reconciler.sandbox import views
from reconciler.sandbox.store import Fault
from tests.recovery.runs import arrived, kill_at, killed
from tests.sampling import square

BEFORE, SENT, RECEIVED = 1, 2, 3
ONE = "projects:\n  it: {brief: A brief., settings: {title: It}}\n"


def with_messages(*messages):
    return f"projects:\n  it: {{brief: A brief., settings: {{title: It}}, messages: [{', '.join(messages)}]}}\n"


@pytest.fixture
def world(new_world):
    return new_world(ONE, once=True)


def it(world):
    return world.entries()["it"]["project_id"]


# ── create ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("at", "became"), square(2, [BEFORE, SENT, RECEIVED], ["idle", "cancelled", "failed"]))
def test_a_create_of_unknown_fate_is_bound_whatever_became_of_it(new_world, at, became):
    world = new_world(ONE)
    killed(world, at)
    if at != BEFORE:
        arrived(world, 1)
        for project in world.created():
            world.store.set_status(project, became)
    done = world.apply()
    assert done.code == 0, str(done)
    assert world.created() == [it(world)]
    assert world.apply().code == 0
    assert len(world.created()) == 1


def test_a_key_that_may_be_forgotten_is_not_sent_again(new_world):
    # Intent: the contract does not say how long a key lives; after a weekend the account's list decides, not the key.
    world = new_world(ONE)
    killed(world, RECEIVED)
    world.backdate(days=3)
    world.store.forget_keys()
    world.converges()
    assert world.created() == [it(world)]


def test_where_a_key_may_be_forgotten_and_two_projects_could_be_meant_the_user_is_asked(new_world):
    world = new_world(ONE)
    killed(world, RECEIVED)
    world.store.person_creates(brief="A brief.", title="It")
    world.backdate(days=3)
    world.store.forget_keys()
    done = world.apply()
    assert "it could be any of" in done.out + done.err, str(done)
    assert len(world.created()) == 1
    assert world.run("state", "resolve", "it", "--not-sent").code == 0


REPLACED = ONE.replace("A brief.", "Another brief.")


@pytest.mark.parametrize("replaced", [False, True])
def test_the_project_that_a_create_made_can_be_named(new_world, replaced):
    # Intent: one command, so that no run comes between "it was not done" and the import, and pays again.
    world = new_world(ONE)
    if replaced:
        assert world.apply().code == 0
        world.specs(REPLACED)
    killed(world, RECEIVED + (3 if replaced else 0))  # of a replacement after that of the cancel
    made = world.created()[-1]
    world.backdate(days=3)
    world.store.forget_keys()
    world.store.person_sets(made, title="Renamed by a person")
    told = world.apply()
    assert "reconciler import it PROJECT_ID" in told.out + told.err, str(told)
    before = len(world.created())

    assert world.run("state", "resolve", "it", "--sent").code == 1
    assert world.run("import", "it", made).code == 0
    world.converges()
    assert it(world) == made and len(world.created()) == before


def test_a_key_that_is_refused_decides_nothing(new_world):
    # Intent: what the same key gives once more is the API's business; a refusal leads to the user, not to a second project.
    world = new_world(ONE)
    killed(world, RECEIVED)
    world.store.add_fault(Fault(kind="status", method="POST", path="^/projects$", status=409, code="conflict"))
    done = world.apply()
    assert "was refused" in done.out + done.err, str(done)
    assert "state resolve it" in done.out + done.err, str(done)
    world.store.clear_faults()
    world.converges()
    assert world.created() == [it(world)]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("time", ["2031-01-01T00:00:00", "a while ago", None])
def test_an_account_that_tells_times_in_its_own_way_hides_no_project(new_world, monkeypatch, time):
    # Intent: a `created_at` without a zone, or that is none, is no reason to fail or to make a project twice.
    monkeypatch.setattr(views, "timestamp", lambda _: time)
    world = new_world(ONE)
    killed(world, RECEIVED)
    world.converges()
    assert world.created() == [it(world)]


@pytest.mark.sweep
def test_two_creates_of_one_brief_of_which_one_failed_are_told_apart_or_left_alone(new_world):
    specs = "projects:\n  a: {brief: The same.}\n  b: {brief: The same.}\n"
    world = new_world(specs)
    ended = world.apply(orders=[kill_at("call", 4)])
    assert ended.killed
    if not arrived(world, 2):
        pytest.skip("the connection broke before the server had read the request")
    world.store.set_status(world.created()[0], "failed")
    world.apply()
    world.apply()
    assert len(world.created()) == 2
    bound = [entry["project_id"] for entry in world.entries().values()]
    assert len(set(bound)) == len(bound)


@pytest.mark.sweep
def test_a_failed_project_is_not_bound_to_two_addresses(new_world):
    specs = "projects:\n  a: {brief: The same.}\n  b: {brief: The same.}\n"
    world = new_world(specs)
    world.store.add_fault(Fault(kind="reset", method="POST", path="^/projects$", when="before", skip=1))
    ended = world.apply(orders=[kill_at("call", 4)])
    assert ended.killed
    arrived(world, 1)
    world.store.clear_faults()
    assert len(world.created()) <= 1
    for project in world.created():
        world.store.set_status(project, "failed")
    world.apply()
    world.apply()
    bound = [entry["project_id"] for entry in world.entries().values()]
    assert len(set(bound)) == len(bound)


def test_a_project_that_fails_while_its_answer_is_lost_is_bound_and_not_made_twice(new_world):
    world = new_world(ONE.replace("A brief.", "'It will [fail]'"))
    world.store.add_fault(Fault(kind="reset", method="POST", path="^/projects$", when="after"))
    world.apply()
    world.apply()
    assert world.created() == [it(world)]


# ── message ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("at", "first"), square(2, [BEFORE, SENT, RECEIVED], ["go", "stop"]))
def test_equal_messages_in_a_row_with_a_crash_between(world, at, first):
    world.specs(with_messages(first, "go", "go", "end"))
    ended = world.apply(orders=[kill_at("call", 3 + at)])
    assert ended.killed
    world.converges()
    assert world.sent("it") == [first, "go", "go", "end"]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("times", [1, 2])
def test_equal_messages_in_a_row_whose_answers_are_lost_within_a_run(world, times):
    # Intent: the first one, whose id nobody told, does not take the second one for itself, so that it were sent again.
    world.specs(with_messages("go", "go", "go", "end"))
    world.store.add_fault(Fault(kind="reset", method="POST", path="/messages$", when="after", skip=1, times=times))
    done = world.apply()
    assert done.code == 0, str(done)
    assert world.sent("it") == ["go", "go", "go", "end"]
    ids = [message["message_id"] for message in world.entries()["it"]["messages"][: times + 1]]
    assert None not in ids and len(set(ids)) == times + 1
    world.converges()


@pytest.mark.sampled(6)
@pytest.mark.parametrize("at", [BEFORE, SENT, RECEIVED])
def test_the_same_words_typed_by_a_person_before_our_intent_are_not_ours(world, at):
    """What stands in the conversation before the cursor was there when the message was planned."""
    world.specs(with_messages("first"))
    world.converges()
    world.store.person_writes(it(world), "second")
    world.store.finish_all()
    world.specs(with_messages("first", "third"))
    world.converges()
    world.store.person_writes(it(world), "more")
    world.store.finish_all()
    world.specs(with_messages("first", "third", "fourth"))
    killed(world, at)
    world.converges()
    assert world.sent("it") == ["first", "third", "fourth"]


def test_the_same_words_typed_by_a_person_after_our_intent_count_as_sent(world):
    """The agent has them; sending them once more would only cost. Written down as «found»."""
    world.specs(with_messages("please"))
    killed(world, BEFORE)
    world.store.person_writes(it(world), "please")
    world.store.finish_all()
    world.converges()
    assert world.sent("it") == []
    assert [m["id"] for m in world.entries()["it"]["messages"]] == ["1"]


def test_other_words_typed_by_a_person_after_our_intent_are_not_ours(world):
    world.specs(with_messages("please"))
    killed(world, BEFORE)
    world.store.person_writes(it(world), "something else")
    world.store.finish_all()
    world.converges()
    assert world.sent("it") == ["please"]


@pytest.mark.sampled(6)
@pytest.mark.parametrize("kind", ["delay", "timeout"])
def test_a_message_that_shows_up_late_is_awaited_and_not_doubled(world, kind):
    """Killed while the server is still at it; the next run looks, finds nothing, settles, looks again and finds it."""
    world.specs(with_messages("late"))
    when = "before" if kind == "delay" else "after"
    world.store.add_fault(Fault(kind=kind, method="POST", path="/messages", seconds=0.6, when=when))
    killed(world, SENT)
    done = world.run("apply", "--auto-approve", "--poll-interval", "0.02", "--settle", "1.5")
    assert done.code == 0, str(done)
    assert world.sent("it") == ["late"]
    assert world.plan().code == 0


@pytest.mark.sweep
def test_a_message_of_unknown_fate_is_not_sent_while_the_agent_is_busy(world):
    world.specs(with_messages("please"))
    killed(world, BEFORE)
    world.store.set_status(it(world), "running")
    busy = world.apply("--wait", "none")
    assert busy.code in (0, 1), str(busy)
    assert world.sent("it") == []
    world.store.set_status(it(world), "idle")
    world.converges()
    assert world.sent("it") == ["please"]


def test_a_busy_agent_that_had_the_message_is_not_told_twice(world):
    world.specs(with_messages("please"))
    killed(world, RECEIVED)
    world.store.set_status(it(world), "running")
    assert world.apply("--wait", "none").code == 0
    world.store.set_status(it(world), "idle")
    world.converges()
    assert world.sent("it") == ["please"]


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("at", "status"), square(2, [BEFORE, RECEIVED], ["cancelled", "failed"]))
def test_a_message_of_unknown_fate_to_a_project_that_is_over(world, at, status):
    world.specs(with_messages("please"))
    killed(world, at)
    world.store.set_status(it(world), status)
    done = world.apply()
    assert done.code == 0, str(done)
    assert world.sent("it") == ([] if at == BEFORE else ["please"])
    assert world.plan().code == 0


@pytest.mark.sweep
def test_what_nothing_can_tell_can_be_decided_by_the_user(world):
    world.specs(with_messages("please", "next"))
    killed(world, BEFORE)
    world.store.set_status(it(world), "running")
    assert world.apply("--wait", "none").code in (0, 1)
    assert world.run("state", "resolve", "it", "--sent").code == 0
    world.store.set_status(it(world), "idle")
    world.converges()
    assert world.sent("it") == ["next"]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("command", ["apply", "watch"])
def test_an_interrupt_while_that_is_found_out_ends_the_run(world, command):
    # Intent: with the agent at work nobody can tell yet, so the run waits; whoever stops it gets no error for it.
    world.specs(with_messages("next"))
    world.store.add_fault(Fault(kind="reset", method="POST", path="/messages$"))
    killed(world, SENT)
    world.store.set_status(it(world), "running")
    world.store.clear_requests()
    more = ("--auto-approve",) if command == "apply" else ()
    run = world.start(command, "--wait", "steps", "--poll-interval", "0.02", "--settle", "0.2", *more)
    while sum(row.path.endswith(it(world)) for row in world.store.requests()) < 3:
        time.sleep(0.01)
    os.kill(run[0], signal.SIGTERM)
    ended = world.end(run)
    assert ended.code == {"apply": 130, "watch": 0}[command], str(ended)
    world.store.finish_all()
    world.store.set_status(it(world), "idle")
    world.converges()
    assert world.sent("it") == ["next"]


# ── cancel and replace ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("at", "meanwhile"), square(3, range(1, 7), ["nothing", "cancelled", "failed"]))
def test_a_replacement_cut_short_makes_exactly_one_successor(world, at, meanwhile):
    world.specs(ONE.replace("A brief.", "Another brief."))
    ended = world.apply(orders=[kill_at("call", at)])
    assert ended.killed
    old = world.created()[0]
    if meanwhile != "nothing" and world.entries()["it"]["project_id"] == old:
        status = next(p["status"] for p in world.store.projects() if p["id"] == old)
        if status != "cancelled":
            world.store.set_status(old, meanwhile)
    world.converges()
    assert len(world.created()) == 2
    assert it(world) == world.created()[1]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("at", [BEFORE, SENT, RECEIVED])
def test_a_person_cancels_what_we_were_cancelling(world, at):
    world.specs(ONE.replace("settings: {title: It}", "state: cancelled"))
    killed(world, at)
    world.store.set_status(it(world), "cancelled")
    world.converges()
    assert world.kinds().count("cancel") <= 1
