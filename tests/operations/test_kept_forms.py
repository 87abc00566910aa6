"""Values that the account keeps in a form of its own are asked for once; a list that lags behind is no change outside."""

from __future__ import annotations

import asyncio
import html
import json
from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest
from msgspec.structs import replace

from reconciler.adapters.api.client import ApiClient
from reconciler.adapters.api.limiter import RateLimiter
from reconciler.model.desired import CreateOrigin, Desired, DesiredProject, ImportOrigin
from reconciler.model.events import Noted
from reconciler.model.redact import Redactor
from reconciler.model.values import Revealed, Secret
from reconciler.operations.apply import exactly_once
from reconciler.operations.calls import settings as settings_call
from reconciler.planning.planner import Selection
from reconciler.sandbox.app import create_app
from reconciler.sandbox.faults import Fault
from tests.operations.operations_support import in_world
from tests.planning.planning_support import created, desired

FORMS: dict[str, Callable[[str], str]] = {
    "trimmed": str.strip,
    "folded": lambda t: " ".join(t.split()),
    "lower case": str.lower,
    "escaped": html.escape,
    "curly": lambda t: t.replace("'", "’").strip(),
    "emoji as ?": lambda t: "".join("?" if ord(c) > 0xFFFF else c for c in t),
    "emoji dropped": lambda t: "".join(c for c in t if ord(c) <= 0xFFFF).rstrip(),
}
TITLE = " Tom's  A & B 🎉"


class Habits(httpx.AsyncBaseTransport):
    """The emulated API with habits: ``keep`` changes settings as they come in, ``lag`` shows in lists what projects
    were so many virtual seconds ago, with ``updated_at`` or without; ``echo`` answers a PATCH with what was asked.
    """

    def __init__(self, world, keep=None, *, lag=0.0, stamped=True, echo=False, hidden=()):
        self.inner = httpx.ASGITransport(create_app(world.store))
        self.world, self.keep, self.lag, self.stamped, self.echo = world, keep or {}, lag, stamped, echo
        self.hidden = hidden
        self.rows: dict[str, list[tuple[float, dict]]] = {}

    async def handle_async_request(self, request):
        content = await request.aread()
        asked = json.loads(content) if content else {}
        if content and request.url.path.endswith(("/projects", "/settings")):
            kept = {n: self.keep[n](v) if n in self.keep and isinstance(v, str) else v for n, v in asked.items()}
            if request.url.path.endswith("/projects"):  # creates take no null
                kept = {n: v for n, v in kept.items() if v is not None}
            content = json.dumps(kept).encode()
        if request.url.path.endswith("/settings"):
            await self.rows_now()
        headers = {n: v for n, v in request.headers.items() if n != "content-length"}
        response = await self.inner.handle_async_request(
            httpx.Request(request.method, request.url, headers=headers, content=content)
        )
        data = json.loads(await response.aread())
        if request.method == "PATCH" and response.status_code == 200:
            data = {**data, **(asked if self.echo else {})}
            data = {name: value for name, value in data.items() if name not in self.hidden}
        if "projects" in data and self.lag:
            data["projects"] = [self.lagging(row) for row in data["projects"]]
        return httpx.Response(response.status_code, json=data)

    async def rows_now(self):
        """Remember what lists show now."""
        request = httpx.Request("GET", "http://sandbox/api/v1/projects", headers={"Authorization": "Bearer k"})
        data = json.loads(await (await self.inner.handle_async_request(request)).aread())
        for row in data["projects"]:
            self.rows.setdefault(row["id"], []).append((self.world.time(), row))

    def lagging(self, row):
        old = [r for at, r in self.rows.get(row["id"], ()) if at >= self.world.time() - self.lag]
        shown = old[0] if old else row
        return {**shown, **({} if self.stamped else {"updated_at": None}), "status": row["status"]}


async def use(world, **habits):
    await world.api.__aexit__(None, None, None)
    world.api = ApiClient(
        "http://sandbox/api/v1",
        "es_live_test",
        limiter=RateLimiter(1_000_000),
        transport=Habits(world, **habits),
    )
    await world.api.__aenter__()


def patches(world):
    return [row for row in world.store.requests() if row.method == "PATCH"]


def told(world, made=None):
    """What was said of kept forms, in the run or in a plan."""
    diagnostics = [e.diagnostic for e in world.events if isinstance(e, Noted)] + list(made.diagnostics if made else ())
    return [d for d in diagnostics if "the account keeps it" in d.summary]


