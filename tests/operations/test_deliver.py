"""Renders and permanent links, once the messages are done: once each, never on a guess, and again after a later message."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from msgspec.structs import replace

from reconciler.model import contract
from reconciler.model.config import Policy
from reconciler.model.desired import (
    AdoptOrigin,
    CreateOrigin,
    Deliver,
    Desired,
    DesiredMessage,
    DesiredProject,
    ImportOrigin,
)
from reconciler.model.plan import Render, Share
from reconciler.operations.read.download import download_delivered
from reconciler.operations.state.edits import decide, recover_state
from reconciler.sandbox.store import Fault
from tests.operations.operations_support import in_world

SHARE = {"title": "Summer teaser", "description": "The short one."}


def project(address="teaser", *, messages=("Softer.",), render="1080p", share=SHARE, download=None, **more):
    more.setdefault("origin", CreateOrigin({"brief": f"A film about {address}."}))
    return DesiredProject(
        address=address,
        messages=tuple(DesiredMessage(str(n), {"message": text}) for n, text in enumerate(messages, 1)),
        deliver=Deliver(render=render, share=share, download=download),
        **more,
    )


def specs(*projects):
    return Desired("ws", {p.address: p for p in projects})


def kinds(world):
    return [e.kind for e in world.store.ledger()]


def delivered(world):
    return [kind for kind in kinds(world) if kind in ("render", "share")]


def outcomes(result):
    return {(r.step.address, r.step.action): r.outcome for r in result.results}


# ── the usual course ────────────────────────────────────────────────────────────────────────────────────────────────


def test_render_and_share_come_after_the_messages_and_nothing_is_left(tmp_path):
    async def go(world):
        made = await world.plan(specs(project()))
        assert [s.action for s in made.steps] == ["create", "message", "render", "share"]
        assert made.summary["render"] == made.summary["share"] == 1
        result = await world.apply(specs(project()), wait="steps")
        assert set(outcomes(result).values()) == {"done"}
        assert kinds(world) == ["create", "message", "render", "share"]
        entry = world.state().projects["teaser"]
        link = next(e.detail["share_url"] for e in world.store.ledger() if e.kind == "share")
        assert entry.shared is not None
        assert entry.shared.share_url == link
        assert entry.rendered is not None
        assert entry.rendered.quality == "1080p"
        left = await world.plan(specs(project()))
        assert not left.steps
        assert left.unchanged == 1

    in_world(go, tmp_path)


def test_a_later_message_makes_both_due_again_and_an_edit_of_a_setting_does_not(tmp_path):
    async def go(world):
        await world.apply(specs(project()))
        settings = {"title": "Another title"}
        result = await world.apply(specs(project(settings=settings)))
        assert [r.step.action for r in result.results] == ["update"]
        result = await world.apply(specs(project(settings=settings, messages=("Softer.", "Louder."))))
        assert [r.step.action for r in result.results] == ["message", "render", "share"]
        assert delivered(world) == ["render", "share"] * 2
        links = [e.detail["share_url"] for e in world.store.ledger() if e.kind == "share"]
        shared = world.state().projects["teaser"].shared
        assert shared is not None
        assert shared.share_url == links[-1]

    in_world(go, tmp_path)


def test_another_quality_is_a_reason_to_render_again_and_another_title_of_the_link_is_not(tmp_path):
    async def go(world):
        await world.apply(specs(project()))
        assert not (await world.plan(specs(project(share={"title": "Other"})))).steps
        plan = await world.plan(specs(project(render="4k")))
        assert [s.action for s in plan.steps] == ["render", "share"]
        before = world.store.credits()
        await world.apply(specs(project(render="4k")))
        assert world.store.credits() == before - 10
        assert delivered(world) == ["render", "share"] * 2

    in_world(go, tmp_path)


@pytest.mark.parametrize(
    ("render", "share", "wanted"),
    [("1080p", None, ["render"]), (None, {}, ["share"]), (None, None, [])],
    ids=["render only", "share only", "neither"],
)
def test_each_can_be_asked_for_by_itself(tmp_path, render, share, wanted):
    async def go(world):
        await world.apply(specs(project(render=render, share=share)))
        assert delivered(world) == wanted
        assert not (await world.plan(specs(project(render=render, share=share)))).steps

    in_world(go, tmp_path)


def test_what_is_not_waited_for_stays_for_the_next_apply(tmp_path):
    async def go(world):
        for _ in range(20):
            await world.apply(specs(project()), wait="none")
            world.store.finish_all()
        assert kinds(world) == ["create", "message", "render", "share"]
        assert not (await world.plan(specs(project()))).steps

    in_world(go, tmp_path)


def test_a_render_of_a_person_changes_nothing(tmp_path):
    async def go(world):
        await world.apply(specs(project()))
        world.store.person_renders(world.id("teaser"))
        world.store.finish_all()
        await world.apply(specs(project()))
        assert delivered(world) == ["render", "share"]

    in_world(go, tmp_path)


def test_adopted_and_released_projects_are_delivered_before_the_studio_gets_them(tmp_path):
    async def go(world):
        adopted = project(
            origin=AdoptOrigin("51d10000-0000-4000-8000-000000000001"), settings={"mode": "none"}, messages=()
        )
        result = await world.apply(specs(adopted))
        assert [r.step.action for r in result.results] == ["adopt", "render", "share", "update"]
        assert set(outcomes(result).values()) == {"done"}
        assert not (await world.plan(specs(adopted))).steps

    in_world(go, tmp_path)


# ── money and limits ────────────────────────────────────────────────────────────────────────────────────────────────


def test_renders_are_limited_by_the_policy_before_the_first_call(tmp_path):
    async def go(world):
        await world.plan(specs(project("a"), project("b")))
        assert [d.summary for d in world.refused] == ["2 renders, but `policy.max_renders` allows 1"]

    in_world(go, tmp_path, policy=Policy(max_share=None, max_renders=1))


def test_a_free_render_goes_on_where_credits_ran_out_and_a_4k_one_does_not(tmp_path):
    async def go(world):
        free, dear = project("a", messages=()), project("b", messages=(), render="4k")
        await world.apply(
            specs(
                project("a", messages=(), render=None, share=None), project("b", messages=(), render=None, share=None)
            )
        )
        world.store.set_credits(0)
        result = await world.apply(specs(free, dear))
        assert outcomes(result)["a", "render"] == "done"
        assert outcomes(result)["b", "render"] == "failed"
        assert outcomes(result)["b", "share"] == "skipped"

    in_world(go, tmp_path)


def test_the_limit_of_a_day_is_an_error_of_that_project_alone(tmp_path):
    async def go(world):
        result = await world.apply(specs(project("a"), project("b")))
        assert sorted(o for (_, action), o in outcomes(result).items() if action == "render") == ["done", "failed"]
        assert all(o == "done" for (_, action), o in outcomes(result).items() if action == "message")
        error = next(r.error for r in result.results if r.outcome == "failed")
        assert error is not None
        assert "in a day" in f"{error.summary} {error.detail}"

    in_world(go, tmp_path, renders_per_day=1)


# ── lost answers ────────────────────────────────────────────────────────────────────────────────────────────────────

LOST = {
    "no answer, not done": {"kind": "reset", "when": "before"},
    "no answer, done": {"kind": "reset", "when": "after"},
    "cut, done": {"kind": "truncated", "when": "after"},
    "500, not done": {"kind": "status", "status": 500, "when": "before"},
    "500, done": {"kind": "status", "status": 500, "when": "after"},
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("what", ["render", "share"])
@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize("rendered_before", [False, True])
def test_a_lost_answer_never_makes_it_twice(tmp_path, what, fault, rendered_before):
    async def go(world):
        wanted = project(render="4k")
        if rendered_before:
            await world.apply(specs(wanted))
            wanted = project(render="4k", messages=("Softer.", "Louder."))
        before = delivered(world)
        world.store.add_fault(Fault(method="POST", path=f"/{what}$", **LOST[fault]))
        result = await world.apply(specs(wanted))
        assert set(outcomes(result).values()) == {"done"}, outcomes(result)
        assert delivered(world)[len(before) :] == ["render", "share"]
        assert not (await world.plan(specs(wanted))).steps
        shared = world.state().projects["teaser"].shared
        assert shared is not None
        assert shared.share_url == [e.detail["share_url"] for e in world.store.ledger() if e.kind == "share"][-1]

    in_world(go, tmp_path)


def late(call, seconds):
    """The call, whose answer takes that long."""

    async def answered(*arguments):
        try:
            return await call(*arguments)
        finally:
            await asyncio.sleep(seconds)

    return answered


LIMITED = {"status": 429, "code": "rate_limited", "retry_after": "30"}
REFUSED = {"status": 409, "code": "conflict"}, {"status": 400, "code": "invalid_status"}, LIMITED


@pytest.mark.parametrize("refused", REFUSED, ids=lambda refused: str(refused["status"]))
@pytest.mark.parametrize("rendered_before", [False, True])
@pytest.mark.parametrize("seconds", [0, 60], ids=["while it renders", "once it has rendered"])
def test_a_request_that_a_proxy_sent_twice_renders_once(monkeypatch, tmp_path, refused, rendered_before, seconds):
    """The first copy renders, the second is refused, and that is the answer."""

    async def go(world):
        wanted = project(share=None)
        if rendered_before:
            await world.apply(specs(wanted))
            wanted = project(share=None, messages=("Softer.", "Louder."))
        before = delivered(world)
        world.store.add_fault(Fault(method="POST", path="/render$", kind="status", when="after", **refused))
        monkeypatch.setattr(world.api, "render", late(world.api.render, seconds))
        result = await world.apply(specs(wanted))
        assert set(outcomes(result).values()) == {"done"}, outcomes(result)
        assert delivered(world)[len(before) :] == ["render"]
        assert not (await world.plan(specs(wanted))).steps

    in_world(go, tmp_path)


@pytest.mark.parametrize("when", ["before", "after"])
def test_after_a_refusal_and_a_change_by_a_person_the_user_decides(monkeypatch, tmp_path, when):
    """A person renames the project meanwhile: nothing tells whether the video that is there was made by the first copy."""

    async def go(world):
        await world.apply(specs(project(share=None)))
        wanted = project(share=None, messages=("Softer.", "Louder."))

        async def renamed(*arguments):
            try:
                return await call(*arguments)
            finally:
                world.store.finish_all()
                world.store.person_sets(world.id("teaser"), title="Theirs")

        call = world.api.render
        monkeypatch.setattr(world.api, "render", renamed)
        world.store.add_fault(Fault(method="POST", path="/render$", kind="status", when=when, **REFUSED[0]))
        result = await world.apply(specs(wanted))
        assert outcomes(result)["teaser", "render"] == ("unknown" if when == "before" else "done"), outcomes(result)
        assert delivered(world) == ["render"] * (1 if when == "before" else 2)

    in_world(go, tmp_path)


@pytest.mark.parametrize("refused", REFUSED, ids=lambda refused: str(refused["status"]))
def test_a_render_that_the_status_forbade_is_made_later(tmp_path, refused):
    """Nothing was done, and the video is the one from before."""

    async def go(world):
        world.store.add_fault(Fault(method="POST", path="/render$", kind="status", when="before", **refused))
        result = await world.apply(specs(project(share=None)))
        assert set(outcomes(result).values()) == {"done"}, outcomes(result)
        assert delivered(world) == ["render"]

    in_world(go, tmp_path)


@pytest.mark.parametrize("sent", [True, False])
def test_where_nothing_tells_the_user_decides(tmp_path, sent):
    """A person's message sets the agent to work while the answer is lost: its video is another one in any case."""

    async def go(world):
        await world.apply(specs(project(render=None, share=None)))
        world.store.add_fault(Fault(method="POST", path="/render$", kind="reset", when="after"))
        world.store.add_fault(Fault(method="GET", path="^/projects/[^/]+$", kind="status", status=500, times=0, skip=1))
        result = await world.apply(specs(project(share=None)))
        assert outcomes(result)["teaser", "render"] == "unknown"
        world.store.clear_faults()
        world.store.finish_all()
        world.store.person_writes(world.id("teaser"), "Something else.")
        plan = (await world.apply(specs(project(share=None)), wait="none")).plan
        assert not plan.steps
        assert any("it is unknown whether the render" in d.summary for d in plan.diagnostics)
        world.store.finish_all()
        decide(world.workspace, "teaser", sent=sent, lock_timeout=0)
        await world.apply(specs(project(share=None)))
        assert delivered(world) == ["render"] * (1 if sent else 2)

    in_world(go, tmp_path)


