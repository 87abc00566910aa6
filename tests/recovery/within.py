"""Use cases in this process, over a real socket, with a client that loses patience soon."""

import asyncio
from dataclasses import dataclass, field
from functools import partial

from reconciler.adapters.api import sending
from reconciler.adapters.api.client import ApiClient
from reconciler.adapters.api.limiter import RateLimiter
from reconciler.adapters.media.client import MediaClient
from reconciler.adapters.state.local import LocalStateStore
from reconciler.model.errors import ReconcilerError
from reconciler.operations.apply.run import Options
from reconciler.operations.apply.workflow import ApplyRequest, apply
from reconciler.operations.read.plan import plan
from reconciler.operations.workspace import Workspace
from reconciler.planning.planner import Selection
from tests.spec_files import load_config, load_specs


@dataclass
class Applied:
    """An apply's result, or the error it ended with, and what was told on the way."""

    result: object = None
    error: ReconcilerError | None = None
    events: list = field(default_factory=list)

    @property
    def outcomes(self):
        return {(r.step.address, r.step.action): r.outcome for r in self.result.results} if self.result else {}

    def __str__(self):
        lines = [f"{type(event).__name__} {_short(event)}" for event in self.events]
        error = [] if self.error is None else [f"{d.summary}\n{d.detail}" for d in self.error.diagnostics]
        return "\n".join([*lines, *error, str(self.outcomes)])


def _short(event):
    step = getattr(event, "step", event)
    told = [getattr(step, "address", ""), getattr(step, "action", ""), getattr(event, "outcome", "")]
    return " ".join([*told, str(getattr(event, "error", "") or getattr(event, "note", ""))[:200]])


class Within:
    """The workspace of a world, as the program's own parts see it."""

    def __init__(self, world, *, patience=0.25):
        self._world = world
        self._patience = patience

    def _parts(self):
        config = load_config(self._world.folder, env={}, state=None, api_url=None)
        store = LocalStateStore(config.state_path, version="0")
        wanted = load_specs(config, env={}, variables={})
        media = partial(MediaClient, local=False)
        return Workspace(config=config, store=store, version="0", media=media), config, wanted

    def apply(self, *, wait="steps", settle=0.3, timeout=None):
        told = Applied()
        workspace, config, wanted = self._parts()
        options = Options(wait=wait, poll_interval=0.02, settle=settle)
        request = ApplyRequest(desired=wanted, options=options, timeout=timeout, confirm=lambda _: True)

        async def go():
            async with self._client(config) as api:
                return await apply(workspace, api, request, emit=told.events.append, stop=asyncio.Event())

        try:
            told.result = asyncio.run(go())
        except ReconcilerError as error:
            told.error = error
        return told

    def plan(self):
        workspace, config, wanted = self._parts()

        async def go():
            async with self._client(config) as api:
                return (await plan(workspace, api, wanted, Selection()))[0]

        return asyncio.run(go())

    def _client(self, config):
        return ApiClient(
            config.api_url, self._world.key, limiter=RateLimiter(1_000_000), timeout=self._patience, retries=2
        )


def impatient(monkeypatch):
    """Waits between tries that suit a test."""
    monkeypatch.setattr(sending, "BACKOFF_FIRST", 0.01)
