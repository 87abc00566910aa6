"""A workspace on virtual time whose runs can be dropped at any point, as if their process had died."""

import asyncio
import json
from datetime import UTC, datetime
from functools import partial

import httpx

from reconciler.adapters.api.client import ApiClient
from reconciler.adapters.api.limiter import RateLimiter
from reconciler.adapters.media.client import MediaClient
from reconciler.adapters.state.local import LocalStateStore
from reconciler.model import contract
from reconciler.model.errors import StateError, UsageError
from reconciler.operations.apply.run import Options
from reconciler.operations.apply.workflow import ApplyRequest, apply
from reconciler.operations.read.plan import plan
from reconciler.operations.state.edits import bind, decide, recover_state
from reconciler.operations.workspace import Workspace
from reconciler.planning.planner import Selection
from reconciler.sandbox.app import create_app
from reconciler.sandbox.store import Options as Account
from reconciler.sandbox.store import Store
from tests.spec_files import load_config, load_specs
from tests.virtual_time import run

START = 1_750_000_000.0
SECONDS_BETWEEN_RUNS = 1.0
CONFIG = """\
workspace: virtual
api: {url: "http://127.0.0.1:1/api/v1"}
limits: {requests_per_minute: 1000000}
policy: {max_share: null}
"""


class Killed(BaseException):
    """The process is no more."""


class Life:
    """Counts points down; from the last one on nothing works any more."""

    def __init__(self, points):
        self.left = points

    def point(self):
        self.alive()
        if self.left is not None:
            self.left -= 1

    def alive(self):
        if self.left is not None and self.left <= 0:
            raise Killed


class MortalStore(LocalStateStore):
    """Nothing is written once the process is dead."""

    life = Life(None)

    def _write(self, data):
        self.life.point()
        super()._write(data)
        self.life.point()

    async def append(self, record):
        self.life.alive()
        try:
            await super().append(record)
        except StateError:
            self.life.alive()
            raise

    def save(self, state):
        self.life.point()
        super().save(state)
        self.life.point()


class MortalTransport(httpx.ASGITransport):
    def __init__(self, app, life):
        super().__init__(app)
        self._life = life

    async def handle_async_request(self, request):
        self._life.point()
        response = await super().handle_async_request(request)
        response.stream = httpx.ByteStream(await response.aread())  # it is read once more, by the client
        self._life.point()
        return response


class Virtual:
    """The folder, the account and the clock; each apply is one run on a loop of its own."""

    def __init__(self, folder, version=contract.DEFAULT_VERSION):
        self.folder = folder
        self.elapsed = 0.0
        (folder / "specs").mkdir(parents=True)
        (folder / "reconciler.yaml").write_text(CONFIG.replace("api: {", f"api: {{version: {version}, "))
        account = Account(speed=10.0, requests_per_minute=0)
        self.store = Store(":memory:", options=account, clock=self.clock, api=contract.named(version))
        self.app = create_app(self.store)

    def close(self):
        self.store.close()

    def clock(self):
        try:
            return START + self.elapsed + asyncio.get_running_loop().time()
        except RuntimeError:
            return START + self.elapsed

    def now(self):
        return datetime.fromtimestamp(self.clock(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def specs(self, projects, moved=()):
        """JSON is YAML."""
        text = json.dumps({"projects": projects, "moved": [{"from": a, "to": b} for a, b in moved]})
        (self.folder / "specs" / "all.yaml").write_text(text)

    def entries(self):
        path = self.folder / "reconciler.state.json"
        return json.loads(path.read_text())["projects"] if path.exists() else {}

    def _run(self, work, points=None):
        life = Life(points)
        config = load_config(self.folder, env={}, state=None, api_url=None)
        store = MortalStore(config.state_path, version="0")
        store.life = life
        media = partial(MediaClient, local=False)
        workspace = Workspace(config=config, store=store, version="0", now=self.now, media=media)
        wanted = load_specs(config, env={}, variables={})

        async def go():
            asyncio.get_running_loop().set_exception_handler(lambda *_: None)
            transport = MortalTransport(self.app, life)
            client = ApiClient(config.api_url, "es_live_x", limiter=RateLimiter(1_000_000), transport=transport)
            try:
                async with client as api:
                    return await work(workspace, api, wanted)
            finally:
                self.elapsed += asyncio.get_running_loop().time() + SECONDS_BETWEEN_RUNS

        return run(go())

    def apply(self, *, wait="steps", points=None, timeout=None):
        """The result; or raises Killed, or what the program would have reported."""

        def work(workspace, api, wanted):
            request = ApplyRequest(
                desired=wanted,
                options=Options(wait=wait, poll_interval=0.5),
                timeout=timeout,
                confirm=lambda _: True,
            )
            return apply(workspace, api, request, emit=lambda _: None, stop=asyncio.Event())

        return self._run(work, points)

    def pending(self):
        path = self.folder / "reconciler.state.json"
        return list(json.loads(path.read_text())["pending"].values()) if path.exists() else []

    def decide(self, address, *, sent):
        """The user's word on a call of unknown fate."""

        async def work(workspace, api, wanted):
            return decide(workspace, address, sent=sent, lock_timeout=0.0)

        return self._run(work)

    def recover(self, ids):
        """`state recover` at a terminal, by a user who knows the ids by address; whether what it showed was confirmed."""

        def choose(finding):
            return next((p for p in finding.candidates if p.id == ids.get(finding.address)), None)

        def confirm(findings):
            return all(f.entry is None or f.entry.project_id == ids.get(f.address) for f in findings)

        def work(workspace, api, wanted):
            return recover_state(workspace, api, wanted, choose=choose, confirm=confirm, lock_timeout=0.0)

        try:
            self._run(work)
        except UsageError:
            return False
        return True

    def bind(self, address, project_id):
        """`reconciler import`."""
        return self._run(lambda workspace, api, _: bind(workspace, api, address, project_id, lock_timeout=0.0))

    def plan(self):
        async def work(workspace, api, wanted):
            return (await plan(workspace, api, wanted, Selection()))[0]

        return self._run(work)