def test_a_link_of_a_person_is_not_taken_for_ours(tmp_path):
    async def go(world):
        await world.apply(specs(project(share=None)))
        world.store.add_fault(Fault(method="POST", path="/share$", kind="reset", when="after"))
        world.store.add_fault(Fault(method="GET", path="^/account/shares$", kind="status", status=500, times=0, skip=1))
        result = await world.apply(specs(project()))
        assert outcomes(result)["teaser", "share"] == "unknown"
        world.store.clear_faults()
        world.store.person_shares(world.id("teaser"), title="Summer teaser")
        result = await world.apply(specs(project()))
        assert not result.results
        assert any("it is unknown whether the share" in d.summary for d in result.plan.diagnostics)
        assert delivered(world) == ["render", "share"]

    in_world(go, tmp_path)


def test_two_projects_whose_shares_are_lost_get_their_own_links(tmp_path):
    async def go(world):
        both = [project(name, share={}) for name in ("a", "b")]
        world.store.add_fault(Fault(method="POST", path="/share$", kind="reset", when="after", times=2))
        result = await world.apply(specs(*both))
        assert set(outcomes(result).values()) == {"done"}
        links = {e.project_id: e.detail["share_url"] for e in world.store.ledger() if e.kind == "share"}
        assert len(links) == 2
        for name in ("a", "b"):
            shared = world.state().projects[name].shared
            assert shared is not None
            assert shared.share_url == links[world.id(name)]

    in_world(go, tmp_path)


