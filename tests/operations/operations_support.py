"""What the tests of the operations share: an emulated account, a client and a workspace, all on virtual time."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import httpx

from reconciler.adapters.api.client import ApiClient
from reconciler.adapters.api.limiter import RateLimiter
from reconciler.adapters.media.client import MediaClient
from reconciler.adapters.state.local import LocalStateStore
from reconciler.model.config import Config, Limits, Policy
from reconciler.model.desired import Desired
from reconciler.model.errors import Diagnostic
from reconciler.model.events import ApplyResult, Event
from reconciler.model.live import Snapshot
from reconciler.model.plan import Plan
from reconciler.model.state import State
from reconciler.operations.apply.run import Options as RunOptions
from reconciler.operations.apply.workflow import ApplyRequest, apply
from reconciler.operations.read.plan import plan
from reconciler.operations.workspace import Workspace
from reconciler.planning.planner import Selection
from reconciler.sandbox.app import create_app
from reconciler.sandbox.store import Options, RequestRow, Store
from tests.virtual_time import run

START = 1_750_000_000.0


class World:
    """An account, and a workspace that works on it. Lives inside one loop of virtual time."""

    def __init__(self, folder: Path | None, *, active: int = 5, policy: Policy | None = None, **options: Any) -> None:
        self._loop = asyncio.get_running_loop()
        given = {"requests_per_minute": 0, "active_projects": active, "strict": True, **options}
        self.store = Store(":memory:", options=Options(**given), clock=self.clock)
        self.events: list[Event] = []
        self.refused: tuple[Diagnostic, ...] = ()
        """What forbids the last plan."""
        self.active = active or 1000
        self.api = self.client()
        if folder is not None:
            config = Config(
                root=folder,
                workspace="ws",
                api_url="sandbox",
                limits=Limits(active_projects=self.active),
                policy=policy or Policy(max_share=None),
            )
            self.states = LocalStateStore(folder / "state.json", version="0")
            self.workspace = Workspace(config=config, store=self.states, version="0", now=self.now, media=self.media)

    def client(self, per_minute: int = 1_000_000) -> ApiClient:
        transport = httpx.ASGITransport(create_app(self.store))
        return ApiClient("http://sandbox/api/v1", "es_live_test", limiter=RateLimiter(per_minute), transport=transport)

    def media(self) -> MediaClient:
        return MediaClient(local=True, transport=httpx.ASGITransport(create_app(self.store)))

    async def __aenter__(self) -> Self:
        await self.api.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.api.__aexit__(None, None, None)
        self.store.close()

    def time(self) -> float:
        """Virtual seconds since the world began."""
        return self._loop.time()

    def clock(self) -> float:
        return START + self._loop.time()

    def now(self) -> str:
        return datetime.fromtimestamp(self.clock(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    # ── the account ──

    def project(self, *, brief: str = "A person's film.", status: str = "idle", **settings: Any) -> str:
        return self.store.person_creates(brief=brief, status=status, **settings)

    def projects(self, count: int, **more: Any) -> list[str]:
        """Many at once, oldest first."""
        with self.store.account() as account:
            return [
                str(
                    account.add_project(brief="x", status=more.get("status", "idle"), origin="person", title=None)["id"]
                )
                for _ in range(count)
            ]

    def calls(self) -> list[tuple[str, str]]:
        return [(row.method, row.path) for row in self.store.requests()]

    def writes(self) -> list[RequestRow]:
        return [row for row in self.store.requests() if row.method != "GET"]

    def live(self, project_id: str) -> dict[str, Any]:
        return next(p for p in self.store.projects() if p["id"] == project_id)

    # ── the workspace ──

    def state(self) -> State:
        loaded = self.states.load().state
        assert loaded is not None
        return loaded

    def id(self, address: str) -> str:
        return self.state().projects[address].project_id

    async def plan(self, desired: Desired, **selection: Any) -> Plan:
        """Plan, and check what every plan must hold: GETs alone, and as many as it says."""
        self.store.clear_requests()
        made, self.refused = await plan(self.workspace, self.api, desired, Selection(**selection))
        rows = self.store.requests()
        assert {row.method for row in rows} <= {"GET"}
        assert len(rows) == made.requests_used
        return made

    async def apply(
        self,
        desired: Desired | None = None,
        *,
        saved: Plan | None = None,
        selection: Selection | None = None,
        wait: Any = "idle",
        seconds: float | None = None,
    ) -> ApplyResult:
        self.store.clear_requests()
        options = RunOptions(wait=wait, active_limit=self.active)
        request = ApplyRequest(
            desired=desired,
            saved=saved,
            selection=selection or Selection(),
            options=options,
            timeout=seconds,
            confirm=lambda _: True,
        )
        return await apply(self.workspace, self.api, request, emit=self.events.append, stop=asyncio.Event())


class Capped(httpx.AsyncBaseTransport):
    """A server that puts at most so many rows on a page, whatever it is asked for, with or without saying so. The cap may
    change from page to page.
    """

    def __init__(self, world: World, *caps: int, says: bool = True) -> None:
        self._inner = httpx.ASGITransport(create_app(world.store))
        self._caps, self._says = itertools.cycle(caps), says

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        asked = request.url.params.get("limit")
        if asked is not None:
            request.url = request.url.copy_set_param("limit", min(int(asked), next(self._caps)))
        response = await self._inner.handle_async_request(request)
        document = json.loads(await response.aread())
        if "limit" in document and not self._says:
            document["limit"] = int(asked)
        return httpx.Response(response.status_code, json=document)

    def client(self) -> ApiClient:
        return ApiClient("http://sandbox/api/v1", "es_live_test", limiter=RateLimiter(1_000_000), transport=self)


def in_world(test: Callable[[World], Awaitable[Any]], folder: Path | None = None, **options: Any) -> Any:
    """Run a test's coroutine in a world of its own."""

    async def main() -> Any:
        async with World(folder, **options) as world:
            return await test(world)

    return run(main())


def statuses(snapshot: Snapshot) -> Mapping[str, str]:
    return {project_id: project.status for project_id, project in snapshot.projects.items()}
