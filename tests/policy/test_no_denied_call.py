"""No plan that a policy denies, or that waits for an approval, makes a call that changes anything: the ledger is the judge."""

from __future__ import annotations

import asyncio
import tempfile
from functools import partial
from pathlib import Path

import httpx
import pytest
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.adapters.api.client import ApiClient
from reconciler.adapters.api.limiter import RateLimiter
from reconciler.adapters.plan_file import read_plan, write_plan
from reconciler.adapters.specs.policy.folder import read_policy
from reconciler.model.desired import CreateOrigin, Desired, DesiredMessage, DesiredProject
from reconciler.model.plan import Plan
from reconciler.model.plan_json import plan_digest
from reconciler.operations.apply.run import Options as RunOptions
from reconciler.operations.apply.workflow import ApplyRequest, PlanRefusedError, apply
from reconciler.operations.policy import check_policy
from reconciler.sandbox.app import create_app
from tests.operations.operations_support import World, in_world
from tests.policy.policy_support import write_policy
from tests.sampling import examples, tried

FACTS = st.sampled_from(
    [
        ("true", lambda plan: True),
        ("false", lambda plan: False),
        ("plan.summary.create <= 1", lambda plan: plan.summary["create"] <= 1),
        ("plan.steps.size() > 2", lambda plan: len(plan.steps) > 2),
        ('step.action != "message"', lambda plan: not plan.summary["message"]),
        ("!has(step.body.title)", lambda plan: not any("title" in getattr(s, "body", {}) for s in plan.steps)),
        ("plan.cost < 60", None),
        ("plan.nothing == 1", lambda plan: False),
        ("step.body.title.size() >= 0", None),
    ]
)
RULES = st.lists(st.tuples(st.sampled_from(["deny", "warn", "approve(finance)"]), FACTS), min_size=1, max_size=4)
PROJECTS = st.dictionaries(
    st.sampled_from("abc"),
    st.tuples(st.sampled_from([None, "T"]), st.integers(0, 2)),
    max_size=3,
)


def desired(projects: dict[str, tuple[str | None, int]]) -> Desired:
    return Desired(
        workspace="ws",
        projects={
            address: DesiredProject(
                address=address,
                origin=CreateOrigin({"brief": f"About {address}."}),
                settings={} if title is None else {"title": title},
                messages=tuple(DesiredMessage(str(n), {"message": f"{n}."}) for n in range(messages)),
            )
            for address, (title, messages) in projects.items()
        },
    )


def use(world: World, folder: Path | None, rules: str = "", **files: str) -> None:
    """Give the workspace a policy."""
    if folder is None:
        world.workspace = replace(world.workspace, policy=None)
        return
    policy = read_policy([write_policy(folder, rules, **files)])
    world.workspace = replace(world.workspace, policy=lambda: partial(check_policy, policy))


async def applied(world: World, *, approved_by: tuple[str, ...] = (), **what: object) -> bool:
    """Apply, whatever comes of it; whether the policy let it."""
    world.store.clear_requests()
    request = ApplyRequest(
        options=RunOptions(wait="steps", active_limit=world.active),
        approved_by=approved_by,
        confirm=lambda _: True,
        **what,  # type: ignore[arg-type]
    )
    try:
        await apply(world.workspace, world.api, request, emit=world.events.append, stop=asyncio.Event())
    except PlanRefusedError:
        return False
    return True


def holds(plan: Plan, expression: str, fact: object) -> bool:
    """Whether a rule holds, told without the engine."""
    if fact is not None:
        return fact(plan)  # type: ignore[operator]
    if expression == "plan.cost < 60":
        return 30 * plan.summary["create"] + 10 * plan.summary["message"] < 60
    return all("title" in getattr(step, "body", {}) for step in plan.steps)


@examples(12, 600)
def test_no_plan_with_a_denial_makes_a_mutating_call(examples):
    """Intent: any rules, any specs, from the specs or from a file, with or without an approval."""

    def claim(rules, projects, before, saved, approve):
        text = "".join(f"// {effect} r{n}: m\n{fact[0]}\n" for n, (effect, fact) in enumerate(rules))
        approved_by = ("finance",) if approve else ()
        with tempfile.TemporaryDirectory() as folder:

            async def test(world: World) -> None:
                await applied(world, desired=desired(before))
                use(world, Path(folder, "policy"), text)
                made = await world.plan(desired(projects))
                path = Path(folder, "saved.plan")
                write_plan(path, made)
                broken = [(effect, fact) for effect, fact in rules if not holds(made, *fact)]
                failing = {"plan.nothing == 1", "step.body.title.size() >= 0"}
                allowed = all(
                    fact[0] not in failing and (effect == "warn" or (effect != "deny" and approve))
                    for effect, fact in broken
                )
                what = {"saved": read_plan(path)} if saved else {"desired": desired(projects)}
                assert await applied(world, approved_by=approved_by, **what) == allowed
                assert not world.writes() or allowed
                assert bool(world.writes()) >= (allowed and bool(made.summary["create"]))

            in_world(test, Path(folder))

    tried(
        claim,
        examples,
        rules=RULES,
        projects=PROJECTS,
        before=PROJECTS,
        saved=st.booleans(),
        approve=st.booleans(),
    )


class Killed(BaseException):
    """The process dies."""


class Dying(httpx.AsyncBaseTransport):
    """An API under which the process dies, once its first POST has acted."""

    def __init__(self, world: World) -> None:
        self._inner = httpx.ASGITransport(create_app(world.store))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        if request.method == "POST":
            raise Killed
        return response


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("rule", ["// deny r: m\nfalse", "// approve(finance) r: m\nfalse", "// warn r: m\nplan.no"])
def test_a_call_that_an_earlier_run_left_open_is_not_completed_against_the_policy(tmp_path, rule, saved):
    """Intent: completing it may send it again, and that is a call like any other. Without the policy it is completed."""
    specs = desired({"a": ("T", 0)})

    async def test(world: World) -> None:
        made = await world.plan(specs)
        what = {"saved": made} if saved else {"desired": specs}
        alive = world.api
        async with ApiClient("http://sandbox/api/v1", "k", limiter=RateLimiter(10**6), transport=Dying(world)) as dying:
            world.api = dying
            with pytest.raises(Killed):
                await applied(world, **what)
        world.api = alive
        assert world.workspace.load()[0].pending
        use(world, tmp_path / "policy", rule)
        assert not await applied(world, **what)
        assert not world.writes()
        use(world, None)
        assert await applied(world, **what)
        assert len(world.writes()) == 1

    in_world(test, tmp_path)


def test_a_plan_file_with_a_denied_plan_is_applied_with_its_waiver_only(tmp_path):
    """Intent: the waiver ends with the plan: of the next one, alike in everything that it does, the digest is another."""
    rules = "// deny r: m\nplan.summary.create == 0"

    async def test(world: World) -> None:
        use(world, tmp_path / "policy", rules)
        first, second = await world.plan(desired({"a": ("T", 0)})), await world.plan(desired({"a": ("T", 0)}))
        assert not await applied(world, saved=first) and not world.writes()
        waiver = f"- {{rule: r, digest: {plan_digest(second)}, reason: Agreed., by: ada}}"
        use(world, tmp_path / "policy", rules, waivers=waiver)
        assert not await applied(world, saved=first) and not world.writes()
        assert not await applied(world, desired=desired({"a": ("T", 0)})) and not world.writes()
        assert await applied(world, saved=second) and len(world.writes()) == 1
        assert await applied(world, saved=second) and not world.writes()

    in_world(test, tmp_path)