# ── an API without the calls ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [404, 405])
def test_an_api_without_the_call_is_a_finding_and_nothing_else_fails(tmp_path, status):
    async def go(world):
        world.store.add_fault(Fault(method="POST", path="/render$", kind="status", status=status, times=0))
        result = await world.apply(specs(project("a"), project("b"), project("c", render=None, share=None)))
        assert {a: o for (a, action), o in outcomes(result).items() if action == "message"} == dict.fromkeys(
            "abc", "done"
        )
        errors = [r.error.summary for r in result.results if r.outcome == "failed" and r.error]
        assert len(errors) == 2
        assert all("no call `POST /projects/:id/render`" in error for error in errors)
        assert sum(path.endswith("/render") for _, path in world.calls()) <= 2

    in_world(go, tmp_path)


@pytest.fixture
def without():
    """``without(renders={})``: the version in use lacks something."""
    before = contract.current()
    yield lambda **lacking: contract.use(replace(before, **lacking))
    contract.use(before)


@pytest.mark.parametrize(
    ("lacking", "said", "still"),
    [
        ({"renders": {}}, "a render in 1080p", []),
        ({"renders": {"4k": 10}}, "a render in 1080p", []),
        ({"shares": False}, "permanent links", ["render"]),
        ({"renders": {}, "shares": False, "beyond": ()}, "a render in 1080p", []),
    ],
)
def test_a_version_without_the_call_is_a_finding_and_nothing_else_fails(tmp_path, without, lacking, said, still):
    async def go(world):
        without(**lacking)
        result = await world.apply(specs(project()))
        assert {r.outcome for r in result.results} == {"done"}
        assert kinds(world) == ["create", "message", *still]
        plan = await world.plan(specs(project()))
        assert not plan.errors
        assert any(said in d.summary for d in plan.diagnostics if d.attention)

    in_world(go, tmp_path)