def with_title(title, **settings):
    return desired(created(settings={"title": title, **settings}))


async def quiet(world, specs):
    """Nothing is to do, nothing is said, and an apply sends nothing."""
    made = await world.plan(specs)
    assert not made.steps and not made.diagnostics, made
    world.events.clear()
    await world.apply(specs)
    assert world.writes() == [] and not told(world)


@pytest.mark.parametrize("form", FORMS)
def test_a_title_that_a_create_keeps_in_another_form_is_told_once_and_never_set_again(tmp_path, form):
    async def test(world):
        await use(world, keep={"title": FORMS[form]})
        await world.apply(with_title(TITLE), wait="none")
        made = await world.plan(with_title(TITLE))
        assert not made.steps
        [note] = told(world, made)
        assert note.severity == "note" and repr(FORMS[form](TITLE)) in note.summary
        await world.apply(with_title(TITLE))
        assert world.writes() == []
        await quiet(world, with_title(TITLE))

    in_world(test, tmp_path)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("form", FORMS)
def test_a_form_that_the_run_that_created_sees_is_told_by_that_run(tmp_path, form):
    async def test(world):
        await use(world, keep={"title": FORMS[form]})
        await world.apply(
            desired(
                created("a", settings={"title": TITLE}, messages=["Softer."]), created("b", brief="B.", messages=["x"])
            )
        )
        [note] = told(world)
        assert note.address == "a" and repr(FORMS[form](TITLE)) in note.summary
        world.store.clear_requests()
        await quiet(
            world,
            desired(
                created("a", settings={"title": TITLE}, messages=["Softer."]), created("b", brief="B.", messages=["x"])
            ),
        )

    in_world(test, tmp_path)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("form", FORMS)
def test_a_title_that_a_patch_keeps_in_another_form_is_told_once_and_never_set_again(tmp_path, form):
    async def test(world):
        await use(world, keep={"title": FORMS[form]})
        await world.apply(with_title("First"))
        world.events.clear()
        await world.apply(with_title(TITLE))
        [note] = told(world)
        assert note.severity == "note" and repr(FORMS[form](TITLE)) in note.summary
        assert len(patches(world)) == 1
        for _ in range(2):
            await quiet(world, with_title(TITLE))
        await world.apply(with_title("Third"))
        world.events.clear()
        await world.apply(with_title(TITLE))
        assert len(patches(world)) == 1

    in_world(test, tmp_path)


@pytest.mark.parametrize("echo", [True, False])
def test_a_patch_that_echoes_or_answers_without_the_title_is_believed_until_a_list_shows_it(tmp_path, echo):
    async def test(world):
        await use(world, keep={"title": str.lower}, echo=echo, hidden=() if echo else ("title",))
        await world.apply(with_title("First"))
        await world.apply(with_title("Second Title"))
        for _ in range(2):
            await world.apply(with_title("Second Title"))
            assert patches(world) == []
        await quiet(world, with_title("Second Title"))

    in_world(test, tmp_path)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("to", ["Something else", "tom", "TOM'S A & B", "tom's a & b 2"])
def test_a_title_that_a_person_changes_afterwards_is_drift_and_set_once(tmp_path, to):
    async def test(world):
        await use(world, keep={"title": lambda t: " ".join(t.lower().split())})
        await world.apply(with_title("Tom's  A & B"))
        await world.apply(with_title("Tom's  A & B"))
        world.store.person_sets(world.id("a"), title=to)
        made = await world.plan(with_title("Tom's  A & B"))
        assert [step.reason for step in made.steps] == ["drift: title changed outside"]
        await world.apply(with_title("Tom's  A & B"))
        assert len(patches(world)) == 1
        await quiet(world, with_title("Tom's  A & B"))

    in_world(test, tmp_path)


def test_another_value_that_a_patch_answers_is_warned_of_once(tmp_path):
    async def test(world):
        await use(world, keep={"title": lambda t: t.replace("Damn", "****")})
        await world.apply(with_title("First"))
        world.events.clear()
        await world.apply(with_title("Damn good"))
        [warning] = [e.diagnostic for e in world.events if isinstance(e, Noted)]
        assert warning.severity == "warning" and "'**** good'" in warning.summary
        await quiet(world, with_title("Damn good"))

    in_world(test, tmp_path)


