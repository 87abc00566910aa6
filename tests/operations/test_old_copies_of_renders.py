"""An old copy of the state, or a second one, renders and shares nothing a second time: what the account has is found first."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from msgspec.structs import replace

from reconciler.model import contract
from reconciler.model.desired import AdoptOrigin, CreateOrigin
from reconciler.operations.state.edits import decide
from reconciler.sandbox.app import create_app
from reconciler.sandbox.faults import Fault
from tests.operations.operations_support import in_world
from tests.operations.test_deliver import delivered, finding, kinds, outcomes, project, specs

PLAIN = {"render": None, "share": None}
QUALITIES = ["1080p", "4k"]


class Copies:
    """The state's file, taken and put back."""

    def __init__(self, folder):
        self._path = folder / "state.json"
        self._taken = b""

    def take(self):
        self._taken = self._path.read_bytes()

    def put_back(self):
        self._path.write_bytes(self._taken)


async def idle_before(world, copies, wanted):
    """A copy whose writer saw the agent become idle: `deliver` came later."""
    await world.apply(specs(replace(wanted, deliver=project(**PLAIN).deliver)))
    copies.take()


async def never_idle(world, copies, wanted):
    """A copy whose writer did not wait for the agent: `--wait none`."""
    await world.apply(specs(wanted), wait="none")
    await asyncio.sleep(60)
    await world.apply(specs(wanted), wait="none")
    assert kinds(world) == ["create", "message"]
    copies.take()
    await asyncio.sleep(60)


async def before_a_message(world, copies, wanted):
    """A copy that knows an earlier render, and the message after it."""
    await world.apply(specs(wanted))
    more = replace(wanted, deliver=project(**PLAIN).deliver)
    await world.apply(specs(replace(more, messages=project(messages=("Softer.", "Louder.")).messages)))
    copies.take()


COPIES = [idle_before, never_idle, before_a_message]


def wanted_of(course, quality, share=None):
    messages = ("Softer.", "Louder.") if course is before_a_message else ("Softer.",)
    return project(render=quality, messages=messages, **({} if share is None else {"share": share}))


async def begin(world, tmp_path, course, quality):
    copies = Copies(tmp_path)
    first = project(render=quality)
    await course(world, copies, first)
    return copies, wanted_of(course, quality)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize("course", COPIES)
@pytest.mark.parametrize("version", contract.versions())
def test_an_old_copy_from_before_the_render_does_not_render_again(tmp_path, course, quality, version):
    async def go(world):
        copies, wanted = await begin(world, tmp_path, course, quality)
        result = await world.apply(specs(wanted))
        assert set(outcomes(result).values()) == {"done"}
        before = delivered(world)
        assert before[-2:] == ["render", "share"]
        balance = world.store.credits()
        copies.put_back()
        result = await world.apply(specs(wanted))
        assert delivered(world) == before and world.store.credits() == balance
        assert [r.outcome for r in result.results] == ["unknown", "skipped"] and not result.converged
        assert "rendered as its spec says" in result.results[0].error.summary
        assert "state resolve teaser --not-sent" in result.results[0].error.detail
        plan = await world.plan(specs(wanted))
        assert finding(plan) and not plan.steps

    with contract.kept():
        contract.choose(version)
        in_world(go, tmp_path)


@pytest.mark.parametrize("course", COPIES)
def test_a_server_that_has_forgotten_where_the_old_copy_looked_last_renders_nothing_again(tmp_path, course):
    """It says that no message came since, which tells nothing of the video."""

    async def go(world):
        copies, wanted = await begin(world, tmp_path, course, "1080p")
        await world.apply(specs(wanted))
        before = delivered(world)
        copies.put_back()
        world.store.forget_cursors()
        result = await world.apply(specs(wanted))
        assert delivered(world) == before
        assert [r.outcome for r in result.results] == ["unknown", "skipped"]

    in_world(go, tmp_path, unknown_cursor="empty")


@pytest.mark.parametrize("course", COPIES)
def test_without_an_old_copy_the_same_course_renders_once_and_leaves_nothing(tmp_path, course):
    """Intent: none of it keeps a render from being made that is due."""

    async def go(world):
        _, wanted = await begin(world, tmp_path, course, "4k")
        earlier = len(delivered(world))
        await asyncio.sleep(3600)
        for _ in range(4):
            await world.apply(specs(wanted), wait="none")
            await asyncio.sleep(3600)
        assert delivered(world)[earlier:] == ["render", "share"]
        plan = await world.plan(specs(wanted))
        assert not plan.steps and not finding(plan)

    in_world(go, tmp_path)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("course", COPIES)
