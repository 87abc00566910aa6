"""An emulated account with a clock that stands until a test moves it."""

import asyncio

import httpx
import pytest

from reconciler.sandbox.app import create_app
from reconciler.sandbox.store import Options, Store

START = 1_750_000_000.0
"""2025-06-15T15:06:40Z."""


class Account:
    """Calls the API in process, as a client with a key would."""

    def __init__(self, store, now, key=None):
        self.store = store
        self.now = now
        self.app = create_app(store, key=key)

    def __call__(self, method, path, body=None, *, key="es_live_test", prefix="/api/v1", **kwargs):
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        if body is not None:
            kwargs["json"] = body

        async def go():
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://sandbox", headers=headers) as client:
                return await client.request(method, prefix + path, **kwargs)

        return asyncio.run(go())

    def wait(self, seconds):
        self.now[0] += seconds

    def create(self, brief="A teaser.", **fields):
        answer = self("POST", "/projects", {"brief": brief, **fields})
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def idle(self, brief="A teaser.", **fields):
        project_id = self.create(brief, **fields)
        self.store.finish_all()
        return project_id

    def status(self, project_id):
        return self("GET", f"/projects/{project_id}").json()

    def kinds(self):
        return [effect.kind for effect in self.store.ledger()]


@pytest.fixture
def open_account():
    """Makes accounts: ``open_account(**options)``; ``path`` and ``now`` may be shared between several."""
    stores = []

    def make(*, path=":memory:", now=None, key=None, given=True, **options):
        now = [START] if now is None else now
        store = Store(path, options=Options(**options) if given else None, clock=lambda: now[0])
        stores.append(store)
        return Account(store, now, key)

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def api(open_account):
    """An account without limits on requests or active projects."""
    return open_account(requests_per_minute=0, active_projects=0)


def refused(answer, status, code):
    """Checks the error envelope and gives its message."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert answer.json() == {"error": {"code": code, "message": error["message"], "status": status}}
    return error["message"]


@pytest.fixture(name="refused")
def refused_fixture():
    return refused