def test_a_patch_whose_answer_shows_what_was_there_before_is_asked_again(tmp_path):
    # Intent: an API that did not do it must not be taken for one that has a form of its own.
    async def test(world):
        await use(world, keep={"title": lambda _: "First"})
        await world.apply(with_title("First"))
        await world.apply(with_title("Second"))
        made = await world.plan(with_title("Second"))
        assert len(made.steps) == 1

    in_world(test, tmp_path)


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("name", "asked", "keep"),
    [
        ("title", "A title of quite thirty chars!", lambda t: t[:20]),
        ("title", "A title of quite thirty chars!", lambda t: t[:17] + "..."),
        ("title", "My big Title", lambda t: t.lower().replace(" ", "-")),
        ("title", "Launch", lambda t: f"[API] {t}".replace("[API] [API]", "[API]")),
        ("title", "Launch", lambda t: f"{t} (2)"),
        ("title", "Launch", lambda _: "Untitled project"),
        ("title", "Launch", lambda _: None),
        ("title", "\U0001f389\U0001f389", lambda _: None),
        ("title", "Größe", lambda _: "Groesse"),
        ("expected_output", "assembled", lambda _: None),
        ("mode", "collaborative", lambda _: "autonomous"),
    ],
)
@pytest.mark.parametrize("first", [True, False], ids=["from the create on", "from a change on"])
def test_no_value_that_the_account_keeps_in_its_own_way_is_set_for_ever(tmp_path, name, asked, keep, first):
    async def test(world):
        await use(world, keep={name: keep})
        specs = desired(created(settings={name: asked}))
        if not first:
            await world.apply(desired(created()))
        for _ in range(3):
            await world.apply(specs)
        world.store.clear_requests()
        await quiet(world, specs)

    in_world(test, tmp_path)


def hook(url):
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.lower().removesuffix(":443"), parts.path.rstrip("/"), "", ""))


@pytest.mark.parametrize(
    ("name", "asked", "keep"),
    [
        ("webhook_url", "https://Hooks.Example.com:443/a/", hook),
        ("video_model", "Kling-3.0", str.lower),
        ("image_model", " nano-banana ", str.strip),
    ],
)
def test_settings_that_no_list_shows_are_told_once_too(tmp_path, name, asked, keep):
    async def test(world):
        await use(world, keep={name: keep})
        await world.apply(with_title("T"))
        world.events.clear()
        specs = with_title("T", **{name: asked})
        await world.apply(specs)
        assert len([e for e in world.events if isinstance(e, Noted)]) == 1
        assert world.state().projects["a"].settings[name].kept == keep(asked)
        await quiet(world, specs)

    in_world(test, tmp_path)


@pytest.mark.parametrize("patched", [True, False])
def test_a_secret_that_is_kept_in_another_form_is_stored_and_told_nowhere(tmp_path, patched):
    async def test(world):
        world.workspace = replace(world.workspace, redact=Redactor(("Canary-Value",)), env={"TITLE": "Canary-Value"})
        await use(world, keep={"title": str.lower})
        secret = Secret("${env.TITLE}", "", Revealed("Canary-Value"))
        if patched:
            await world.apply(with_title("First"))
        await world.apply(with_title(secret))
        made = await world.plan(with_title(secret))
        assert not made.steps
        text = (tmp_path / "state.json").read_text() + repr(world.events) + repr(made.diagnostics)
        assert "canary-value" not in text.lower()

    in_world(test, tmp_path)


@pytest.mark.parametrize("stamped", [True, False])
def test_a_list_that_lags_behind_a_patch_is_no_drift(tmp_path, stamped):
    async def test(world):
        await use(world, lag=40, stamped=stamped)
        await world.apply(with_title("First"))
        await world.apply(with_title("Second"))
        assert len(patches(world)) == 1
        made = await world.plan(with_title("Second"))
        assert not made.steps and not made.diagnostics
        await world.apply(with_title("Second"))
        assert patches(world) == []
        again = await world.plan(with_title("First"))
        assert len(again.steps) == 1, "what is asked for now was not asked for last"

    in_world(test, tmp_path)


@pytest.mark.parametrize("stamped", [True, False])
def test_a_person_who_puts_the_old_title_back_is_no_lag(tmp_path, stamped):
    async def test(world):
        await use(world, lag=0.001, stamped=stamped)
        await world.apply(with_title("First"))
        await world.apply(with_title("Second"))
        await asyncio.sleep(5 if stamped else 90)
        world.store.person_sets(world.id("a"), title="First")
        made = await world.plan(with_title("Second"))
        assert len(made.steps) == 1

    in_world(test, tmp_path)


