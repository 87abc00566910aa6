"""For any desired set and any account that can come about: plan, apply, plan again, and nothing is left to do."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.model.contract import Status
from reconciler.model.desired import (
    AdoptOrigin,
    CreateOrigin,
    Desired,
    DesiredMessage,
    DesiredProject,
    ImportOrigin,
    Lifecycle,
)
from reconciler.model.plan import Plan
from reconciler.operations.apply.workflow import PlanRefusedError
from tests.operations.operations_support import World, in_world
from tests.sampling import examples, tried

STUDIO = "51d10000-0000-4000-8000-000000000001"
CREATED = ("a", "b", "c")
ADDRESSES = (*CREATED, "adopted", "imported")
TEXTS = ("Softer.", "Louder.", "Softer.")
"""Each address' log, of which a spec declares the first so many: append-only, and with equal texts in it."""

SETTINGS = {
    "title": st.sampled_from(["T", "U", None]),
    "mode": st.sampled_from(["autonomous", "collaborative", "none"]),
    "craft": st.sampled_from(["cinema", "ugc"]),
    "craft_auto": st.booleans(),
    "agent_model": st.sampled_from(["opus", "sonnet"]),
    "webhook_url": st.sampled_from(["https://h/1", None]),
    "expected_output": st.sampled_from(["assembled", "assets", None]),
}
LIFECYCLES = st.builds(
    Lifecycle,
    on_remove=st.sampled_from(["stop", "stop", "cancel", "release", "forget", "protect"]),
    on_failed=st.sampled_from(["keep", "recreate"]),
    on_immutable_change=st.sampled_from(["replace", "replace", "ignore", "error"]),
    ignore_changes=st.sampled_from([(), (), ("title",), ("brief", "craft")]),
)
CREATION = st.fixed_dictionaries(
    {"brief": st.sampled_from(["first", "second"])},
    optional={
        "aspect_ratio": st.sampled_from(["16:9", "9:16"]),
        "extract_content": st.booleans(),
        "references": st.sampled_from([[], [{"upload_id": "u"}], [{"url": "https://x/1", "type": "image"}]]),
    },
)


@st.composite
def projects(draw: Any, address: str) -> DesiredProject:
    origin: Any = AdoptOrigin(STUDIO) if address == "adopted" else ImportOrigin("")
    if address in CREATED:
        creation = draw(CREATION)
        origin = CreateOrigin({**creation, "brief": f"{address}: {creation['brief']}"})
    messages = tuple(
        DesiredMessage(str(number + 1), {"message": text})
        for number, text in enumerate(TEXTS[: draw(st.integers(0, len(TEXTS)))])
    )
    return DesiredProject(
        address,
        origin,
        settings=draw(st.fixed_dictionaries({}, optional=SETTINGS)),
        messages=messages,
        lifecycle=draw(LIFECYCLES),
        cancelled=draw(st.integers(0, 7)) == 0,
    )


@st.composite
def wishes(draw: Any) -> tuple[DesiredProject, ...]:
    chosen = draw(st.lists(st.sampled_from(ADDRESSES), unique=True, max_size=len(ADDRESSES)))
    return tuple(draw(projects(address)) for address in chosen)


@dataclass(frozen=True)
class Happening:
    """Something that befalls the managed project of ``pick``: by a person, or in the course of time."""

    what: str
    pick: int
    more: Any = None


HAPPENINGS = st.one_of(
    st.builds(Happening, st.just("sets"), st.integers(0, 9), st.fixed_dictionaries({}, optional=SETTINGS)),
    st.builds(Happening, st.just("writes"), st.integers(0, 9), st.sampled_from([*TEXTS, "Shorter."])),
    st.builds(Happening, st.just("status"), st.integers(0, 9), st.sampled_from([*Status])),
    st.builds(Happening, st.just("time"), st.just(0), st.sampled_from([0.5, 5.0, 60.0])),
    st.builds(Happening, st.just("project"), st.just(0), st.sampled_from(["idle", "failed", "cancelled", "queued"])),
)
ROUNDS = st.tuples(wishes(), st.sampled_from(["none", "steps", "idle"]), st.lists(HAPPENINGS, max_size=3))


@dataclass(frozen=True)
class Scenario:
    rounds: list[tuple[tuple[DesiredProject, ...], str, list[Happening]]]
    options: dict[str, Any]
    final: tuple[DesiredProject, ...]


SCENARIOS = st.builds(
    Scenario,
    rounds=st.lists(ROUNDS, max_size=2),
    options=st.fixed_dictionaries(
        {
            "active": st.sampled_from([0, 3]),
            "list_order": st.sampled_from(["newest", "oldest"]),
            "messages_default": st.sampled_from(["newest", "oldest"]),
            "brief_is_message": st.booleans(),
            "adopted_id_is_studio_id": st.booleans(),
            "message_source": st.sampled_from(["chat", "api"]),
            "rendering": st.booleans(),
        }
    ),
    final=wishes(),
)


