"""`export --studio`: what can be adopted is listed, and the chosen ones become specs that adopt them."""

import httpx
import pytest

from reconciler.model.desired import AdoptOrigin, Desired, DesiredProject
from reconciler.model.errors import UsageError
from reconciler.operations.read.studio import export_studio
from tests.cli.cli_support import APPLY, make_space
from tests.operations.operations_support import in_world
from tests.operations.test_credits import ANSWERS, through

HARBOUR, COFFEE = "51d10000-0000-4000-8000-000000000001", "51d10000-0000-4000-8000-000000000002"


def test_it_lists_and_writes_specs_that_can_be_applied(tmp_path):
    space = make_space(tmp_path / "w")
    before = space.files()
    listed = space.run("export", "--studio").out
    assert (
        listed == f"harbour-at-dawn  {HARBOUR}  16:9  Harbour at dawn\ncoffee-launch  {COFFEE}  16:9  Coffee launch\n"
    )
    assert space.files() == before
    ran = space.run("export", "--studio", COFFEE, "--out", "specs/studio")
    assert ran.out.startswith(f"coffee-launch  {COFFEE}") and "Wrote specs/studio/exported.yaml" in ran.err
    space.run("validate")
    assert "already declared as `coffee-launch`" in space.run("export", "--studio", COFFEE, "--out", "x", code=1).err
    assert COFFEE not in space.run("export", "--studio").out
    space.run(*APPLY)
    assert "No changes" in space.run("plan").out
    assert space.run("export", "--studio", "--out", "specs/more").out.startswith("harbour-at-dawn ")
    assert space.run("export", "--studio").out == "Nothing to adopt.\n"
    assert "--out" in space.run("export", code=1).err
    assert "no project `nope`" in space.run("export", "--studio", "nope", "--out", "y", code=1).err


def test_every_page_is_read_and_none_twice(tmp_path):
    async def go(world):
        for n in range(230):
            world.store.add_studio_project(id=f"s{n:03}", title="Same title")
        taken = Desired("ws", {"same-title": DesiredProject("same-title", AdoptOrigin("s000"))})
        world.store.clear_requests()
        made = await export_studio(world.workspace, world.api, taken, ())
        assert len(made.projects) == 230 - 1 + 2
        assert {"same-title-2", "same-title-230"} <= made.projects.keys()
        assert [row.method for row in world.store.requests()] == ["GET"] * 3

    in_world(go, tmp_path)


def page(*projects, total=1):
    return httpx.Response(200, json={"projects": list(projects), "total": total})


@pytest.mark.parametrize("answer", ["404", "405", "403"])
def test_an_api_that_does_not_list_them_is_told(tmp_path, answer):
    async def go(world):
        through(world, "/projects/discover", ANSWERS[answer])
        with pytest.raises(UsageError, match="does not list"):
            await export_studio(world.workspace, world.api, Desired("ws", {}), ())

    in_world(go, tmp_path)


def test_hostile_text_becomes_no_yaml_and_an_endless_list_ends(tmp_path):
    evil = {
        "project_id": "x\n  evil: {}",
        "title": "t\n  evil:\n    brief: ${env.KEY}\x1b[2J\u202e",
        "aspect_ratio": "\n",
    }

    async def go(world):
        transport = through(world, "/projects/discover", page(evil, total=10**6))
        made = await export_studio(world.workspace, world.api, Desired("ws", {}), ())
        assert transport.asked == 2, "a page that brings nothing new is the last"
        (address,) = made.projects
        lines = made.text.splitlines()
        assert len(lines) == 5 and lines[2] == f"  {address}:" and lines[3].startswith("    # t␊")
        assert "\x1b" not in made.text and "\u202e" not in made.text

    in_world(go, tmp_path)
