"""Projects that wait for others: what a plan says they wait for, and when it says that they wait in vain."""

from __future__ import annotations

import pytest

from reconciler.model.desired import Moved
from reconciler.model.plan import Message
from reconciler.planning.selection import with_dependencies
from tests.planning.planning_support import (
    account,
    actions,
    adopted,
    bound,
    created,
    desired,
    entry,
    finding,
    live,
    only,
    plan,
    quiet,
    sent,
    state,
)

VIDEO = {"project": "teaser", "type": "video"}
TEASER = created("teaser", brief="Teaser.")
CUT = created("cut", brief="Cut.", creation={"references": [VIDEO]})
LATER = created("later", brief="Later.", depends_on=("teaser",))
TELLS = ("1", {"message": "Look at this.", "references": [VIDEO]})
URL = "https://cdn/teaser.mp4"


def steps(made, address):
    return [step for step in made.steps if step.address == address]


def teaser(**more):
    return live("t", brief="Teaser.", **more)


def test_a_create_with_the_video_of_a_project_that_is_to_be_made_waits_for_that_video():
    made = plan(desired(CUT, TEASER))
    (cut,) = steps(made, "cut")
    assert (cut.ready, cut.waits_for, cut.after) == (False, "`teaser` to have a rendered video", ("teaser",))
    assert cut.body["references"] == [VIDEO]
    assert steps(made, "teaser")[0].ready


def test_order_alone_waits_until_the_other_has_finished():
    (step,) = steps(plan(desired(TEASER, LATER)), "later")
    assert (step.waits_for, step.after) == ("`teaser` to finish", ("teaser",))
    assert "references" not in step.body


@pytest.mark.parametrize(
    ("status", "url", "cut", "later"),
    [
        ("generating", None, False, False),
        ("idle", None, False, True),
        ("idle", URL, True, True),
        ("rendering", URL, False, False),
        ("dancing", URL, False, False),
    ],
)
def test_a_project_that_is_there_is_waited_for_as_long_as_it_works(status, url, cut, later):
    """An idle agent without a video is enough for order, not for a reference; an unknown status counts as at work."""
    made = plan(
        desired(TEASER, CUT, LATER),
        state(teaser=entry("t", brief="Teaser.")),
        teaser(status=status, assembled_url=url),
    )
    assert [steps(made, address)[0].ready for address in ("cut", "later")] == [cut, later]
    assert all(steps(made, address)[0].after == ("teaser",) for address in ("cut", "later"))


def test_a_project_that_is_about_to_get_a_message_is_waited_for_though_it_is_idle():
    told = created("teaser", brief="Teaser.", messages=["Louder."])
    have = state(teaser=entry("t", brief="Teaser."))
    made = plan(desired(told, CUT, LATER), have, teaser(assembled_url=URL))
    assert not any(steps(made, address)[0].ready for address in ("cut", "later"))


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_what_is_over_is_waited_for_in_vain_and_nothing_is_planned_on_it(status):
    made = plan(desired(TEASER, CUT), state(teaser=entry("t", brief="Teaser.")), teaser(status=status))
    assert not steps(made, "cut")
    found = next(d for d in made.diagnostics if d.address == "cut")
    assert found.attention and found.severity == "warning"
    assert found.summary == f"`cut` waits for `teaser`, which will not be ready: it is {status}"
    assert made.summary["attention"] == 2


def test_a_failed_one_that_is_made_anew_is_waited_for():
    again = created("teaser", brief="Teaser.", lifecycle={"on_failed": "recreate"})
    made = plan(desired(again, CUT), state(teaser=entry("t", brief="Teaser.")), teaser(status="failed"))
    assert actions(made) == ["replace", "create"]
    assert steps(made, "cut")[0].waits_for == "`teaser` to have a rendered video"


def test_waiting_in_vain_is_passed_on():
    last = created("last", brief="Last.", depends_on=("cut",))
    made = plan(desired(last, CUT, TEASER), state(teaser=entry("t", brief="Teaser.")), teaser(status="failed"))
    assert not made.steps
    assert "this plan does not create it" in next(d.summary for d in made.diagnostics if d.address == "last")


def test_one_that_is_declared_cancelled_is_waited_for_in_vain():
    made = plan(desired(created("teaser", cancelled=True), LATER))
    assert "state: cancelled" in finding(made).summary
    assert not made.steps


def test_a_message_waits_for_the_videos_that_it_shows_and_updates_do_not_wait():
    cut = created("cut", brief="Cut.", settings={"title": "New"}, messages=[TELLS, "And then."])
    have = state(cut=entry("c", brief="Cut.", settings={"title": "Old"}))
    made = plan(desired(cut, TEASER), have, account(live("c", brief="Cut.", title="Old")))
    update, first, second = steps(made, "cut")
    assert (update.ready, update.after) == (True, ())
    assert (first.waits_for, first.after) == ("`teaser` to have a rendered video", ("teaser",))
    assert second.after == ()


def test_a_message_in_vain_takes_what_follows_it_along_and_leaves_what_is_before():
    cut = created("cut", brief="Cut.", settings={"mode": "none"}, messages=["First.", TELLS, "Last."])
    have = state(cut=entry("c", brief="Cut."), teaser=entry("t", brief="Teaser."))
    made = plan(desired(cut, TEASER), have, account(live("c", brief="Cut."), teaser(status="failed")))
    assert [step.message.body["message"] for step in made.steps if isinstance(step, Message)] == ["First."]
    assert actions(made) == ["message"], "the project is not handed over before its messages are sent"


