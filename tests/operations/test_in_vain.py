"""What is known not to be done in this run is not waited for: nothing is asked or uploaded for it, and the run ends sooner."""

from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from msgspec.structs import replace

from reconciler.model.errors import LockError, VersionError
from reconciler.model.events import StepEnded
from reconciler.model.journal import Draft
from reconciler.operations.apply.dependencies import READS, await_others
from reconciler.operations.apply.polling import Monitor
from reconciler.operations.read.refresh import refresh
from reconciler.sandbox.faults import Fault
from tests.operations.operations_support import in_world
from tests.operations.test_deliver import project as delivered
from tests.operations.test_deliver import specs
from tests.operations.test_pipeline import end, outcomes
from tests.operations.test_uploads import LOGO, reference
from tests.operations.test_waiting import STEP, is_idle, run_of
from tests.planning.planning_support import created, desired

VIDEO = {"references": [{"project": "slow", "type": "video"}]}
SOON = 2.0
"""Seconds: less than any agent takes here, more than the calls of a run; no run may take more than 300."""


def told(address="slow", **more):
    return created(address, brief=f"{address}.", messages=["Softer."], **more)


def plain(address, **more):
    return created(address, brief=f"{address}.", **more)


async def at_work(world, *addresses, status="running", **settings):
    """These are managed, and their agents are at work for as long as they are left alone."""
    await world.apply(desired(*(plain(address, settings=settings) for address in addresses)))
    for address in addresses:
        world.store.set_status(world.id(address), status)


def reads(world, address):
    """How often this project was asked for by itself; a plan may do that once."""
    return world.calls().count(("GET", f"/projects/{world.id(address)}"))


async def took(world, specs, **more):
    """What an apply came to, and how many seconds it took."""
    begun = world.time()
    result = await world.apply(specs, **{"wait": "steps", "seconds": 300.0, **more})
    return result, world.time() - begun


def test_once_credits_ran_out_a_message_to_a_project_at_work_is_deferred_at_once(tmp_path):
    # Intent: it will not be sent in this run, whatever its agent does.
    async def test(world):
        await at_work(world, "slow")
        world.store.set_credits(5)
        result, seconds = await took(world, desired(told(), plain("new")))
        assert outcomes(result) == {("slow", "message"): "deferred", ("new", "create"): "failed"}
        assert end(result, "slow").note == "waits for credits: the account has too few"
        assert seconds < SOON and reads(world, "slow") <= 1

    in_world(test, tmp_path)


def test_what_costs_nothing_is_waited_for_and_done_though_credits_ran_out(tmp_path):
    # Intent: only what is in vain is given up; other steps still need their projects.
    async def test(world):
        await at_work(world, "free", "dear")
        world.store.set_credits(5)
        world._loop.call_later(40, world.store.set_status, world.id("free"), "idle")
        wanted = desired(plain("free", settings={"title": "T"}), told("dear"), plain("new"))
        result, seconds = await took(world, wanted)
        assert outcomes(result) == {
            ("free", "update"): "done",
            ("dear", "message"): "deferred",
            ("new", "create"): "failed",
        }
        assert 40 <= seconds < 60 and reads(world, "dear") <= 1

    in_world(test, tmp_path)


def test_once_credits_ran_out_no_slot_is_waited_for_either(tmp_path):
    async def test(world):
        world.project(status="running")
        world.store.set_credits(5)
        result, seconds = await took(world, desired(plain("a"), plain("b")))
        assert sorted(outcomes(result).values()) == ["deferred", "failed"]
        assert seconds < SOON

    in_world(test, tmp_path, active=2)


def test_once_credits_ran_out_a_time_that_the_account_names_is_not_waited_for(tmp_path):
    # Intent: the account has no slot, and says when to ask again; meanwhile another's create tells that credits ran out.
    async def test(world):
        full = {"status": 429, "code": "project_limit", "retry_after": "50"}
        world.store.add_fault(Fault(method="POST", path="/projects$", kind="status", **full))
        world.store.set_credits(5)
        result, seconds = await took(world, desired(plain("a"), plain("b")))
        assert sorted(outcomes(result).values()) == ["deferred", "failed"]
        assert seconds < SOON

    in_world(test, tmp_path)


def test_nothing_is_uploaded_for_what_is_not_sent(tmp_path):
    (tmp_path / "logo.png").write_bytes(LOGO)

    async def test(world):
        await at_work(world, "slow")
        world.store.set_credits(5)
        later = plain("later", depends_on=("slow",), creation={"references": [reference()]})
        world._loop.call_later(40, world.store.set_status, world.id("slow"), "idle")
        result, _ = await took(world, desired(plain("slow", settings={"title": "T"}), plain("new"), later))
        assert outcomes(result)["later", "create"] == "deferred"
        assert not [path for _, path in world.calls() if "uploads" in path]

    in_world(test, tmp_path)


