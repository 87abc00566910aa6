"""What the planner's tests share: small values of each kind, and one call that plans them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from reconciler.model.desired import (
    AdoptOrigin,
    CreateOrigin,
    Desired,
    DesiredMessage,
    DesiredProject,
    ImportOrigin,
    Lifecycle,
)
from reconciler.model.live import LiveProject, Snapshot
from reconciler.model.plan import Plan
from reconciler.model.references import projects_in
from reconciler.model.state import Entry, Intent, Known, SentMessage, State
from reconciler.model.values import sealed
from reconciler.planning.creation import creation_with_defaults
from reconciler.planning.message_log import message_digest
from reconciler.planning.planner import Header, Selection, make_plan

AT = "2026-01-01T00:00:00.000Z"
LINEAGE = "lineage"
BRIEF = "A calm film about the sea."
ID = "proj_1"
HEADER = Header(id="plan_1", version="0", created_at=AT)


def created(address: str = "a", *, brief: Any = BRIEF, creation: Mapping[str, Any] | None = None, **more: Any) -> Any:
    """A desired project that is created; ``settings``, ``messages``, ``lifecycle``, ``cancelled`` as they come."""
    return _project(address, CreateOrigin({"brief": brief, **(creation or {})}), **more)


def adopted(address: str = "a", studio_id: str = "studio_1", **more: Any) -> DesiredProject:
    return _project(address, AdoptOrigin(studio_id), **more)


def imported(address: str = "a", project_id: str = ID, **more: Any) -> DesiredProject:
    return _project(address, ImportOrigin(project_id), **more)


def _project(address: str, origin: Any, *, messages: Iterable[Any] = (), **more: Any) -> DesiredProject:
    lifecycle = Lifecycle(**more.pop("lifecycle", {}))
    return DesiredProject(address, origin, messages=log(*messages), lifecycle=lifecycle, **more)


def log(*messages: Any) -> tuple[DesiredMessage, ...]:
    """Messages: a text (its id is its position), ``(id, text)`` or ``(id, body)``."""
    result = []
    for number, given in enumerate(messages, 1):
        name, body = (str(number), given) if isinstance(given, str) else given
        result.append(DesiredMessage(name, {"message": body} if isinstance(body, str) else body))
    return tuple(result)


def sent(*messages: Any) -> tuple[SentMessage, ...]:
    """The same messages as the state keeps them once they were sent."""
    return tuple(
        SentMessage(
            id=m.id,
            digest=message_digest(m.body),
            projects=projects_in(m.body),
            text=str(m.body["message"]),
            content="",
            at=AT,
        )
        for m in log(*messages)
    )


def known(source: str = "sent", **settings: Any) -> dict[str, Known]:
    return {name: Known(value, source, AT) for name, value in settings.items()}


def entry(project_id: str = ID, *, brief: Any = BRIEF, creation: Mapping[str, Any] | None = None, **more: Any) -> Entry:
    """The state of a project made with ``brief``; ``settings`` as plain values that were sent."""
    settings = {name: Known(sealed(v), "sent", AT) for name, v in more.pop("settings", {}).items()}
    made = creation_with_defaults({"brief": brief, **(creation or {})})
    return Entry(
        **{"origin": "created", "generation": 1, "creation": made, **more}, project_id=project_id, settings=settings
    )


def bound(project_id: str = ID, **more: Any) -> Entry:
    """The state of a project that was imported (or adopted): nothing is known of its creation."""
    return Entry(**{"project_id": project_id, "origin": "imported", **more})


def live(project_id: str = ID, *, status: str = "idle", brief: str | None = BRIEF, **settings: Any) -> LiveProject:
    """A project as the list shows it."""
    source_project_id = settings.pop("source_project_id", None)
    more = {name: settings.pop(name) for name in ("error_message", "created_at", "assembled_url") if name in settings}
    shown = {"title": None, "mode": "autonomous", "expected_output": None, **settings}
    return LiveProject(
        id=project_id,
        status=status,
        source="list",
        settings=shown,
        brief=brief,
        source_project_id=source_project_id,
        **{"created_at": AT, **more},
    )


def account(*projects: LiveProject, missing: Iterable[str] = (), **more: Any) -> Snapshot:
    return Snapshot(projects={p.id: p for p in projects}, missing=frozenset(missing), at=AT, **more)


def state(*, pending: Iterable[Intent] = (), generations: Mapping[str, int] | None = None, **entries: Entry) -> State:
    return State(
        lineage=LINEAGE,
        workspace="ws",
        api_url="https://api",
        serial=3,
        applied_at=AT,
        projects=entries,
        generations={name: e.generation for name, e in entries.items()} | dict(generations or {}),
        pending={intent.op: intent for intent in pending},
    )


def desired(*projects: DesiredProject, **more: Any) -> Desired:
    return Desired("ws", {p.address: p for p in projects}, **more)


def plan(
    specs: Desired | DesiredProject | None = None,
    have: State | Entry | None = None,
    seen: Snapshot | LiveProject | None = None,
    *,
    active_limit: int = 5,
    **selection: Any,
) -> Plan:
    """Plan; a lone project, entry (of address ``a``) or live project stands for a whole of it; no state is a new one."""
    if isinstance(specs, DesiredProject):
        specs = desired(specs)
    if isinstance(have, Entry):
        have = state(a=have)
    if isinstance(seen, LiveProject):
        seen = account(seen)
    for name in ("targets", "replace", "keep_failed"):
        if name in selection:
            selection[name] = frozenset(selection[name])
    return make_plan(
        specs or desired(),
        have or replace(state(), applied_at=None),
        seen or account(),
        selection=Selection(**selection),
        header=HEADER,
        active_limit=active_limit,
    )


def actions(made: Plan) -> list[str]:
    return [step.action for step in made.steps]


def only(made: Plan) -> Any:
    """The plan's only step."""
    assert len(made.steps) == 1, made.steps
    return made.steps[0]


def finding(made: Plan) -> Any:
    """The plan's only diagnostic."""
    assert len(made.diagnostics) == 1, made.diagnostics
    return made.diagnostics[0]


def quiet(made: Plan) -> bool:
    """Neither a step nor a finding."""
    return not made.steps and not made.diagnostics
