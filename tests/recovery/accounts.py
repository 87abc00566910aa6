"""Many emulated accounts behind one real socket; the API key says which one is meant."""

import sqlite3
import threading

import uvicorn
from msgspec.structs import asdict

from reconciler.sandbox.app import PREFIX, create_app
from reconciler.sandbox.server import _listen
from reconciler.sandbox.store import Options, Store

OPTIONS = Options(speed=5000.0, requests_per_minute=0, active_projects=5, strict=True)


def copied(source, options=OPTIONS):
    """An account like another one, in memory."""
    store = Store(":memory:", options=options, api=source.contract)
    with source._lock:
        source._db.backup(store._db)
    store.change({name: value for name, value in asdict(options).items() if name != "credits"})
    return store


class Accounts:
    """A server on a thread, for as long as the ``with`` block lasts. ``url`` is the API's address for all of them."""

    def __init__(self):
        self._apps = {}
        self._stores = {}
        self._number = 0
        self.asked = {}
        """The paths that were asked for with each key of ``another_key``, by key."""

    def open(self, source=None, options=OPTIONS, api=None):
        """A new account (a copy of ``source``) and the key that leads to it. ``api``: the version that it speaks."""
        self._number += 1
        key = f"es_live_{self._number:08d}"
        store = Store(":memory:", options=options, api=api) if source is None else copied(source, options)
        self._stores[key] = store
        self._apps[key] = create_app(store)
        return key, store

    def another_key(self, key, name):
        """One more key to an account, so that one can tell who asked, however late a killed run's request comes."""
        more = f"{key}_{name}"
        self._apps[more] = self._apps[key]
        self.asked[more] = []
        return more

    def close(self, key):
        for more in [each for each in self.asked if each.startswith(key)]:
            del self._apps[more], self.asked[more]
        self._apps.pop(key)
        store = self._stores.pop(key)
        with store._lock:
            store.close()

    def _storage_of(self, path):
        """The account that gave out an address for an upload or of a video: that one proves itself, and has no key."""
        project = path.removeprefix("/media/").partition(".")[0].partition("-")[0]
        for key, store in list(self._stores.items()):
            with store.account() as account:
                if account.one("SELECT 1 FROM projects WHERE id = ?", project):
                    return key
                if account.one("SELECT 1 FROM uploads WHERE key = ?", path.removeprefix("/storage/")):
                    return key
        return None

    async def _app(self, scope, receive, send):
        key = dict(scope["headers"]).get(b"authorization", b"").decode().removeprefix("Bearer ")
        app = self._apps.get(key or self._storage_of(scope["path"]))
        if app is None:  # a killed run's request that comes late, when its account is gone
            await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
            return
        if key in self.asked:
            self.asked[key].append(scope["path"].removeprefix(PREFIX))
        try:
            await app(scope, receive, send)
        except sqlite3.ProgrammingError:
            if key in self._apps:
                raise

    def __enter__(self):
        ready = threading.Event()
        listener = _listen("127.0.0.1", 0)
        config = uvicorn.Config(
            self._app,
            interface="asgi3",
            lifespan="off",
            ws="none",
            access_log=False,
            log_level="critical",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        startup = self._server.startup

        async def started(sockets=None):
            await startup(sockets)
            ready.set()

        self._server.startup = started
        self._listener = listener
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)
        self._thread.start()
        assert ready.wait(30)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}{PREFIX}"
        return self

    def __exit__(self, *_):
        self._server.should_exit = True
        self._thread.join(10)
        self._listener.close()
        for key in list(self._apps):
            self.close(key)
