"""Each of the eight calls, made by a specification, with its body held against the contract's own words."""

import re

from reconciler.model.config import Config, Policy
from reconciler.model.values import Secret
from reconciler.planning.planner import Selection
from tests.operations.operations_support import in_world
from tests.spec_files import load_specs

STUDIO = "51d10000-0000-4000-8000-000000000001"

# As eversince-projects-api.txt says; spelled out here, so that the program's own table is tested too.
TEXT, FLAG, LIST = str, bool, list
CREATE = {
    "brief": TEXT,
    "title": TEXT,
    "mode": TEXT,
    "aspect_ratio": TEXT,
    "craft": TEXT,
    "craft_auto": FLAG,
    "video_model": TEXT,
    "image_model": TEXT,
    "agent_model": TEXT,
    "expected_output": TEXT,
    "webhook_url": TEXT,
    "idempotency_key": TEXT,
    "references": LIST,
    "extract_content": FLAG,
}
PATCH = {
    "title": TEXT,
    "mode": TEXT,
    "video_model": TEXT,
    "image_model": TEXT,
    "agent_model": TEXT,
    "craft": TEXT,
    "craft_auto": FLAG,
    "webhook_url": TEXT,
    "expected_output": TEXT,
}
NULLABLE = {"title", "webhook_url", "expected_output"}
CALLS = [
    ("create", "POST", r"/projects", CREATE, {"brief", "idempotency_key"}, set()),
    ("adopt", "POST", r"/projects/adopt", {"project_id": TEXT, "mode": TEXT}, {"project_id"}, set()),
    ("list", "GET", r"/projects", None, set(), {"limit", "offset", "status", "title"}),
    ("status", "GET", r"/projects/[^/]+", None, set(), set()),
    ("settings", "PATCH", r"/projects/[^/]+/settings", PATCH, set(), set()),
    ("cancel", "POST", r"/projects/[^/]+/cancel", None, set(), set()),
    (
        "message",
        "POST",
        r"/projects/[^/]+/messages",
        {"message": TEXT, "references": LIST, "extract_content": FLAG},
        {"message"},
        set(),
    ),
    ("messages", "GET", r"/projects/[^/]+/messages", None, set(), {"limit", "after", "before"}),
]


def checked(rows):
    """The name of each call made, after its query and body were held against the contract."""
    names = []
    for row in rows:
        name, _, _, fields, needed, query = next(
            call for call in CALLS if call[1] == row.method and re.fullmatch(call[2], row.path)
        )
        names.append(name)
        assert row.query.keys() <= query, row
        if fields is None:
            assert row.body is None, row
            continue
        assert needed <= row.body.keys() <= fields.keys(), row
        assert row.body, "an empty body is never sent"
        for field, value in row.body.items():
            if value is None:
                assert name == "settings" and field in NULLABLE, row
            else:
                assert type(value) is fields[field], row
        for reference in row.body.get("references", []):
            assert set(reference) in ({"upload_id"}, {"url", "type"}, {"url"}), row
        assert row.status is not None and row.status < 300, row
    return names


def specs(folder, text, env=None):
    (folder / "specs").mkdir(exist_ok=True)
    (folder / "specs" / "all.yaml").write_text(text)

    config = Config(root=folder, workspace="ws", policy=Policy(allowed_env=tuple(env or ())))
    return load_specs(config, env=env or {})


FIRST = """
projects:
  whole:
    brief: |
      Fifteen seconds.
    aspect_ratio: 9:16
    references:
      - {url: "https://example.com/logo.png", type: image}
      - {upload_id: upl_1}
    extract_content: false
    settings:
      title: Whole
      mode: collaborative
      craft: cinema
      craft_auto: false
      video_model: kling-3.0
      image_model: nano
      agent_model: sonnet
      expected_output: assets
      webhook_url: https://hooks.example.com/${env.TOKEN}
    messages:
      - id: softer
        message: Softer.
        references: [{upload_id: upl_2}]
        extract_content: false
      - Louder.
  bare: {brief: Nothing but a brief.}
  adopted:
    adopt: STUDIO
    settings: {mode: autonomous, title: Adopted}
  taken:
    import: IMPORT
    settings: {title: Taken, craft_auto: true}
    lifecycle: {on_remove: release}
""".replace("STUDIO", STUDIO)

SECOND = """
projects:
  whole:
    brief: Fifteen seconds.
    aspect_ratio: 9:16
    references:
      - {url: "https://example.com/logo.png", type: image}
      - {upload_id: upl_1}
    extract_content: false
    settings: {title: null, webhook_url: null, expected_output: null, mode: autonomous, craft: ugc}
    messages:
      - {id: softer, message: Softer., references: [{upload_id: upl_2}], extract_content: false}
      - Louder.
  bare: {brief: Another brief., settings: {title: null, webhook_url: null, expected_output: null}}
  adopted: {adopt: STUDIO, state: cancelled}
""".replace("STUDIO", STUDIO)