def test_many_projects_whose_titles_are_searched_for_are_found_in_the_kept_form(tmp_path):
    async def test(world):
        await use(world, keep={"title": html.escape})
        specs = with_title("Tom & Jerry at the sea")
        world.projects(150)
        await world.apply(specs, wait="none")
        world.projects(150)
        assert not (await world.plan(specs)).steps, "a search for a form that is still to be seen tells nothing"
        await world.apply(specs)
        assert patches(world) == []
        await quiet(world, specs)

    in_world(test, tmp_path)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("form", FORMS)
def test_a_create_of_unknown_fate_is_found_though_its_title_is_kept_in_another_form(tmp_path, form):
    async def test(world):
        await use(world, keep={"title": FORMS[form]})
        world.store.add_fault(Fault(kind="reset", method="POST", path="^/projects$", when="after"))
        world.store.add_fault(
            Fault(kind="status", method="POST", path="^/projects$", status=409, code="conflict", skip=1)
        )
        specs = with_title(TITLE)
        await world.apply(specs)
        world.store.clear_faults()
        await world.apply(specs)
        assert [e.kind for e in world.store.ledger() if e.kind == "create"] == ["create"]
        await world.apply(specs)
        await quiet(world, specs)

    in_world(test, tmp_path)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("form", FORMS)
def test_refresh_only_takes_no_form_for_drift(tmp_path, form):
    async def test(world):
        await use(world, keep={"title": FORMS[form]})
        specs = with_title(TITLE)
        await world.apply(specs)
        await world.apply(specs)
        made = await world.plan(specs, refresh_only=True)
        assert not made.diagnostics
        await world.apply(specs, selection=Selection(refresh_only=True))
        assert world.state().projects["a"].settings["title"].value == TITLE
        await quiet(world, specs)

    in_world(test, tmp_path)


# ── the emulated API's own habits ──

HABITS = [
    ("trim",),
    ("fold",),
    ("lower",),
    ("escape",),
    ("quotes", "fold", "trim"),
    ("emoji",),
    ("nfd",),
    ("lower", "escape", "emoji"),
]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("habits", HABITS)
@pytest.mark.parametrize("first", [None, "First"])
def test_no_habit_of_the_emulated_api_sets_a_title_twice(tmp_path, habits, first):
    async def test(world):
        specs = with_title(TITLE)
        if first is not None:
            await world.apply(with_title(first))
        await world.apply(specs)
        assert len(patches(world)) == (first is not None)
        await world.apply(specs)
        assert patches(world) == []
        await quiet(world, specs)

    in_world(test, tmp_path, title_habits=habits)


def test_a_list_of_the_emulated_api_that_lags_is_no_drift(tmp_path):
    async def test(world):
        await world.apply(with_title("First"))
        await world.apply(with_title("Second"))
        for _ in range(3):
            await asyncio.sleep(7)
            assert not (await world.plan(with_title("Second"))).steps
        await asyncio.sleep(30)
        await quiet(world, with_title("Second"))
        world.store.person_sets(world.id("a"), title="First")
        await asyncio.sleep(31)
        assert len((await world.plan(with_title("Second"))).steps) == 1

    in_world(test, tmp_path, list_lag=30.0)


@pytest.mark.parametrize("polled", [False, True], ids=["", "polled meanwhile"])
@pytest.mark.parametrize("managed", ["imported", "created"])
def test_what_was_seen_before_a_lost_change_is_not_remembered_as_what_is_there(tmp_path, monkeypatch, managed, polled):
    """Else the state would go on saying what no longer holds: the next plan has nothing to do and does not correct it."""

    async def commit_while_polled(run, monitor, call):
        try:
            return await exactly_once.commit(run, monitor, call)
        finally:
            monitor.note(call.live)

    if polled:
        monkeypatch.setattr(settings_call, "commit", commit_while_polled)

    async def test(world):
        made = world.project(brief="A film.", title="Before")
        origin = ImportOrigin(made) if managed == "imported" else CreateOrigin({"brief": "A film."})

        def wanted(title):
            return Desired("ws", {"a": DesiredProject("a", origin, settings={"title": title})})

        await world.apply(wanted("Before"))
        world.store.finish_all()
        world.store.add_fault(Fault(kind="status", method="PATCH", when="after", status=500, times=0))
        lost = await world.apply(wanted("After"))
        assert lost.counts["failed"] == 1 and world.live(world.id("a"))["title"] == "After"
        assert "title" not in world.state().projects["a"].settings

        world.store.clear_faults()
        calm = await world.apply(wanted("After"))
        assert not calm.results and world.state().projects["a"].settings["title"].value == "After"

    in_world(test, tmp_path)
