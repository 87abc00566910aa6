"""A workspace put together from its parts: configuration, specs, state, API or sandbox."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from functools import cache, partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from httpx import ASGITransport
from msgspec import Struct
from msgspec.structs import replace

from reconciler.adapters.api.client import ApiClient
from reconciler.adapters.api.ledger_file import LedgerFile, file_name
from reconciler.adapters.api.limiter import RateLimiter
from reconciler.adapters.cache import Cache, cache_folder
from reconciler.cli.console import Console
from reconciler.cli.inputs import load_configuration, name_missing, read_specs
from reconciler.cli.key import SANDBOX_KEY, read_key
from reconciler.cli.options import Chosen
from reconciler.cli.other_environments import read_elsewhere
from reconciler.cli.state_backends import open_store
from reconciler.cli.variables import Variables
from reconciler.model import contract
from reconciler.model.config import Config
from reconciler.model.errors import ConfigError, Diagnostic, UsageError
from reconciler.model.hosts import is_loopback
from reconciler.model.state import Entry, State
from reconciler.model.version import VERSION
from reconciler.operations.workspace import PolicyCheck, StateStore, Workspace
from reconciler.planning.selection import select
from reconciler.report.heading import Where
from reconciler.report.safe_text import clean

if TYPE_CHECKING:
    from reconciler.adapters.media.client import MediaClient

SANDBOX_URL = "http://sandbox/api/v1"
SANDBOX_POLL_SCALE = 0.02


class CommandContext(Struct, frozen=True):
    """A workspace as commands use it."""

    console: Console
    config: Config
    workspace: Workspace
    store: StateStore

    def state(self) -> State:
        """The state, checked against workspace and API. Raises StateError."""
        return self.workspace.load()[0]

    def where(self, serial: int) -> Where:
        """What the first line of results names; ``serial`` is the state's."""
        config = self.config
        return Where(
            workspace=config.workspace,
            environment=config.environment,
            api_url=config.api_url,
            serial=serial,
            place=config.state_place,
        )

    def entries(self, chosen: Chosen) -> dict[str, Entry]:
        """The state's entries that are chosen, in the order of their addresses; tags are those in the specs.

        Raises:
            UsageError: a selector fits nothing in the state.
            StateError: the state can't be read.
            SpecError: the specs are wrong, and tags are asked for.

        """
        return self.entries_of(self.state(), chosen)

    def entry(self, address: str) -> Entry:
        """The state's entry of this address. Raises UsageError, StateError."""
        from reconciler.operations.state.edits import require_entry  # noqa: PLC0415  4 ms that a plan does not need

        return require_entry(self.state(), address)

    def entries_of(self, state: State, chosen: Chosen) -> dict[str, Entry]:
        """As :meth:`entries`, of a state that was read already."""
        from reconciler.operations.state.edits import require_entry  # noqa: PLC0415  4 ms that a plan does not need

        projects = read_specs(self.config, Variables()).projects if chosen.tag else {}
        found, wrong = select(state.projects, projects, chosen.selection())
        if wrong:
            raise UsageError(wrong)
        return {address: require_entry(state, address) for address in sorted(found)}

    @contextlib.asynccontextmanager
    async def api(self, *, on_retry: Callable[[str], None] | None = None) -> AsyncIterator[ApiClient]:
        """The client of the API or of the embedded sandbox. ``on_retry`` hears of long waits; by default the user does.

        Raises:
            ConfigError: there is no key, or the URL can't be used.

        """
        config, console = self.config, self.console
        connect = partial(
            ApiClient,
            redact=console.redact,
            on_retry=on_retry or console.note,
            guard=self.store.check,
            tell=console.trace.hear_request if console.trace is not None else None,
        )
        if console.verbose > 1:
            _log_requests(console)
        most = config.limits.requests_per_minute
        if not config.sandboxed:
            key = read_key(console, config)
            folder = self.workspace.cache.folder
            shared = LedgerFile(folder / "limits", file_name(config.api_url, key)) if folder else None
            with contextlib.closing(RateLimiter(most, shared, self.workspace.tell)) as limiter:
                async with connect(config.api_url, key, limiter=limiter) as client:
                    yield client
            return
        with _sandbox_transport(config, console.secret_values) as transport:
            async with connect(SANDBOX_URL, SANDBOX_KEY, limiter=RateLimiter(most), transport=transport) as client:
                yield client

    @contextlib.asynccontextmanager
    async def media(self, *, limit: int) -> AsyncIterator[MediaClient]:
        """The client that downloads rendered files: plain http only from this machine, and only if the API is on it."""
        async with _open_media(self.config, limit) as media:
            yield media


