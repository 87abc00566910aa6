"""A key that made a project before, with other settings: those of the create whose answer was lost are not taken for its own."""

from __future__ import annotations

import contextlib

import pytest
from msgspec.structs import replace

from reconciler.model.desired import CreateOrigin, Desired, DesiredProject, Moved
from reconciler.model.errors import UnknownFateError
from reconciler.sandbox.faults import Fault
from tests.operations.operations_support import in_world


def specs(**settings):
    return Desired(
        "ws", {"a": DesiredProject(address="a", origin=CreateOrigin({"brief": "A film."}), settings=settings)}
    )


async def made_before(world, state, faults, wanted, applies=3):
    """An apply, its state lost, and applies of other settings whose first answers are lost. Returns the project's id."""
    await world.apply(specs(title="One"))
    made = world.id("a")
    state.unlink()
    world.store.add_fault(Fault(kind="reset", when="after", method="POST", path="^/projects$", times=faults))
    for _ in range(applies):
        with contextlib.suppress(UnknownFateError):
            await world.apply(wanted)
    return made


@pytest.mark.parametrize("faults", [1, 2])
def test_they_are_set(tmp_path, faults):
    # Intent: the list does not show every setting, so what it does not show must not be believed.
    async def go(world):
        wanted = specs(title="One", craft="humor")
        made = await made_before(world, tmp_path / "state.json", faults, wanted)
        assert world.id("a") == made and world.live(made)["craft"] == "humor"
        assert not (await world.plan(wanted)).steps

    in_world(go, tmp_path)


@pytest.mark.parametrize("faults", [1, 2])
def test_with_another_title_it_is_as_if_the_answer_had_come(tmp_path, faults):
    # Intent: the key's project has another title, so it may be another state's: E203, and nothing is bound.
    async def go(world):
        wanted = specs(title="Two", craft="humor")
        made = await made_before(world, tmp_path / "state.json", faults, wanted)
        assert not world.state().projects and not world.state().pending
        assert "E203" in {found.code for found in (await world.plan(wanted)).diagnostics}
        assert (world.live(made)["title"], len(world.store.projects())) == ("One", 1)

    in_world(go, tmp_path)


def test_a_title_that_a_person_changed_before_the_create_is_found_is_drift(tmp_path):
    # Intent: later nothing may show it, since one of many projects is read by its id: what the search has seen is kept.
    async def go(world):
        world.projects(3)
        made = {
            name: DesiredProject(address=name, origin=CreateOrigin({"brief": f"A film, {name}."})) for name in "abc"
        }
        wanted = Desired("ws", {name: replace(project, settings={"title": "One"}) for name, project in made.items()})
        world.store.add_fault(Fault(kind="reset", when="after", method="POST", path="^/projects$", times=0))
        with contextlib.suppress(UnknownFateError):
            await world.apply(wanted)
        world.store.clear_faults()
        world.store.finish_all()
        renamed = next(p["id"] for p in world.store.projects() if p["brief"] == "A film, a.")
        world.store.person_sets(renamed, title="Theirs")
        for _ in range(2):
            await world.apply(wanted)
        assert world.id("a") == renamed and world.live(renamed)["title"] == "One"

    in_world(go, tmp_path, page_max=2)


def test_a_rename_does_not_buy_it_again(tmp_path):
    # Intent: the key of the new name would make another project; what the key of the old one made is remembered.
    async def go(world):
        wanted = specs(title="Two")
        await made_before(world, tmp_path / "state.json", 2, wanted, applies=1)
        assert world.state().pending
        moved = replace(wanted.projects["a"], address="b")
        renamed = Desired("ws", {"b": moved}, moved=(Moved(from_address="a", to_address="b"),))
        for _ in range(2):
            await world.apply(renamed)
        assert len(world.store.projects()) == 1
        assert "E203" in {found.code for found in (await world.plan(renamed)).diagnostics}

    in_world(go, tmp_path)


def test_a_project_that_was_there_before_is_bound_when_its_create_is_looked_for(tmp_path):
    # Intent: left to the next plan, a rename in between would buy it again, under the key of its new name.
    async def go(world):
        await world.apply(specs(title="One"))
        made = world.id("a")
        (tmp_path / "state.json").unlink()
        world.store.add_fault(Fault(kind="reset", when="after", method="POST", path="^/projects$", times=2))
        with contextlib.suppress(UnknownFateError):
            await world.apply(specs(title="One"))
        assert world.state().pending
        project = specs(title="One").projects["a"]
        moved = Desired("ws", {"b": replace(project, address="b")}, moved=(Moved(from_address="a", to_address="b"),))
        for _ in range(2):
            await world.apply(moved)
        assert world.id("b") == made and len(world.store.projects()) == 1

    in_world(go, tmp_path)