def test_a_share_is_made_where_the_account_does_not_list_them(tmp_path):
    async def go(world):
        world.store.add_fault(Fault(method="GET", path="/account/shares$", kind="status", status=404, times=0))
        result = await world.apply(specs(project()))
        assert set(outcomes(result).values()) == {"done"}
        assert delivered(world) == ["render", "share"]

    in_world(go, tmp_path)


# ── a state that was lost, or is an old copy ────────────────────────────────────────────────────────────────────────


def finding(plan):
    return [d.summary for d in plan.diagnostics if d.attention and d.kind == "undecided"]


@pytest.mark.parametrize("how", ["apply", "recover"])
@pytest.mark.parametrize("sent", [True, False])
def test_a_lost_state_renders_nothing_on_a_guess(tmp_path, how, sent):
    async def go(world):
        wanted = specs(project(render="4k"))
        await world.apply(wanted)
        (tmp_path / "state.json").unlink()
        if how == "recover":
            await recover_state(
                world.workspace, world.api, wanted, choose=lambda _: None, confirm=lambda _: True, lock_timeout=0
            )
        await world.apply(wanted)
        assert kinds(world) == ["create", "message", "render", "share"]
        plan = await world.plan(wanted)
        assert not plan.steps
        assert finding(plan)
        decide(world.workspace, "teaser", sent=sent, lock_timeout=0)
        result = await world.apply(wanted)
        assert set(outcomes(result).values()) <= {"done"}
        assert kinds(world).count("render") == (1 if sent else 2)
        assert kinds(world).count("share") == (1 if sent else 2)
        shared = world.state().projects["teaser"].shared
        assert shared is not None
        assert shared.share_url == [e.detail["share_url"] for e in world.store.ledger() if e.kind == "share"][-1]
        plan = await world.plan(wanted)
        assert not plan.steps
        assert not finding(plan)

    in_world(go, tmp_path)


def test_after_a_lost_state_the_next_message_is_rendered(tmp_path):
    async def go(world):
        await world.apply(specs(project()))
        (tmp_path / "state.json").unlink()
        wanted = specs(project(messages=("Softer.", "Louder.")))
        await world.apply(wanted)
        assert kinds(world).count("render") == 2
        assert kinds(world).count("message") == 2
        assert not (await world.plan(wanted)).steps

    in_world(go, tmp_path)