class Account:
    """The world of one scenario, and what is foreign in it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.foreign = {world.project(brief="Not ours.", status=status) for status in ("idle", "running", "failed")}
        self.to_import = world.project(brief="To be imported.")

    def desired(self, wish: tuple[DesiredProject, ...]) -> Desired:
        fixed = (replace(p, origin=ImportOrigin(self.to_import)) if p.address == "imported" else p for p in wish)
        return Desired("ws", {p.address: p for p in fixed})

    async def befall(self, happening: Happening) -> None:
        world = self.world
        loaded = world.states.load().state
        managed = sorted(e.project_id for e in loaded.projects.values()) if loaded else []
        if happening.what == "time":
            await asyncio.sleep(happening.more)
        elif happening.what == "project":
            status = happening.more
            self.foreign.add(world.project(brief="Came later.", status="idle" if status == "queued" else status))
        elif managed:
            project_id = managed[happening.pick % len(managed)]
            if happening.what == "sets":
                world.store.person_sets(project_id, **happening.more)
            elif happening.what == "writes":
                world.store.person_writes(project_id, happening.more)
            else:
                world.store.set_status(project_id, happening.more)

    def settle(self) -> None:
        """Statuses that a test fixed stay for ever: let nobody work without end."""
        for row in self.world.store.projects():
            if row["id"] not in self.foreign and row["status"] in {"queued", "running", "generating", "rendering"}:
                self.world.store.set_status(row["id"], "idle")

    def strangers(self) -> list[dict[str, Any]]:
        known = self.world.states.load().state
        ours = {e.project_id for e in known.projects.values()} if known else set()
        return [p for p in self.world.store.projects() if p["id"] in self.foreign - ours]

    async def apply(self, desired: Desired, made: Plan, *, wait: str = "idle", final: bool = False) -> bool:
        """Apply, and hold what every apply must; whether the plan could be applied at all."""
        world = self.world
        before, acts = self.strangers(), len(world.store.ledger())
        if made.errors:
            try:
                await world.apply(desired, wait=wait)
            except PlanRefusedError:
                assert not world.writes()
                assert len(world.store.ledger()) == acts
                return False
            raise AssertionError("a plan with errors was applied")
        result = await world.apply(desired, wait=wait, seconds=None if final else 120)
        assert self.strangers() == before
        effects = world.store.ledger()[acts:]
        assert not {effect.project_id for effect in effects} & self.foreign
        assert result.requests == len(world.store.requests())
        keys = [e.idempotency_key for e in world.store.ledger() if e.kind == "create"]
        assert len(keys) == len(set(keys))
        if final:
            over = {"failed", "cancelled"}
            alone = sum(s.action == "replace" and world.live(s.project_id)["status"] in over for s in result.plan.steps)
            assert result.requests >= result.plan.requests_needed - alone
            assert set(result.counts) <= {"done"}, [r for r in result.results if r.outcome != "done"]
        return True


async def holds(world: World, scenario: Scenario) -> None:
    account = Account(world)
    for wish, wait, happenings in scenario.rounds:
        desired = account.desired(wish)
        await account.apply(desired, await world.plan(desired), wait=wait)
        for happening in happenings:
            await account.befall(happening)
    account.settle()
    desired = account.desired(scenario.final)
    made = await world.plan(desired)
    if not await account.apply(desired, made, final=True):
        return
    again = await world.plan(desired)
    assert not again.steps, again.steps
    assert not again.errors, again.errors
    assert all(d.attention or d.severity == "note" for d in again.diagnostics), again.diagnostics
    result = await world.apply(desired)
    assert not result.results and not world.writes()


def in_a_world_of_its_own(scenario: Scenario) -> None:
    with tempfile.TemporaryDirectory() as folder:
        in_world(lambda world: holds(world, scenario), Path(folder), **scenario.options)


@pytest.mark.sweep
@pytest.mark.long
@examples(30, 400)
def test_after_an_apply_the_plan_is_empty(examples: int) -> None:
    tried(in_a_world_of_its_own, examples, scenario=SCENARIOS)


LOSSES = st.tuples(
    wishes(),
    wishes(),
    st.lists(HAPPENINGS.filter(lambda h: h.what in {"sets", "time", "project"}), max_size=2),
    st.booleans(),
    st.booleans(),
)


async def survives(world: World, scenario: Any, folder: Path) -> None:
    """Apply one wish, keep a copy of the state, apply another, lose the state or put the old copy back, apply again."""
    first, second, happenings, old_copy, _ = scenario
    account = Account(world)
    state = folder / "state.json"
    kept: bytes | None = None
    for wish in (first, second):
        kept = state.read_bytes() if old_copy and state.exists() else None
        desired = account.desired(wish)
        if not await account.apply(desired, await world.plan(desired), final=True):
            return
    for happening in happenings:
        await account.befall(happening)
    account.settle()
    acts = len(world.store.ledger())
    if kept is None:
        state.unlink(missing_ok=True)
    else:
        state.write_bytes(kept)
    made = await world.plan(desired)
    if made.errors:
        return
    for _ in range(2):  # a project bound by its key shows its true brief, and what is to be cleared, only then
        await world.apply(desired)
        again = [e for e in world.store.ledger()[acts:] if e.kind in {"create", "message"}]
        assert not again, again
    rest = await world.plan(desired)
    assert not rest.steps, rest.steps


def in_a_world_with_losses(scenario: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        in_world(
            lambda world: survives(world, scenario, Path(folder)), Path(folder), active=0, brief_is_message=scenario[4]
        )


@examples(20, 200)
def test_a_lost_or_old_state_makes_nothing_twice(examples: int) -> None:
    tried(in_a_world_with_losses, examples, scenario=LOSSES)