def test_once_the_api_speaks_another_version_no_agent_is_waited_for(tmp_path):
    async def test(world):
        await at_work(world, "slow")
        create = world.api.create

        async def refused(body):
            world.api.other_version = VersionError("another version", "", method="POST", path="/projects")
            return await create(body)

        world.api.create = refused
        result, seconds = await took(world, desired(told(), plain("new")))
        assert outcomes(result) == {("slow", "message"): "skipped", ("new", "create"): "failed"}
        assert seconds < SOON and reads(world, "slow") <= 1

    in_world(test, tmp_path)


def test_once_the_api_turned_out_not_to_render_no_agent_is_waited_for_to_render(tmp_path):
    async def test(world):
        bare = {"messages": (), "render": None, "share": None}
        await world.apply(specs(delivered("slow", **bare), delivered("film", **bare)))
        world.store.set_status(world.id("slow"), "running")
        wanted = specs(*(delivered(name, messages=(), share=None) for name in ("slow", "film")))
        result, seconds = await took(world, wanted)
        assert set(outcomes(result).values()) == {"failed"}
        assert "does not offer" in end(result, "slow").error.summary
        assert seconds < SOON and reads(world, "slow") <= 1

    in_world(test, tmp_path, beyond_contract=False)


def test_what_waits_for_a_project_that_failed_does_not_wait_for_the_others(tmp_path):
    # Intent: it can't be done any more, so the agents of the others are nothing to it.
    async def test(world):
        await at_work(world, "slow", "dead")
        later = plain("later", depends_on=("slow", "dead"))
        saved = await world.plan(desired(plain("slow"), plain("dead"), later))
        world.store.set_status(world.id("dead"), "failed")
        result, seconds = await took(world, None, saved=saved)
        assert outcomes(result) == {("later", "create"): "failed"}
        assert "`dead`, which this waits for, is failed" in end(result, "later").error.summary
        assert seconds < SOON and reads(world, "slow") <= 1

    in_world(test, tmp_path)


def test_what_waits_for_steps_that_were_not_done_says_so_though_others_go_on(tmp_path):
    # Intent: it is over for it once one of them failed; the others take their time.
    async def test(world):
        await at_work(world, "slow", "other")
        world.store.add_fault(Fault(method="PATCH", path=f"{world.id('other')}/settings$", kind="status", status=403))
        world.store.set_status(world.id("other"), "idle")
        world._loop.call_later(40, world.store.set_status, world.id("slow"), "idle")
        titled = [plain(name, settings={"title": "T"}) for name in ("slow", "other")]
        result, _ = await took(world, desired(*titled, plain("later", depends_on=("slow", "other"))))
        assert outcomes(result)["later", "create"] == "skipped"
        ended = [event.step.address for event in world.events if isinstance(event, StepEnded)]
        assert ended[-3:] == ["other", "later", "slow"]

    in_world(test, tmp_path)


def test_a_look_that_reads_nothing_does_not_shorten_the_wait_for_a_video(tmp_path):
    # Intent: an idle agent may be about to render; so many reads are waited for, however many other steps fail meanwhile.
    async def test(world):
        await at_work(world, "slow", status="idle")
        with world.store.account() as account:
            account.change(account.project(world.id("slow"))["seq"], output_type=None)
        monitor = Monitor(run_of(world), await refresh(world.api, frozenset({world.id("slow")}), at=""))
        monitor._run.draft = Draft(world.state())
        for second in range(1, 10):
            world._loop.call_later(second, monitor.stir)
        world.store.clear_requests()
        await await_others(monitor._run, monitor, replace(STEP, body=VIDEO, after=("slow",)), reported=True)
        assert reads(world, "slow") == READS

    in_world(test, tmp_path)


@pytest.mark.parametrize("waits", ["a step", "nothing"])
def test_without_the_lock_nothing_is_read_any_more(tmp_path, waits):
    # Intent: another run has the state by now; what this one waits for is that one's.
    async def test(world):
        await at_work(world, "slow", status="queued")
        lost = LockError("the lease is lost")
        monitor = Monitor(run_of(world), await refresh(world.api, frozenset({world.id("slow")}), at=""))
        monitor._run.journal = SimpleNamespace(check=Mock(side_effect=[None, lost]))
        world.store.clear_requests()
        with pytest.raises(LockError):
            await monitor.until(world.id("slow"), is_idle, "it", STEP if waits == "a step" else None)
        assert len(world.calls()) == 1

    in_world(test, tmp_path)
