"""Models and own skills are looked up before money is spent: once a type, kept for a day, and silent where nothing tells."""

import asyncio

import httpx
import pytest
from msgspec.structs import replace

from reconciler.adapters.cache import Cache, cache_folder
from reconciler.model import contract
from reconciler.model.desired import AdoptOrigin, CreateOrigin, Desired, DesiredProject
from tests.cli.cli_support import make_space
from tests.operations.operations_support import in_world
from tests.operations.test_credits import ANSWERS, planned, through

OWN = "0e000000-0000-4000-8000-000000000001"
OTHER = "0e000000-0000-4000-8000-000000000002"


def created(address="a", ratio=None, **settings):
    creation = {"brief": f"Brief of {address}"} | ({"aspect_ratio": ratio} if ratio else {})
    return Desired("ws", {address: DesiredProject(address, CreateOrigin(creation), settings=settings)})


async def looked(world, desired):
    """The warnings of a plan."""
    made = await planned(world, desired)
    return [(d.severity, d.address, d.summary, d.detail) for d in made.diagnostics if d.severity != "note"]


def asked(world, *ends):
    return [row.path for row in world.store.requests() if row.path.endswith(ends)]


@pytest.mark.parametrize(
    ("desired", "summary", "detail"),
    [
        (created(video_model="klng-3.0"), "`video_model`: the API has no video model `klng-3.0`", "Did you mean `kling-3.0`"),
        (created(image_model="kling-3.0"), "`image_model`: the API has no image model `kling-3.0`", "`nano-banana-pro`"),
        (created(video_model="veo-3.1", ratio="1:1"), "`video_model`: `veo-3.1` can't do the aspect ratio 1:1", "`kling-3.0`"),
        (created(image_model="nano-banana", ratio="21:9"), "`nano-banana` can't do the aspect ratio 21:9", "`nano-banana-pro`"),
    ],
)  # fmt: skip
def test_a_model_that_the_api_lacks_or_that_cannot_do_the_ratio_is_a_warning(tmp_path, desired, summary, detail):
    async def go(world):
        ((severity, address, told, more),) = await looked(world, desired)
        assert (severity, address) == ("warning", "a")
        assert summary in told and detail in more
        assert len(asked(world, "/models")) == 1

    in_world(go, tmp_path)


def test_what_is_right_or_not_known_is_no_finding(tmp_path):
    async def go(world):
        studio = "51d10000-0000-4000-8000-000000000001"
        adopted = DesiredProject("s", AdoptOrigin(studio), settings={"video_model": "veo-3.1"})
        fine = {
            **created("a", video_model="kling-3.0", image_model="nano-banana-pro").projects,
            **created("b", ratio="9:16", video_model="veo-3.1").projects,
            "s": adopted,
        }
        assert not await looked(world, Desired("ws", fine))
        assert len(asked(world, "/models")) == 2, "one call for each type, however many name one"
        await world.apply(Desired("ws", fine))
        world.store.clear_requests()
        await planned(world, Desired("ws", fine))
        assert not asked(world, "/models"), "nothing is spent, so nothing is asked"

    in_world(go, tmp_path)


def test_without_a_model_nothing_is_asked(tmp_path):
    async def go(world):
        assert not await looked(world, created(title="T"))
        assert not asked(world, "/models", "/account/skills")

    in_world(go, tmp_path)


@pytest.mark.parametrize("answer", [*ANSWERS, "no models", "foreign ratios"])
def test_where_nothing_tells_nothing_is_said_but_to_who_asks(tmp_path, answer):
    told = []

    async def go(world):
        world.workspace = replace(world.workspace, tell=told.append)
        more = {
            "no models": httpx.Response(200, json={"models": []}),
            "foreign ratios": httpx.Response(200, json={"models": [{"id": "klng", "aspect_ratios": ["any", 3]}]}),
        }
        transport = through(world, "/models", {**ANSWERS, **more}[answer])
        made = await planned(world, created(video_model="klng"))
        assert transport.asked == 1
        assert made.steps and not [d for d in made.diagnostics if "model" in d.summary]
        assert bool(told) == (answer in {"500", "429", "nonsense", "no JSON", "broken"})

    in_world(go, tmp_path)


def test_models_are_asked_for_once_a_day_and_a_broken_cache_is_none(tmp_path):
    async def go(world):
        folder = tmp_path / "cache"
        world.workspace = replace(world.workspace, cache=Cache(folder))
        desired = created(video_model="klng-3.0")
        counts = []

        async def plan():
            found = await looked(world, desired)
            counts.append(len(asked(world, "/models")))
            return found

        first = await plan()
        assert await plan() == first
        assert counts == [1, 0]
        (file,) = folder.iterdir()
        assert file.stat().st_mode & 0o777 == 0o600
        good = file.read_bytes()
        for broken in (b"", b"\xff", b"[]", good[:-9], good.replace(b'"models"', b'"models2"', 1), b"0" * 5_000_000):
            file.write_bytes(broken)
            assert await plan() == first
            assert counts[-1] == 1
        await asyncio.sleep(86_401)
        await plan()
        assert counts[-1] == 1

    in_world(go, tmp_path)


