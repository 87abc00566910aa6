"""Putting the parts together: configuration, specs, state, API or sandbox."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from reconciler.adapters.api.client import ApiClient
from reconciler.adapters.api.limiter import RateLimiter
from reconciler.adapters.file_transfer import MAX_BYTES, MediaClient
from reconciler.cli.console import Console
from reconciler.cli.inputs import load, unnamed
from reconciler.cli.state_backends import store_of
from reconciler.model.config import Config
from reconciler.model.errors import ConfigError
from reconciler.model.loopback import is_loopback
from reconciler.model.version import VERSION
from reconciler.operations.workflows import StateStore, Workspace

SANDBOX_URL = "http://sandbox/api/v1"
SANDBOX_POLL_SCALE = 0.02
SANDBOX_KEY = "sandbox"
"""Stands in for a key where none is needed: the sandbox lets any in."""


class Wired(Struct, frozen=True):
    """A workspace as commands use it."""

    console: Console
    config: Config
    workspace: Workspace
    store: StateStore

    @contextlib.asynccontextmanager
    async def api(self, *, on_retry: Callable[[str], None] | None = None) -> AsyncIterator[ApiClient]:
        """The client, talking to the API or to the embedded sandbox. ``on_retry`` is told of long waits; else people are.

        Raises:
            ConfigError: there is no key, or the URL will not do.

        """
        config, console = self.config, self.console
        limiter = RateLimiter(config.limits.requests_per_minute)
        on_retry = on_retry or console.note
        if console.verbose > 1:
            _tell_requests(console)
        if not config.sandboxed:
            client = ApiClient(
                config.api_url,
                _key(config),
                limiter=limiter,
                redact=console.redact,
                on_retry=on_retry,
                guard=self.store.check,
            )
            async with client:
                yield client
            return
        # 80 ms of server code that only the sandbox needs
        from reconciler.cli.sandbox_transport import embedded_transport  # noqa: PLC0415

        with embedded_transport(
            sandbox_db(config), speed=config.sandbox_speed, secret_values=console.secret_values
        ) as transport:
            client = ApiClient(
                SANDBOX_URL,
                SANDBOX_KEY,
                limiter=limiter,
                transport=transport,
                redact=console.redact,
                on_retry=on_retry,
                guard=self.store.check,
            )
            async with client:
                yield client

    @contextlib.asynccontextmanager
    async def media(self, *, limit: int) -> AsyncIterator[MediaClient]:
        """What fetches rendered files: plain http only from this machine, and only if the API is here, too."""
        async with _media(self.config, limit) as media:
            yield media


@contextlib.asynccontextmanager
async def _media(config: Config, limit: int = MAX_BYTES) -> AsyncIterator[MediaClient]:
    if not config.sandboxed:
        host = urlsplit(config.api_url).hostname or ""
        async with MediaClient(local=is_loopback(host), limit=limit, api_host=host) as media:
            yield media
        return
    from reconciler.cli.sandbox_transport import embedded_transport  # noqa: PLC0415

    with embedded_transport(sandbox_db(config), speed=config.sandbox_speed) as transport:
        async with MediaClient(local=True, limit=limit, transport=transport) as media:
            yield media


def wire(console: Console) -> Wired:
    """Read the configuration and put the workspace together; opens nothing yet.

    Raises:
        ConfigError: the configuration will not do, or nothing tells the workspace's name.
        StateError: nothing but the state could tell it, and it can't be read.

    """
    config = load(console)
    store = store_of(console, config)
    if not config.named:
        config = _with_known_name(config, store)
        console.workspace = config.workspace
    workspace = Workspace(
        config=config,
        store=store,
        version=VERSION,
        env={name: os.environ[name] for name in config.policy.allowed_env if name in os.environ},
        redact=console.redact,
        media=partial(_media, config),
    )
    return Wired(console, config, workspace, store)


def _with_known_name(config: Config, store: StateStore) -> Config:
    """The workspace's name from its state, where the file has none.

    Never from the folder, but in the sandbox: a checkout elsewhere would ask for the same projects under other
    idempotency keys, and pay for all of them again.
    """
    state = store.load().state
    if state is not None:
        return replace(config, workspace=state.workspace)
    if config.sandboxed:
        return config
    raise ConfigError((unnamed(config, "error"),))


def sandbox_db(config: Config) -> Path:
    """Where the embedded sandbox's account lies."""
    return config.sandbox_dir / "account.db"


def poll_scale(config: Config) -> float:
    """By how much the advised poll intervals are stretched: the embedded agents are quick, and looking costs nothing."""
    return SANDBOX_POLL_SCALE / config.sandbox_speed if config.sandboxed else 1.0


def _tell_requests(console: Console) -> None:
    """``-vv``: a line for each answer, from what httpx logs (method, URL, protocol, status, reason)."""

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if isinstance(record.args, tuple) and len(record.args) == 5:
                method, url, _, status, _ = record.args
                shown = str(url).partition("?")[0] if method == "PUT" else url  # what follows lets anybody upload
                console.note(f"{method} {shown} → {status}")

    logger = logging.getLogger("httpx")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.handlers = [Lines()]


def _key(config: Config) -> str:
    key = os.environ.get(config.key_env, "")
    if key:
        return key
    if is_loopback(urlsplit(config.api_url).hostname or ""):
        return SANDBOX_KEY
    raise ConfigError(
        f"no API key: environment variable {config.key_env} is not set",
        "Set it to your key, or try everything for nothing with `--api-url sandbox`.",
    )
