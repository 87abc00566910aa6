"""`export --studio`: what can be adopted is listed, and the chosen ones become specs that adopt them."""

import httpx
import pytest

from reconciler.model.desired import AdoptOrigin, Desired, DesiredProject
from reconciler.model.errors import UsageError
from reconciler.operations.read.export import export
from reconciler.operations.read.studio import export_studio
from tests.cli.cli_support import APPLY, make_space
from tests.operations.operations_support import in_world
from tests.operations.test_credits import ANSWERS, through

HARBOUR, COFFEE = "51d10000-0000-4000-8000-000000000001", "51d10000-0000-4000-8000-000000000002"


@pytest.mark.sweep
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
        "project_id": "x",
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


ODD = {
    "a path": "../../../etc",
    "a newline": "x\n  evil: {}",
    "a newline at the end": "x\n",
    "a variable": "${env.X}",
    "too long": "x" * 129,
    "a space": "a b",
    "an escape": "a\x1b[2J",
    "a letter that looks like one": "а1",
    "a flag": "-x",
}


@pytest.mark.parametrize("case", ODD)
def test_an_id_that_no_spec_can_name_is_never_exported(tmp_path, case):
    """Intent: the file that `export` writes is one that every later command can read."""
    odd = ODD[case]

    async def go(world):
        good = {"project_id": "good.1", "title": "Good"}
        through(world, "/projects/discover", page({"project_id": odd, "title": "Odd"}, good, total=2))
        made = await export_studio(world.workspace, world.api, Desired("ws", {}), ())
        assert [each.id for each in made.projects.values()] == ["good.1"]
        assert made.unusable == (odd,)
        assert "Odd" not in made.text
        with pytest.raises(UsageError, match="no spec can name") as refused:
            await export_studio(world.workspace, world.api, Desired("ws", {}), ("good.1", odd))
        assert "letters, digits" in str(refused.value.diagnostics[0].detail)
        assert len(refused.value.diagnostics[0].summary) < 100

    in_world(go, tmp_path)


@pytest.mark.parametrize("odd", ["../../../etc", "x\n  evil: {}", "${env.X}", "x" * 129])
def test_the_same_is_true_of_imports(tmp_path, odd):
    async def go(world):
        rows = [
            {"id": each, "title": each[:9], "status": "idle", "created_at": "2026-01-01T00:00:00Z"}
            for each in (odd, "p1")
        ]
        through(world, "/projects", httpx.Response(200, json={"projects": rows, "total": 2}))
        made = await export(world.workspace, world.api, Desired("ws", {}), ())
        assert list(made.projects.values()) == ["p1"] and made.unusable == (odd,)
        with pytest.raises(UsageError, match="no spec can name"):
            await export(world.workspace, world.api, Desired("ws", {}), (odd,))

    in_world(go, tmp_path)


def test_what_cannot_be_named_is_listed_with_the_reason(tmp_path):
    space = make_space(tmp_path / "w")
    with space.account() as store:
        store.add_studio_project(id="../../../etc", title="Odd")
    ran = space.run("export", "--studio")
    assert "Left out: no spec can name `../../../etc`: a project's id has letters" in ran.err
    assert "../" not in ran.out
