"""What the account can't tell of renders and links is asked one after the other; each answer counts at once, and ends it."""

from __future__ import annotations

import asyncio

import pytest

from reconciler.model.errors import UsageError
from reconciler.operations.state.edits import decide, recover_state
from tests.operations.operations_support import in_world
from tests.operations.test_deliver import delivered, finding, project, specs
from tests.operations.test_old_copies_of_renders import Copies

TITLES = {
    "a title of its own": {"title": "Only this one"},
    "no title": {},
    "no title, twice": {},
    "the same title twice": {"title": "Summer teaser"},
    "the title of another workspace": {"title": "Summer teaser"},
}
RENDERS = {"render and share": "4k", "only share": None}


async def lose(world, tmp_path, wanted, how, case=""):
    """Apply, and come to a state that does not know of it."""
    copies = Copies(tmp_path)
    if how == "old copy":
        await world.apply(specs(project(render=None, share=None, settings=wanted.settings)))
        copies.take()
    await world.apply(specs(wanted))
    await asyncio.sleep(1)
    others(world, case)
    if how == "old copy":
        copies.put_back()
        return
    (tmp_path / "state.json").unlink()
    if how == "recovered":
        await recover_state(
            world.workspace, world.api, specs(wanted), choose=lambda _: None, confirm=lambda _: True, lock_timeout=0
        )


def others(world, case):
    """Links of others with the same title."""
    if case == "no title, twice":
        world.store.person_shares(world.id("teaser"), title="A title")
    elif case == "the same title twice":
        world.store.person_shares(world.id("teaser"), title="Summer teaser")
    elif case == "the title of another workspace":
        world.store.person_shares(world.project(title="Theirs"), title="Summer teaser")


def answer(world, question, *, sent):
    """Answer as the finding says. Returns what counts as decided."""
    assert "--not-sent" in question.detail
    if sent and " --sent" not in question.detail:  # it can't be told, and says why
        with pytest.raises(UsageError, match="which share link") as refused:
            decide(world.workspace, "teaser", sent=True, lock_timeout=0)
        assert "--not-sent` only makes one more link" in refused.value.diagnostics[0].detail
        sent = False
    return decide(world.workspace, "teaser", sent=sent, lock_timeout=0)


async def ask_until_nothing_is_left(world, wanted, answers):
    """Apply and answer in turn. Returns the questions."""
    asked = []
    for _ in range(4):
        result = await world.apply(specs(wanted))
        plan = await world.plan(specs(wanted))
        if not plan.undecided:
            assert {r.outcome for r in result.results} <= {"done"} and result.converged
            break
        assert (
            result.undecided
            and not result.converged
            and not any(r.already for r in result.results if r.step.action in ("render", "share"))
        )
        asked.append("share" if "share link" in finding(plan)[0] else "render")
        assert answer(world, plan.undecided[0], sent=answers[asked[-1]]) == [
            {"share": "share link"}.get(asked[-1], asked[-1])
        ]
    plan = await world.plan(specs(wanted))
    assert not plan.steps and not finding(plan)
    return asked


@pytest.mark.sampled(3)
@pytest.mark.parametrize("how", ["old copy", "lost", pytest.param("recovered", marks=pytest.mark.sweep)])
@pytest.mark.parametrize("case", TITLES)
@pytest.mark.parametrize("render", RENDERS)
@pytest.mark.parametrize("answers", [(True, True), (True, False), (False, True)])
def test_each_question_comes_once_and_is_ended_by_its_answer(tmp_path, how, case, render, answers):
    async def go(world):
        wanted = project(render=RENDERS[render], share=TITLES[case], messages=(), settings={"title": "A title"})
        render_sent, share_sent = answers
        await lose(world, tmp_path, wanted, how, case)
        made = delivered(world)
        link = next(e.detail["share_url"] for e in world.store.ledger() if e.kind == "share")
        asked = await ask_until_nothing_is_left(world, wanted, {"render": render_sent, "share": share_sent})
        assert asked == list(dict.fromkeys(asked)), "no question comes twice"
        assert ("render" in asked) == (render == "render and share")
        more = delivered(world)[len(made) :]
        again = render == "render and share" and not render_sent
        assert more.count("render") == again
        shared = world.state().projects["teaser"].shared
        assert shared.share_url and shared.video_url and not shared.outdated
        alone = case in ("a title of its own", "no title")
        if again:
            assert more == ["render", "share"] and asked == ["render"]
        elif not more:
            assert alone and shared.share_url == link
        else:
            assert more == ["share"] and shared.share_url != link and (not share_sent or not alone)

    in_world(go, tmp_path)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("how", ["old copy", "lost", pytest.param("recovered", marks=pytest.mark.sweep)])
@pytest.mark.parametrize("sent", [True, False])
def test_where_only_a_render_is_asked_for_no_link_is_spoken_of(tmp_path, how, sent):
    async def go(world):
        wanted = project(render="4k", share=None, messages=())
        await lose(world, tmp_path, wanted, how)
        assert await ask_until_nothing_is_left(world, wanted, {"render": sent}) == ["render"]
        assert delivered(world) == ["render"] * (1 if sent else 2)

    in_world(go, tmp_path)


def test_a_link_that_one_project_was_given_is_not_offered_to_another(tmp_path):
    async def go(world):
        both = [project(name, render=None, share={}, messages=(), settings={"title": "Same"}) for name in "ab"]
        bare = [project(name, render=None, share=None, messages=(), settings={"title": "Same"}) for name in "ab"]
        copies = Copies(tmp_path)
        await world.apply(specs(*bare))
        copies.take()
        await world.apply(specs(bare[0], both[1]))
        copies.put_back()
        await world.apply(specs(*both))
        assert len((await world.plan(specs(*both))).undecided) == 2
        assert decide(world.workspace, "b", sent=True, lock_timeout=0) == ["share link"]
        await world.apply(specs(*both))
        assert delivered(world) == ["share", "share"]
        plan = await world.plan(specs(*both))
        assert not plan.steps and not finding(plan)
        urls = {entry.shared.share_url for entry in world.state().projects.values()}
        assert urls == {e.detail["share_url"] for e in world.store.ledger() if e.kind == "share"}

    in_world(go, tmp_path)


def test_an_account_full_of_links_does_not_fill_the_state(tmp_path):
    async def go(world):
        wanted = project(render=None, share={}, messages=(), settings={"title": "A title"})
        await lose(world, tmp_path, wanted, "old copy")
        for _ in range(50):
            world.store.person_shares(world.id("teaser"), title="A title")
        await world.apply(specs(wanted))
        (found,) = (await world.plan(specs(wanted))).undecided
        assert "10 or more links" in found.detail and "and 7 more" in found.detail
        assert len(world.state().projects["teaser"].shared.may_be) == 10

    in_world(go, tmp_path)