LOOKUPS = {
    "/models": created(video_model="klng", image_model="klng"),
    "/account/skills": created(skills=[OWN]),
    "/account/credits": created(),
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("path", LOOKUPS)
@pytest.mark.parametrize("status", [404, 405, 403, 500])
def test_that_the_api_lacks_a_call_is_remembered_for_a_day_and_nothing_else_is(tmp_path, path, status):
    """Intent: an API without a look-up is not asked for it at each plan; a refusal or a failure may be over the next time."""

    async def go(world):
        world.workspace = replace(world.workspace, cache=Cache(tmp_path / "cache"))
        transport = through(world, path, httpx.Response(status, json={"error": {"code": "x", "message": "no"}}))
        counts = []
        for rest in (0, 1, 3600, 86_400):
            await asyncio.sleep(rest)
            before = transport.asked
            made = await planned(world, LOOKUPS[path])
            assert made.steps and not [d for d in made.diagnostics if d.severity != "note"]
            counts.append(transport.asked - before)
        each = 2 if path == "/models" else 1
        assert counts == ([1, 0, 0, 1] if status in (404, 405) else [each] * 4)

    with contract.kept():
        contract.choose("2026-05")
        in_world(go, tmp_path)


def test_what_one_api_lacks_is_asked_of_another(tmp_path):
    async def go(world):
        world.workspace = replace(world.workspace, cache=Cache(tmp_path / "cache"))
        desired = created(video_model="klng-3.0")
        good = world.api._http, world.api._new
        through(world, "/models", ANSWERS["404"])
        assert not await looked(world, desired)
        world.api._http, world.api._new = good
        assert not await looked(world, desired)
        other = replace(world.workspace.config, api_url="https://other.example/api/v1")
        world.workspace = replace(world.workspace, config=other)
        assert await looked(world, desired)

    in_world(go, tmp_path)


def test_a_limit_asks_for_the_balance_whatever_was_remembered(tmp_path):
    async def go(world):
        world.workspace = replace(world.workspace, cache=Cache(tmp_path / "cache"))
        good = world.api._http, world.api._new
        through(world, "/account/credits", ANSWERS["404"])
        await planned(world, created())
        world.api._http, world.api._new = good
        config = world.workspace.config
        policy = replace(config.policy, min_credits=10)
        assert (await planned(world, created())).credit_balance is None
        world.workspace = replace(world.workspace, config=replace(config, policy=policy))
        assert (await planned(world, created())).credit_balance is not None

    in_world(go, tmp_path)


def test_a_cache_is_of_one_api_and_version_and_never_in_the_workspace(tmp_path):
    now, cache = "2026-01-01T00:00:00Z", Cache(tmp_path / "c")
    cache.put(("models", "https://a", "2025-03", "video"), ["x"], now=now)
    assert cache.get(("models", "https://a", "2025-03", "video"), list[str], now=now) == ["x"]
    for key in (("models", "https://b", "2025-03", "video"), ("models", "https://a", "2026-05", "video")):
        assert cache.get(key, list[str], now=now) is None
    assert cache.get(("models", "https://a", "2025-03", "video"), list[str], now="2025-12-31T00:00:00Z") is None
    (tmp_path / "file").write_text("")
    Cache(tmp_path / "file" / "in").put(("models",), [], now=now)  # can't be written: no error
    work = tmp_path / "w"
    work.mkdir()
    (tmp_path / "link").symlink_to(work)
    assert cache_folder({"XDG_CACHE_HOME": "/x"}, work) is not None
    assert str(cache_folder({"HOME": "/h", "XDG_CACHE_HOME": "relative"}, work)) == "/h/.cache/reconciler"
    for env in (
        {"XDG_CACHE_HOME": str(work / "c")},
        {"XDG_CACHE_HOME": str(tmp_path / "link")},
        {"HOME": str(work)},
        {},
    ):
        assert cache_folder(env, work) is None


def test_own_skills_are_those_of_the_account(tmp_path):
    async def go(world):
        world.store.add_skill(id=OWN)
        ((_, address, summary, _),) = await looked(world, created(skills=["cinema", OWN.upper(), OTHER]))
        assert (address, summary) == ("a", f"the account has no skill `{OTHER}`")
        assert len(asked(world, "/account/skills")) == 1
        assert not await looked(world, created(skills=["cinema"]))
        assert not asked(world, "/account/skills")

    with contract.kept():
        contract.choose("2026-05")
        in_world(go, tmp_path)


def test_validate_online_refuses_what_plan_warns_of(tmp_path):
    wrong = "projects: {a: {brief: x, settings: {video_model: klng-3.0}}}\n"
    space = make_space(tmp_path / "w", wrong)
    assert "Valid: 1 project." in space.run("validate").out
    ran = space.run("validate", "--online", code=1)
    assert "error: `video_model`: the API has no video model `klng-3.0`" in ran.err and "a.yaml" in ran.err
    assert "Did you mean `kling-3.0`?" in ran.err
    (error,) = space.run("validate", "--online", "--format", "json", code=1).errors
    assert error["address"] == "a"
    space.write("specs/a.yaml", wrong.replace("klng", "kling"))
    assert "Valid: 1 project." in space.run("validate", "--online").out
    with space.account() as store:
        assert {row.path for row in store.requests()} == {"/models"}
    assert [path.name for path in (space.root / ".reconciler").iterdir()] == ["sandbox"]