def test_every_call_is_made_with_just_what_the_specs_declare(tmp_path):
    async def test(world):
        to_import = world.project(brief="By hand.")
        env = {"TOKEN": "t0ken-value"}
        first = specs(tmp_path, FIRST.replace("IMPORT", to_import), env)
        assert isinstance(first.projects["whole"].settings["webhook_url"], Secret)

        await world.plan(first)
        world.store.set_status(world.project(brief="Someone's."), "failed")
        made = await world.apply(first)
        assert set(made.counts) == {"done"}
        rows = world.store.requests()
        names = checked(rows)
        assert set(names) == {"create", "adopt", "list", "status", "settings", "message", "messages"}

        bodies = {row.body["idempotency_key"]: row.body for row in rows if row.path == "/projects" and row.body}
        assert bodies["ws/bare/1"] == {"brief": "Nothing but a brief.", "idempotency_key": "ws/bare/1"}
        assert bodies["ws/whole/1"] == {
            "brief": "Fifteen seconds.",
            "aspect_ratio": "9:16",
            "references": [{"url": "https://example.com/logo.png", "type": "image"}, {"upload_id": "upl_1"}],
            "extract_content": False,
            "title": "Whole",
            "mode": "collaborative",
            "craft": "cinema",
            "craft_auto": False,
            "video_model": "kling-3.0",
            "image_model": "nano",
            "agent_model": "sonnet",
            "expected_output": "assets",
            "webhook_url": "https://hooks.example.com/t0ken-value",
            "idempotency_key": "ws/whole/1",
        }
        adopted = world.id("adopted")
        assert sorted((row.path, str(row.body)) for row in rows if row.method == "PATCH") == sorted(
            [
                (f"/projects/{adopted}/settings", "{'title': 'Adopted'}"),
                (f"/projects/{to_import}/settings", "{'title': 'Taken', 'craft_auto': True}"),
            ]
        )
        assert next(row.body for row in rows if row.path == "/projects/adopt") == {
            "project_id": STUDIO,
            "mode": "autonomous",
        }
        assert [row.body for row in rows if row.path.endswith("/messages") and row.body] == [
            {"message": "Softer.", "references": [{"upload_id": "upl_2"}], "extract_content": False},
            {"message": "Louder."},
        ]
        for path in tmp_path.rglob("*"):
            assert path.is_dir() or b"t0ken-value" not in path.read_bytes(), path

        again = await world.plan(first)
        assert not again.steps and not again.diagnostics

        second = specs(tmp_path, SECOND)
        made = await world.apply(second)
        assert set(made.counts) == {"done"}
        rows = world.store.requests()
        names = checked(rows)
        assert {"cancel", "settings", "create"} <= set(names)
        whole = world.id("whole")
        patches = {row.path: row.body for row in rows if row.method == "PATCH"}
        assert patches == {
            f"/projects/{whole}/settings": {
                "title": None,
                "webhook_url": None,
                "expected_output": None,
                "mode": "autonomous",
                "craft": "ugc",
            },
            f"/projects/{to_import}/settings": {"mode": "none"},
        }
        assert next(row.body for row in rows if row.path == "/projects" and row.body) == {
            "brief": "Another brief.",
            "idempotency_key": "ws/bare/2",
        }
        assert world.live(adopted)["status"] == "cancelled" and world.live(to_import)["mode"] == "none"
        assert not (await world.plan(second)).steps

    in_world(test, tmp_path)


def test_a_plan_makes_only_gets_and_leaves_every_file_as_it_was(tmp_path):
    async def test(world):
        desired = specs(tmp_path, "projects: {a: {brief: One., messages: [Hi.]}, b: {brief: Two.}}")
        await world.apply(desired)
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        changed = specs(tmp_path, "projects: {a: {brief: New.}, c: {brief: Three., settings: {title: T}}}")
        before[tmp_path / "specs" / "all.yaml"] = (tmp_path / "specs" / "all.yaml").read_bytes()
        made = await world.plan(changed)

        assert {step.action for step in made.steps} == {"replace", "create", "forget"}
        assert not world.writes()
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before

    in_world(test, tmp_path)


def test_destroying_cancels_what_works_and_forgets_the_rest(tmp_path):
    async def test(world):
        desired = specs(tmp_path, "projects: {a: {brief: One.}, b: {brief: Two.}}")
        await world.apply(desired)
        world.store.set_status(world.id("a"), "running")
        await world.apply(desired, selection=Selection(destroy=True))

        assert checked(world.store.requests()).count("cancel") == 1
        assert not world.state().projects

    in_world(test, tmp_path)