def test_what_several_steps_of_a_project_wait_for_is_said_once():
    later = created("later", brief="Later.", depends_on=("teaser",), messages=["One."])
    create, message = steps(plan(desired(TEASER, later)), "later")
    assert (create.waits_for, message.waits_for) == ("`teaser` to finish", "the agent to become idle")
    assert create.after == message.after == ("teaser",)


def test_many_are_counted_and_not_all_named():
    many = [created(f"p{n}", brief=f"{n}.") for n in range(6)]
    last = created("last", brief="Last.", depends_on=tuple(p.address for p in many))
    (step,) = steps(plan(desired(*many, last)), "last")
    assert step.waits_for == "`p0`, `p1`, `p2` and 3 more to finish"


def test_adopted_and_imported_ones_can_be_waited_for():
    specs = desired(adopted("teaser"), imported_later := created("later", brief="L.", depends_on=("teaser",)))
    assert steps(plan(specs), imported_later.address)[0].waits_for == "`teaser` to finish"
    have = state(teaser=bound("t", origin="adopted", studio_id="studio_1"))
    assert only(plan(specs, have, account(live("t", source_project_id="studio_1")))).ready


# ── names ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_renamed_project_is_no_change_for_those_that_refer_to_it():
    """The state says the old name, the specs the new one: neither a replacement nor an edited message."""
    as_new = {"project": "trailer", "type": "video"}
    cut = created(
        "cut", brief="Cut.", creation={"references": [as_new]}, messages=[("1", {**TELLS[1], "references": [as_new]})]
    )
    have = state(
        teaser=entry("t", brief="Teaser."),
        cut=entry("c", brief="Cut.", creation={"references": [VIDEO]}, messages=sent(TELLS)),
    )
    seen = account(live("c", brief="Cut."), teaser(assembled_url=URL))
    made = plan(desired(created("trailer", brief="Teaser."), cut, moved=(Moved("teaser", "trailer"),)), have, seen)
    assert actions(made) == ["move"] and not made.diagnostics


def test_so_is_one_that_the_state_has_forgotten_and_that_is_made_under_its_new_name():
    """There is nothing to move. The reference means the same as before."""
    as_new = {"project": "trailer", "type": "video"}
    cut = created("cut", brief="Cut.", creation={"references": [as_new]})
    have = state(cut=entry("c", brief="Cut.", creation={"references": [VIDEO]}))
    wanted = desired(created("trailer", brief="Teaser."), cut, moved=(Moved("teaser", "trailer"),))
    made = plan(wanted, have, account(live("c", brief="Cut.")))
    assert [(step.action, step.address) for step in made.steps] == [("create", "trailer")]


def test_a_name_that_another_project_has_by_now_means_that_one():
    cut = created("cut", brief="Cut.", creation={"references": [{"project": "trailer", "type": "video"}]})
    have = state(cut=entry("c", brief="Cut.", creation={"references": [VIDEO]}))
    wanted = desired(TEASER, created("trailer", brief="Trailer."), cut, moved=(Moved("teaser", "trailer"),))
    assert "replace" in actions(plan(wanted, have, account(live("c", brief="Cut."))))


def test_another_project_in_its_place_is_a_change():
    other = {"project": "other", "type": "video"}
    have = state(
        teaser=entry("t", brief="Teaser."),
        other=entry("o", brief="Other."),
        cut=entry("c", brief="Cut.", creation={"references": [VIDEO]}, messages=sent(TELLS)),
    )
    seen = account(live("c", brief="Cut."), live("o", brief="Other.", assembled_url=URL), teaser(assembled_url=URL))
    rest = (TEASER, created("other", brief="Other."))
    made = plan(desired(*rest, created("cut", brief="Cut.", creation={"references": [other]})), have, seen)
    assert actions(made) == ["replace"]
    told = created(
        "cut", brief="Cut.", creation={"references": [VIDEO]}, messages=[("1", {**TELLS[1], "references": [other]})]
    )
    assert "was edited after it was sent" in finding(plan(desired(*rest, told), have, seen)).summary


def test_a_new_video_is_no_change():
    have = state(teaser=entry("t", brief="Teaser."), cut=entry("c", brief="Cut.", creation={"references": [VIDEO]}))
    for url in (URL, "https://cdn/another.mp4", None):
        assert quiet(plan(desired(TEASER, CUT), have, account(live("c", brief="Cut."), teaser(assembled_url=url))))


def test_targets_take_along_what_they_wait_for():
    last = created("last", brief="Last.", depends_on=("cut",))
    specs = desired(TEASER, CUT, last, created("alone"))
    assert with_dependencies(frozenset({"last"}), specs) == {"last", "cut", "teaser"}
    assert with_dependencies(frozenset({"alone", "gone"}), specs) == {"alone", "gone"}


def test_each_reference_to_a_project_is_counted_as_a_request():
    with_two = created("cut", brief="Cut.", creation={"references": [VIDEO, VIDEO, {"project": "b", "type": "video"}]})
    assert plan(desired(TEASER, created("b"), with_two)).requests_needed == 3 + 2
