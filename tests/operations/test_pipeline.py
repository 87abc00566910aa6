"""One project feeding another: the dependent waits, gets the URL of that moment, and is known by the symbol alone."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import parse_qs, urlsplit

import pytest
from msgspec.structs import replace

from reconciler.model.desired import Moved
from reconciler.model.events import StepWaiting
from reconciler.model.plan_json import decode_plan, encode_plan
from reconciler.operations.state.edits import rename
from reconciler.planning.planner import Selection
from reconciler.sandbox.faults import Fault
from tests.operations.operations_support import START, in_world
from tests.planning.planning_support import created, desired

VIDEO = {"project": "teaser", "type": "video"}
TEASER = created("teaser", brief="Teaser.")
CUT = created("cut", brief="Cut.", creation={"references": [{"upload_id": "u"}, VIDEO]})
LATER = created("later", brief="Later.", depends_on=("teaser",))
TELLS = ("1", {"message": "Look at this.", "references": [VIDEO]})
TOLD = created("cut", brief="Cut.", messages=[TELLS])
DAY = 24 * 3600


def effects(world, kind):
    return [effect for effect in world.store.ledger() if effect.kind == kind]


def outcomes(result):
    return {(r.step.address, r.step.action): r.outcome for r in result.results}


def end(result, address):
    return next(r for r in result.results if r.step.address == address)


def without_video(world, address):
    """The agent of a project is idle, and nothing was rendered (yet)."""
    with world.store.account() as account:
        account.change(account.project(world.id(address))["seq"], output_type=None)


async def settled(world, specs):
    """The specs are applied, and nothing is left."""
    result = await world.apply(specs)
    assert set(outcomes(result).values()) <= {"done"}, result
    made = await world.plan(specs)
    assert not made.steps and not made.diagnostics, made


@pytest.mark.parametrize("specs", [(TEASER, CUT), (CUT, TEASER)])
def test_a_dependent_is_created_once_the_video_is_there_and_with_its_url(tmp_path, specs):
    async def test(world):
        await settled(world, desired(*specs))
        teaser, cut = effects(world, "create")
        assert (teaser.detail["brief"], cut.detail["brief"]) == ("Teaser.", "Cut.")
        assert cut.at - teaser.at >= 4, "the teaser was rendered by then"
        url = (await world.api.project(world.id("teaser"))).assembled_url
        assert cut.detail["references"] == [{"upload_id": "u"}, {"url": url, "type": "video"}]
        assert [e.waits_for for e in world.events if isinstance(e, StepWaiting)] == [
            "`teaser` to have a rendered video"
        ]

    in_world(test, tmp_path)


def test_neither_the_state_nor_the_journal_nor_a_plan_holds_the_url(tmp_path):
    async def test(world):
        specs = desired(TEASER, created("cut", brief="Cut.", creation={"references": [VIDEO]}, messages=[TELLS]))
        lines = []
        append = world.states.append

        async def listening(record):
            lines.append(repr(record))
            await append(record)

        world.states.append = listening
        saved = await world.plan(specs)
        await settled(world, specs)
        entry = world.state().projects["cut"]
        assert entry.creation["references"] == [VIDEO]
        assert entry.messages[0].projects == ("teaser",)
        sent = [*effects(world, "create")[1].detail["references"], *effects(world, "message")[0].detail["references"]]
        tokens = {parse_qs(urlsplit(reference["url"]).query)["signature"][0] for reference in sent}
        written = "\n".join(line for line in lines if line.startswith("Begin(")) + json.dumps(encode_plan(saved))
        assert "'project': 'teaser'" in written and not any(token in written for token in tokens)

    in_world(test, tmp_path)


def test_a_video_that_expired_or_was_rendered_again_replaces_nothing_and_resends_nothing(tmp_path):
    async def test(world):
        specs = desired(TEASER, created("cut", brief="Cut.", creation={"references": [VIDEO]}, messages=[TELLS]))
        await settled(world, specs)
        await asyncio.sleep(2 * DAY)
        assert not (await world.plan(specs)).steps
        world.store.person_writes(world.id("teaser"), "Render it again.")
        world.store.finish_all()
        assert not (await world.plan(specs)).steps

    in_world(test, tmp_path)


def test_an_expired_url_is_not_sent_and_a_new_render_lets_it_go_on(tmp_path):
    async def test(world):
        await settled(world, desired(TEASER))
        await asyncio.sleep(DAY - 300)
        failed = end(await world.apply(desired(TEASER, CUT)), "cut")
        assert failed.outcome == "failed"
        assert "the URL of the video of `teaser` expires at" in failed.error.summary
        assert len(effects(world, "create")) == 1 and not world.state().pending
        world.store.person_writes(world.id("teaser"), "Render it again.")
        await settled(world, desired(TEASER, CUT))
        (reference,) = effects(world, "create")[1].detail["references"][1:]
        assert int(parse_qs(urlsplit(reference["url"]).query)["expires"][0]) > START + world.time() + DAY - 100

    in_world(test, tmp_path)


def test_a_message_shows_the_video_of_that_moment(tmp_path):
    async def test(world):
        await settled(world, desired(TEASER, TOLD))
        (message,) = effects(world, "message")
        url = (await world.api.project(world.id("teaser"))).assembled_url
        assert message.detail["references"] == [{"url": url, "type": "video"}]

    in_world(test, tmp_path)


def test_order_alone(tmp_path):
    async def test(world):
        told = created("teaser", brief="Teaser.", messages=["Louder."])
        await settled(world, desired(LATER, told))
        assert [e.detail.get("brief", "a message") for e in world.store.ledger()] == ["Teaser.", "a message", "Later."]
        assert effects(world, "create")[1].at - effects(world, "message")[0].at >= 3, "the agent had finished"
        assert "references" not in effects(world, "create")[1].detail

    in_world(test, tmp_path)


def test_a_chain_needs_no_more_than_one_slot(tmp_path):
    async def test(world):
        last = created("last", brief="Last.", creation={"references": [{"project": "cut", "type": "video"}]})
        await settled(world, desired(last, CUT, TEASER))
        assert [e.detail["brief"] for e in effects(world, "create")] == ["Teaser.", "Cut.", "Last."]

    in_world(test, tmp_path, active=1)


def test_without_waiting_the_dependent_is_deferred_and_the_next_apply_goes_on(tmp_path):
    async def test(world):
        specs = desired(TEASER, CUT, LATER)
        first = await world.apply(specs, wait="none")
        assert outcomes(first) == {
            ("teaser", "create"): "done", ("cut", "create"): "deferred", ("later", "create"): "deferred"
        }  # fmt: skip
        assert end(first, "cut").note == "waits for `teaser` to have a rendered video"
        world.store.finish_all()
        await world.apply(specs, wait="none")
        assert len(effects(world, "create")) == 3

    in_world(test, tmp_path)


def test_the_time_that_is_up_defers_the_dependent(tmp_path):
    async def test(world):
        result = await world.apply(desired(TEASER, CUT), wait="steps", seconds=2)
        assert outcomes(result) == {("teaser", "create"): "done", ("cut", "create"): "deferred"}
        await settled(world, desired(TEASER, CUT))

    in_world(test, tmp_path)


def test_one_that_fails_while_it_is_waited_for_fails_the_dependent_with_its_reason(tmp_path):
    async def test(world):
        bad = created("teaser", brief="It will [fail].")
        result = await world.apply(desired(bad, CUT, LATER))
        for address in ("cut", "later"):
            error = end(result, address).error
            assert end(result, address).outcome == "failed"
            assert error.summary.startswith("`teaser`, which this waits for, is failed: ")
        assert len(effects(world, "create")) == 1
        assert not (await world.plan(desired(bad, CUT))).steps

    in_world(test, tmp_path)


def test_one_whose_step_failed_lets_the_dependent_be_skipped(tmp_path):
    async def test(world):
        world.store.add_fault(Fault(kind="status", method="POST", path="/projects$", status=400))
        result = await world.apply(desired(TEASER, CUT))
        assert outcomes(result) == {("teaser", "create"): "failed", ("cut", "create"): "skipped"}
        assert "not all steps of that were done" in end(result, "cut").note
        await settled(world, desired(TEASER, CUT))

    in_world(test, tmp_path)


def test_an_idle_agent_that_rendered_nothing_is_looked_at_a_few_times_and_not_for_ever(tmp_path):
    async def test(world):
        await settled(world, desired(TEASER))
        without_video(world, "teaser")
        began = world.time()
        result = await world.apply(desired(TEASER, CUT), wait="steps")
        assert end(result, "cut").outcome == "deferred" and "rendered video" in end(result, "cut").note
        assert 30 <= world.time() - began <= 300

    in_world(test, tmp_path)


def test_an_agent_that_is_idle_for_a_moment_before_it_renders_is_waited_for(tmp_path):
    async def test(world):
        await settled(world, desired(TEASER))
        without_video(world, "teaser")

        async def renders():
            await asyncio.sleep(40)
            world.store.set_status(world.id("teaser"), "rendering")
            await asyncio.sleep(40)
            world.store.set_status(world.id("teaser"), "idle")

        rendering = asyncio.create_task(renders())
        result = await world.apply(desired(TEASER, CUT), wait="steps")
        await rendering
        assert end(result, "cut").outcome == "done"

    in_world(test, tmp_path)


def test_assets_are_no_video(tmp_path):
    async def test(world):
        assets = created("teaser", brief="Teaser.", settings={"expected_output": "assets"})
        result = await world.apply(desired(assets, CUT))
        assert end(result, "cut").outcome in ("failed", "deferred")
        again = await world.apply(desired(assets, CUT), wait="steps")
        assert "made assets" in end(again, "cut").error.summary

    in_world(test, tmp_path)


def test_what_is_not_there_to_be_waited_for_is_refused_when_a_saved_plan_is_applied(tmp_path):
    async def test(world):
        await settled(world, desired(TEASER))
        saved = await world.plan(desired(TEASER, CUT))
        assert saved.steps[0].ready
        await world.apply(desired(), selection=Selection())
        refused = end(await world.apply(saved=saved), "cut")
        assert refused.outcome == "failed" and "is not managed" in refused.error.summary

    in_world(test, tmp_path)


def test_a_saved_plan_waits_as_well(tmp_path):
    async def test(world):
        specs = desired(CUT, TEASER, LATER)
        saved = decode_plan(json.loads(json.dumps(encode_plan(await world.plan(specs)))))
        result = await world.apply(saved=saved)
        assert set(outcomes(result).values()) == {"done"}
        assert next(e.detail["brief"] for e in effects(world, "create")) == "Teaser."
        assert not (await world.plan(specs)).steps

    in_world(test, tmp_path)


def test_a_project_that_is_to_be_replaced_is_not_cancelled_before_the_video_can_be_had(tmp_path):
    async def test(world):
        await settled(world, desired(TEASER, CUT))
        await asyncio.sleep(2 * DAY)
        changed = created("cut", brief="Cut otherwise.", creation={"references": [VIDEO]})
        result = await world.apply(desired(TEASER, changed))
        assert end(result, "cut").outcome == "failed"
        assert not effects(world, "cancel") and len(effects(world, "create")) == 2

    in_world(test, tmp_path)


def test_a_project_at_rest_is_not_cancelled_before_there_is_a_slot_for_its_successor(tmp_path):
    async def test(world):
        await settled(world, desired(TEASER))
        other = world.project(status="running")
        changed = desired(created("teaser", brief="Otherwise."))
        result = await world.apply(changed, wait="none")
        assert outcomes(result) == {("teaser", "replace"): "deferred"}
        assert not effects(world, "cancel")
        world.store.set_status(other, "idle")
        await settled(world, changed)
        assert len(effects(world, "cancel")) == 1

    in_world(test, tmp_path, active=1)


def test_once_credits_ran_out_no_further_project_is_cancelled_to_be_replaced(tmp_path):
    async def test(world):
        names = "abc"
        await settled(world, desired(*(created(name, brief=name) for name in names)))
        world.store.set_credits(0)
        result = await world.apply(desired(*(created(name, brief=f"{name} otherwise") for name in names)))
        assert sorted(outcomes(result).values()) == ["deferred", "deferred", "failed"]
        (cancelled,) = effects(world, "cancel")
        notes = [ended.note for ended in result.results if ended.outcome == "failed"]
        assert notes == [f"`{cancelled.project_id}` is cancelled, and the next apply creates its replacement"]

    in_world(test, tmp_path, active=1)


def test_a_target_is_planned_with_what_it_waits_for(tmp_path):
    async def test(world):
        specs = desired(TEASER, CUT, created("alone"))
        made = await world.plan(specs, targets=frozenset({"cut"}))
        assert {step.address for step in made.steps} == {"teaser", "cut"}

    in_world(test, tmp_path)


def test_a_rename_by_hand_or_by_the_specs_changes_nothing_for_the_dependents(tmp_path):
    async def test(world):
        def specs(name):
            video = {"project": name, "type": "video"}
            messages = [("1", {"message": "Look at this.", "references": [video]})]
            settings = {"title": f"With the {name}"}
            cut = created("cut", brief="Cut.", creation={"references": [video]}, messages=messages, settings=settings)
            return desired(replace(TEASER, address=name), cut)

        await settled(world, specs("teaser"))
        rename(world.workspace, "teaser", "trailer", lock_timeout=0)
        assert [step.action for step in (await world.plan(specs("trailer"))).steps] == ["update"]
        moving = replace(specs("film"), moved=(Moved("trailer", "film"),))
        saved = await world.plan(moving)
        assert [step.action for step in saved.steps] == ["move", "update"]
        result = await world.apply(saved=saved)
        assert set(outcomes(result).values()) == {"done"}, "the rename makes the other step of the plan not stale"
        await settled(world, specs("film"))
        assert len(effects(world, "create")) == 2 and len(effects(world, "message")) == 1

    in_world(test, tmp_path)


def test_a_lost_state_is_found_again_in_order(tmp_path):
    async def test(world):
        await settled(world, desired(TEASER, CUT))
        (tmp_path / "state.json").unlink()
        await settled(world, desired(TEASER, CUT))
        assert len(effects(world, "create")) == 2

    in_world(test, tmp_path)