@pytest.mark.parametrize("sent", [True, False])
def test_the_user_decides_and_then_nothing_is_left(tmp_path, course, sent):
    async def go(world):
        copies, wanted = await begin(world, tmp_path, course, "4k")
        await world.apply(specs(wanted))
        before, links = delivered(world), [e.detail["share_url"] for e in world.store.ledger() if e.kind == "share"]
        copies.put_back()
        await world.apply(specs(wanted))
        decide(world.workspace, "teaser", sent=sent, lock_timeout=0)
        result = await world.apply(specs(wanted))
        assert set(outcomes(result).values()) <= {"done"}
        assert delivered(world)[len(before) :] == ([] if sent else ["render", "share"])
        shared = world.state().projects["teaser"].shared
        assert not sent or shared.share_url == links[-1]
        plan = await world.plan(specs(wanted))
        assert not plan.steps and not finding(plan)

    in_world(go, tmp_path)


def test_two_runners_with_a_state_each_render_once(tmp_path):
    async def go(world):
        copies = Copies(tmp_path)
        wanted = project(render="4k")
        await idle_before(world, copies, wanted)
        await world.apply(specs(wanted))  # one of them
        copies.put_back()  # the other one's
        await world.apply(specs(wanted))
        await world.apply(specs(wanted))
        assert delivered(world) == ["render", "share"]

    in_world(go, tmp_path)


@pytest.mark.parametrize("share", [{"title": "Summer teaser"}, {}])
@pytest.mark.parametrize("render", ["4k", None])
def test_an_old_copy_from_between_render_and_share_makes_no_second_link(tmp_path, share, render):
    async def go(world):
        copies = Copies(tmp_path)
        settings = {"title": "A title"}
        await world.apply(specs(project(render=render, share=None, settings=settings)))
        copies.take()
        wanted = project(render=render, share=share, settings=settings)
        await world.apply(specs(wanted))
        copies.put_back()
        await world.apply(specs(wanted))
        assert delivered(world).count("share") == 1
        assert finding(await world.plan(specs(wanted)))
        decide(world.workspace, "teaser", sent=False, lock_timeout=0)
        result = await world.apply(specs(wanted))
        assert outcomes(result)["teaser", "share"] == "done"
        assert delivered(world).count("share") == 2
        assert not (await world.plan(specs(wanted))).steps

    in_world(go, tmp_path)


def test_a_link_of_another_title_or_an_earlier_one_is_no_reason_to_stop(tmp_path):
    async def go(world):
        await world.apply(specs(project(share=None)))
        world.store.person_shares(world.id("teaser"), title="Another title")
        await world.apply(specs(project()))
        assert delivered(world) == ["render", "share"]
        for n in range(3):  # the links of earlier videos have the same title, and the state knows only the last
            await asyncio.sleep(60)
            result = await world.apply(specs(project(messages=("Softer.", *map(str, range(n + 1))))), wait="none")
            for _ in range(6):
                await asyncio.sleep(60)
                result = await world.apply(specs(project(messages=("Softer.", *map(str, range(n + 1))))), wait="none")
            assert not result.results
        assert delivered(world) == ["render", "share"] * 4

    in_world(go, tmp_path)


def test_another_quality_in_an_old_copy_is_not_paid_again(tmp_path):
    async def go(world):
        copies = Copies(tmp_path)
        await world.apply(specs(project(render="1080p")))
        copies.take()
        await world.apply(specs(project(render="4k")))
        assert delivered(world) == ["render", "share"] * 2
        copies.put_back()
        await world.apply(specs(project(render="4k")))
        assert delivered(world) == ["render", "share"] * 2
        assert finding(await world.plan(specs(project(render="4k"))))

    in_world(go, tmp_path)


# ── servers that show less, or something else ───────────────────────────────────────────────────────────────────────


class Showing(httpx.AsyncBaseTransport):
    """The emulated API with its answers to GETs changed."""

    def __init__(self, world, change):
        self._inner, self._change = httpx.ASGITransport(create_app(world.store)), change
        self._now = world.now

    async def handle_async_request(self, request):
        response = await self._inner.handle_async_request(request)
        if request.method != "GET":
            return response
        document = json.loads(await response.aread())
        self._change(document, self._now())
        return httpx.Response(response.status_code, json=document)


def without_expiry(document, _):
    if "assembled_url_expires_at" in document:
        document["assembled_url_expires_at"] = None


def with_nonsense(document, _):
    if "assembled_url_expires_at" in document:
        document["assembled_url_expires_at"] = "tomorrow"


def signed_anew(document, now):
    if document.get("assembled_url_expires_at"):
        document["assembled_url_expires_at"] = f"{int(now[:4]) + 1}{now[4:]}"
        document["assembled_url"] = document["assembled_url"].partition("?")[0] + f"?at={now}"