@contextlib.asynccontextmanager
async def _open_media(config: Config, limit: int | None = None) -> AsyncIterator[MediaClient]:
    from reconciler.adapters.media.client import MAX_BYTES, MediaClient  # noqa: PLC0415  few commands send or load files

    limit = MAX_BYTES if limit is None else limit
    if not config.sandboxed:
        host = urlsplit(config.api_url).hostname or ""
        async with MediaClient(local=is_loopback(host), limit=limit, api_host=host) as media:
            yield media
        return
    with _sandbox_transport(config) as transport:
        async with MediaClient(local=True, limit=limit, transport=transport) as media:
            yield media


@contextlib.contextmanager
def _sandbox_transport(config: Config, secret_values: Iterable[str] = ()) -> Iterator[ASGITransport]:
    """The sandbox in this process: the same server, reached without a socket. It stores none of ``secret_values``.

    Raises:
        ConfigError: the account's file can't be used.

    """
    from reconciler.sandbox.app import create_app  # noqa: PLC0415  80 ms of server code that only the sandbox needs
    from reconciler.sandbox.store import Store  # noqa: PLC0415

    changes, api = {"speed": config.sandbox_speed}, contract.named(config.sandbox_version)
    with contextlib.closing(Store(config.sandbox_db, changes=changes, secret_values=secret_values, api=api)) as store:
        yield ASGITransport(create_app(store))


def say_who_works(context: CommandContext) -> None:
    """Note that another run holds the state, so that what is read now may soon be out of date."""
    holder = context.store.holder()
    if holder is not None:
        detail = f"Held by {clean(holder)}. What it does from now on is not shown here."
        context.console.diagnose([Diagnostic(severity="note", summary="another run holds the state", detail=detail)])


def load_context(console: Console) -> CommandContext:
    """Read the configuration and put the workspace together; opens nothing yet.

    Raises:
        ConfigError: the configuration is wrong, or nothing tells the workspace's name.
        StateError: only the state could tell the name, and it can't be read.

    """
    config = load_configuration(console)
    store = open_store(console, config)
    if not config.named:
        config = _with_known_name(config, store)
        console.workspace = config.workspace
    elsewhere_now = partial(read_elsewhere, console, config)
    workspace = Workspace(
        config=config,
        store=store,
        version=VERSION,
        env={name: os.environ[name] for name in config.policy.allowed_env if name in os.environ},
        redact=console.redact,
        media=partial(_open_media, config),
        cache=Cache(None if config.sandboxed else cache_folder(os.environ, config.root)),
        tell=lambda line: console.note(line) if console.verbose else None,
        elsewhere=cache(elsewhere_now),
        elsewhere_now=elsewhere_now,
        policy=cache(partial(_policy_check, console)) if console.policy else None,
    )
    return CommandContext(console, config, workspace, store)


def _policy_check(console: Console) -> PolicyCheck:
    from reconciler.cli.policy import load_policy_check  # noqa: PLC0415  few plans have a policy

    return load_policy_check(console)


def _with_known_name(config: Config, store: StateStore) -> Config:
    """The workspace's name from its state, if the file has none.

    Never from the folder, except in the sandbox: a checkout in another folder would ask for the same projects under
    other idempotency keys, and pay for all of them again.
    """
    state = store.load().state
    if state is not None:
        return replace(config, workspace=state.workspace)
    if config.sandboxed:
        return config
    raise ConfigError((name_missing(config, "error"),))


def poll_scale(config: Config) -> float:
    """The factor for the advised poll intervals: embedded agents are fast, and requests to them are free."""
    return SANDBOX_POLL_SCALE / config.sandbox_speed if config.sandboxed else 1.0


def _log_requests(console: Console) -> None:
    """``-vv``: a line for each answer, from what httpx logs (method, URL, protocol, status, reason)."""

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if isinstance(record.args, tuple) and len(record.args) == 5:
                method, url, _, status, _ = record.args
                shown = str(url).partition("?")[0] if method == "PUT" else url  # the query lets anybody upload
                console.note(f"{method} {shown} → {status}")

    logger = logging.getLogger("httpx")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.handlers = [Lines()]