def test_an_old_copy_of_the_state_does_not_render_what_it_does_not_know(tmp_path):
    async def go(world):
        await world.apply(specs(project()))
        old = (tmp_path / "state.json").read_bytes()
        wanted = specs(project(messages=("Softer.", "Louder.")))
        await world.apply(wanted)
        (tmp_path / "state.json").write_bytes(old)
        await world.apply(wanted)
        assert kinds(world) == ["create", "message", "render", "share", "message", "render", "share"]
        assert finding(await world.plan(wanted))

    in_world(go, tmp_path)


def test_a_project_that_was_imported_with_a_video_is_not_rendered_on_a_guess(tmp_path):
    async def go(world):
        wanted = specs(project(origin=ImportOrigin(world.project()), messages=()))
        plan = (await world.apply(wanted)).plan
        assert not delivered(world)
        assert finding(await world.plan(wanted)), plan.diagnostics

    in_world(go, tmp_path)


def test_a_state_of_before_there_was_deliver_is_read(tmp_path):
    async def go(world):
        await world.apply(specs(project(render=None, share=None)))
        document = json.loads((tmp_path / "state.json").read_text())
        for name in ("rendered", "shared"):
            del document["projects"]["teaser"][name]
        (tmp_path / "state.json").write_text(json.dumps(document))
        plan = await world.plan(specs(project()))
        assert [s.action for s in plan.steps] == ["render", "share"]

    in_world(go, tmp_path)


# ── saved plans ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_saved_plan_with_a_render_is_stale_once_it_was_rendered(tmp_path):
    async def go(world):
        await world.apply(specs(project(render=None, share=None)))
        saved = await world.plan(specs(project()))
        assert {type(s) for s in saved.steps} == {Render, Share}
        result = await world.apply(saved=saved)
        assert set(outcomes(result).values()) == {"done"}
        again = await world.apply(saved=saved)
        assert all(r.already for r in again.results)
        other = await world.plan(specs(project(messages=("Softer.", "Louder."))))
        await world.apply(specs(project(render="4k")))
        result = await world.apply(saved=other)
        assert "stale" in result.results[0].error.summary
        assert delivered(world) == ["render", "share"] * 2

    in_world(go, tmp_path)


# ── the permanent link ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_reference_prefers_the_permanent_link(tmp_path):
    async def go(world):
        cut = DesiredProject(
            address="cut",
            origin=CreateOrigin({"brief": "A cut.", "references": [{"project": "teaser", "type": "video"}]}),
        )
        await world.apply(specs(project(), cut))
        shared = world.state().projects["teaser"].shared
        assert shared is not None
        body = next(e.detail for e in world.store.ledger() if e.kind == "create" and "references" in e.detail)
        assert body["references"] == [{"url": shared.video_url, "type": "video"}]
        transport = httpx.ASGITransport(world.api._transport.app)
        async with httpx.AsyncClient(transport=transport) as client:
            for url in (shared.video_url, shared.share_url):
                assert (await client.get(url)).status_code == 200

    in_world(go, tmp_path)


# ── downloads of many ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.sampled(6)
@pytest.mark.parametrize("render", [None, "1080p"])
@pytest.mark.parametrize("wait", ["none", "idle"])
def test_downloads_cost_no_call_where_the_list_has_just_told_the_urls(tmp_path, render, wait):
    """Intent: an apply of thousands that are delivered reads the list, and asks for none of them."""
    many = specs(
        *(project(f"p{n}", messages=(), render=render, share=None, download="out") for n in range(12)),
    )

    async def go(world):
        async def load():
            world.store.clear_requests()
            entries = world.state().projects
            folders = dict.fromkeys(entries, "out")
            async with world.media() as media:
                found = await download_delivered(
                    *(world.api, media, entries, folders, tmp_path),
                    now=world.now(), tell=lambda *_: None, changed=(), fresh=True,
                )  # fmt: skip
            return {each.outcome for each in found}, [path for _, path in world.calls() if "/media/" not in path]

        for _ in range(4):
            await world.apply(many, wait=wait)
            await asyncio.sleep(120)
        await world.apply(many, wait="none")
        assert await load() == ({"fetched"}, [])
        await world.apply(many)
        assert await load() == ({"kept"}, [])
        await asyncio.sleep(30 * 3600)
        await world.apply(many)
        assert await load() == ({"kept"}, []), "a URL that has died since is no reason to fail"

    in_world(go, tmp_path, active=50)