def one_address(document, _):
    for each in (document, *document.get("projects", ())):
        if each.get("assembled_url"):
            each["assembled_url"] = f"https://x/{each['id']}.mp4"


def without_times(document, _):
    without_expiry(document, _)
    for message in document.get("messages", ()):
        message["created_at"] = None


SHOWN = [without_expiry, with_nonsense, signed_anew, one_address, without_times]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("course", [idle_before, never_idle])
@pytest.mark.parametrize("change", SHOWN)
def test_whatever_a_server_shows_nothing_is_paid_twice(tmp_path, course, change):
    async def go(world):
        transport = Showing(world, change)
        world.api._http = world.api._new = httpx.AsyncClient(transport=transport)
        copies, wanted = await begin(world, tmp_path, course, "4k")
        for _ in range(2):  # where nothing tells, the user has been asked before the first one, too
            await world.apply(specs(wanted))
            if "render" not in delivered(world):
                assert finding(await world.plan(specs(wanted)))
                decide(world.workspace, "teaser", sent=False, lock_timeout=0)
        assert delivered(world).count("render") == 1
        copies.put_back()
        await world.apply(specs(wanted))
        assert delivered(world).count("render") == 1
        assert finding(await world.plan(specs(wanted)))

    in_world(go, tmp_path)


@pytest.mark.parametrize("change", [without_expiry, with_nonsense, without_times])
def test_a_free_render_is_made_where_nothing_tells(tmp_path, change):
    async def go(world):
        world.api._http = world.api._new = httpx.AsyncClient(transport=Showing(world, change))
        _, wanted = await begin(world, tmp_path, never_idle, "1080p")
        await world.apply(specs(wanted))
        assert delivered(world)[0] == "render"

    in_world(go, tmp_path)


STUDIO = AdoptOrigin("51d10000-0000-4000-8000-000000000001")
ANSWERS = {
    "it comes": None,
    "it is lost, and had come": {"kind": "reset", "when": "after"},
    "it is lost, and had not": {"kind": "reset"},
}


ORIGINS = {"adopt": STUDIO, "create": CreateOrigin({"brief": "A film about the sea."})}


@pytest.mark.parametrize("lost", ANSWERS)
@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize("origin", ORIGINS)
def test_a_project_that_was_there_before_the_state_is_not_rendered_again(tmp_path, origin, lost, quality):
    # Intent: that the list showed it before the call tells, whatever becomes of the call's answer.
    async def go(world):
        wanted = project(origin=ORIGINS[origin], render=quality, messages=(), share=None)
        await world.apply(specs(wanted))
        assert delivered(world) == ["render"]
        (tmp_path / "state.json").unlink()
        if ANSWERS[lost] is not None:
            world.store.add_fault(Fault(method="POST", path="^/projects(/adopt)?$", **ANSWERS[lost]))
        result = await world.apply(specs(wanted))
        assert outcomes(result) == {("teaser", origin): "done", ("teaser", "render"): "unknown"}
        assert delivered(world) == ["render"]

    in_world(go, tmp_path)


@pytest.mark.parametrize("lost", ANSWERS)
@pytest.mark.parametrize("origin", ORIGINS)
def test_a_project_that_is_new_is_rendered_and_nothing_is_asked(tmp_path, origin, lost):
    async def go(world):
        if ANSWERS[lost] is not None:
            world.store.add_fault(Fault(method="POST", path="^/projects(/adopt)?$", **ANSWERS[lost]))
        result = await world.apply(specs(project(origin=ORIGINS[origin], messages=(), share=None)))
        assert set(outcomes(result).values()) == {"done"} and delivered(world) == ["render"]

    in_world(go, tmp_path)


@pytest.mark.parametrize("origin", ORIGINS)
def test_the_run_after_a_killed_one_knows_that_too(tmp_path, origin):
    # Intent: the intent tells it, since by then the list shows the project in any case.
    async def go(world):
        wanted = project(origin=ORIGINS[origin], messages=(), share=None)
        await world.apply(specs(wanted))
        (tmp_path / "state.json").unlink()
        world.store.add_fault(Fault(method="POST", path="^/projects(/adopt)?$", kind="reset", times=0))
        await world.apply(specs(wanted))
        world.store.clear_faults()
        result = await world.apply(specs(wanted))
        assert "render" not in {step.action for step in (await world.plan(specs(wanted))).steps}
        assert outcomes(result).get(("teaser", "render"), "unknown") == "unknown"
        assert delivered(world) == ["render"]

    in_world(go, tmp_path)
