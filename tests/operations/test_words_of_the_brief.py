"""A message with the very words of the brief, where the contract leaves open whether the conversation begins with that."""

from __future__ import annotations

import pytest

from reconciler.adapters.state.local import LocalStateStore
from reconciler.model.desired import AdoptOrigin, CreateOrigin, Deliver, Desired, DesiredMessage, DesiredProject
from reconciler.model.errors import StateError
from reconciler.model.journal import End
from reconciler.operations.state.edits import decide, recover_state
from reconciler.sandbox.faults import Fault
from tests.operations.operations_support import in_world

STUDIO = "51d10000-0000-4000-8000-0000000000aa"
SHORT = "Ten seconds of the sea."
LONG = "A minute of the sea, slowly. " * 20


def specs(brief, *words, adopt=False, render=None):
    told = tuple(DesiredMessage(str(n), {"message": text}) for n, text in enumerate(words, 1))
    origin = AdoptOrigin(STUDIO) if adopt else CreateOrigin({"brief": brief})
    return Desired(
        "ws", {"a": DesiredProject(address="a", origin=origin, messages=told, deliver=Deliver(render=render))}
    )


def sent(world):
    return [e.detail["message"] for e in world.store.ledger() if e.kind == "message"]


@pytest.mark.parametrize("brief_is_message", [True, False])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("brief", [SHORT, LONG])
def test_it_is_sent_once_though_its_answer_is_lost(tmp_path, brief, when, brief_is_message):
    # Intent: once the conversation was read, what comes after that is not the brief.
    async def go(world):
        world.store.add_fault(Fault(kind="reset", when=when, method="POST", path="^/projects/[^/]+/messages$"))
        await world.apply(specs(brief, brief, "Softer."))
        await world.apply(specs(brief, brief, "Softer."))
        assert sent(world) == [brief, "Softer."]

    in_world(go, tmp_path, brief_is_message=brief_is_message)


@pytest.mark.parametrize("brief", [SHORT, LONG])
def test_the_brief_of_a_project_that_is_managed_again_is_not_the_message(tmp_path, brief):
    # Intent: a lost state; the message that comes after the brief was sent by the run before.
    async def go(world):
        await world.apply(specs(brief, brief))
        (tmp_path / "state.json").unlink()
        await world.apply(specs(brief, brief, "Softer."))
        assert sent(world) == [brief, "Softer."]

    in_world(go, tmp_path)


@pytest.mark.parametrize("silent", [True, False])
def test_where_nothing_tells_a_person_is_asked(tmp_path, silent):
    # Intent: the conversation has these words once, and the state is lost: brief, or message of the run before?
    async def go(world):
        await world.apply(specs(SHORT))
        if silent:
            with world.store.account() as account:
                account.run("DELETE FROM messages")
        await world.apply(specs(SHORT, SHORT))
        (tmp_path / "state.json").unlink()
        result = await world.apply(specs(SHORT, SHORT, "Softer."))
        assert {r.step.action: r.outcome for r in result.results} == {"create": "done", "message": "skipped"}
        (intent,) = world.state().pending.values()
        assert intent.undecided and sent(world) == [SHORT]
        decide(world.workspace, "a", sent=True, lock_timeout=0.0)
        await world.apply(specs(SHORT, SHORT, "Softer."))
        assert sent(world) == [SHORT, "Softer."]

    in_world(go, tmp_path, brief_is_message=False)


@pytest.mark.parametrize("brief_is_message", [True, False])
def test_the_first_words_of_an_adopted_project_are_not_called_sent(tmp_path, brief_is_message):
    # Intent: they are the studio's; a message that was never sent is not said to be there.
    async def go(world):
        world.store.add_studio_project(id=STUDIO, brief=SHORT, title="Theirs")
        await world.apply(specs(SHORT, SHORT, adopt=True))
        if brief_is_message:
            assert sent(world) == []
            decide(world.workspace, "a", sent=False, lock_timeout=0.0)
            await world.apply(specs(SHORT, SHORT, adopt=True))
        assert sent(world) == [SHORT]

    in_world(go, tmp_path, brief_is_message=brief_is_message)


@pytest.mark.parametrize("brief", [SHORT, LONG])
@pytest.mark.parametrize("lost", [True, False])
def test_beside_the_brief_that_the_list_shows_the_message_is_known(tmp_path, brief, lost):
    # Intent: of two equal ones the first is the brief, though the list may show only its beginning.
    async def go(world):
        world.store.add_studio_project(id=STUDIO, brief=brief, title="Theirs")
        wanted = specs(brief, brief, "Softer.", adopt=True)
        await world.apply(wanted)
        decide(world.workspace, "a", sent=False, lock_timeout=0.0)
        await world.apply(wanted)
        if lost:
            (tmp_path / "state.json").unlink()
        await world.apply(specs(brief, brief, "Softer.", "Louder.", adopt=True))
        assert sent(world) == [brief, "Softer.", "Louder."]

    in_world(go, tmp_path)


@pytest.mark.parametrize("brief", [SHORT, LONG])
def test_a_state_that_is_recovered_does_not_take_the_brief_of_an_adopted_project_for_a_message(tmp_path, brief):
    async def go(world):
        world.store.add_studio_project(id=STUDIO, brief=brief, title="Theirs")
        await world.apply(specs(brief, adopt=True))
        (tmp_path / "state.json").unlink()
        wanted = specs(brief, brief, adopt=True)
        await recover_state(
            world.workspace, world.api, wanted, choose=lambda _: None, confirm=lambda _: True, lock_timeout=0
        )
        assert world.id("a") and not world.state().projects["a"].messages
        await world.apply(wanted)
        assert [intent.undecided for intent in world.state().pending.values()] == [True]

    in_world(go, tmp_path)


def test_what_a_person_says_was_sent_may_have_been_rendered_since(tmp_path):
    # Intent: after a lost state the video may be that of the message's render, so a person is asked about that, too.
    async def go(world):
        wanted = specs(SHORT, SHORT, render="1080p")
        await world.apply(wanted)
        (tmp_path / "state.json").unlink()
        await world.apply(wanted)
        decide(world.workspace, "a", sent=True, lock_timeout=0.0)
        await world.apply(wanted)
        assert [e.kind for e in world.store.ledger()].count("render") == 1
        decide(world.workspace, "a", sent=True, lock_timeout=0.0)
        assert not (await world.plan(wanted)).steps

    in_world(go, tmp_path, brief_is_message=False)


def test_a_run_that_is_cut_short_while_it_leaves_the_question_leaves_it(tmp_path, monkeypatch):
    # Intent: without the second record it is no call of this run, whose conversation had been empty before.
    async def go(world):
        await world.apply(specs(SHORT))
        append = LocalStateStore.append

        async def cut_short(self, record):
            if isinstance(record, End) and record.result == "unknown":
                raise StateError("the disk is full")
            await append(self, record)

        with monkeypatch.context() as patch:
            patch.setattr(LocalStateStore, "append", cut_short)
            with pytest.raises(StateError):
                await world.apply(specs(SHORT, SHORT))
        await world.apply(specs(SHORT, SHORT))
        (intent,) = world.state().pending.values()
        assert intent.undecided and not world.state().projects["a"].messages

    in_world(go, tmp_path)
