"""The parts that every use case works with."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol, TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from reconciler.adapters.api.client import ApiClient
from reconciler.adapters.cache import Cache
from reconciler.adapters.state.claims import Claims
from reconciler.model.config import Config
from reconciler.model.errors import Severity
from reconciler.model.identity import Elsewhere
from reconciler.model.journal import Record
from reconciler.model.plan import Plan
from reconciler.model.policy import PolicyReport
from reconciler.model.redact import Redactor
from reconciler.model.state import Loaded, State, Version
from reconciler.operations.read.lookups import Lookup, ignore
from reconciler.planning.planner import Header

if TYPE_CHECKING:
    from reconciler.adapters.media.client import MediaClient


def utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


MediaFactory: TypeAlias = "Callable[[], AbstractAsyncContextManager[MediaClient]]"
"""Opens a client that sends files."""


PolicyCheck = Callable[[Plan, Plan, Collection[str]], PolicyReport]
"""What a policy says of a plan with the digest of the second one, to which these groups have agreed."""


class StateStore(Protocol):
    """Where the state is kept. Reading takes no lock; all writing happens under it.

    ``holder`` says who holds the lock, without taking it. ``check`` raises LockError once the lock is lost; it is called before every mutating call. ``unlock`` breaks the lock
    of another run, if it may; ``confirm`` is shown who holds it. ``claims`` has the claim of a pull request.
    """

    @property
    def claims(self) -> Claims: ...

    def lock(self, command: str, timeout: float) -> AbstractContextManager[None]: ...

    def load(self) -> Loaded: ...

    def begin(self, state: State) -> None: ...

    async def append(self, record: Record) -> None: ...

    def save(self, state: State, *, lasting: bool = False) -> None: ...

    def holder(self) -> str | None: ...

    def check(self) -> None: ...

    def unlock(self, confirm: Callable[[str], bool]) -> bool: ...

    def versions(self) -> list[Version]: ...

    def version(self, serial: int) -> State: ...


class Workspace(Struct, frozen=True, kw_only=True):
    """The parts that every use case works with. ``env`` fills a saved plan's secrets."""

    config: Config
    store: StateStore
    version: str
    env: Mapping[str, str] = field(default_factory=dict)
    redact: Redactor = field(default_factory=Redactor)
    now: Callable[[], str] = utc_now
    media: MediaFactory
    cache: Cache = Cache()
    """Keeps answers that stay true for a day."""
    tell: Callable[[str], None] = ignore
    """Hears why something was not checked that the program can do without."""
    elsewhere: Callable[[], Elsewhere] = Elsewhere
    """Reads the other states of the configuration, once."""
    elsewhere_now: Callable[[], Elsewhere] = Elsewhere
    """Reads them each time."""

    policy: Callable[[], PolicyCheck] | None = None
    """Reads the policy, if there is one. Raises ConfigError."""

    def with_policy(self, plan: Plan, of: Plan, approved_by: Collection[str] = ()) -> Plan:
        """The plan with what the policy says of it; ``of`` has its digest: a saved plan as it was read. Raises ConfigError."""
        if self.policy is None:
            return plan
        return replace(plan, policy=self.policy()(plan, of, approved_by))

    def load(self) -> tuple[State, bool]:
        """Load the state, or make a new one; and whether a journal was folded in.

        Raises:
            StateError: it can't be read.
            StateMismatchError: it belongs to another workspace or API.

        """
        loaded = self.store.load()
        config = self.config
        if loaded.state is None:
            made = State(
                lineage=uuid.uuid4().hex,
                workspace=config.workspace,
                environment=config.environment,
                api_url=config.api_url,
            )
            return made, False
        return config.own(loaded.state), loaded.folded

    def lookup(self, api: ApiClient, severity: Severity) -> Lookup:
        """How to look up what specs name; ``severity`` is that of what is found."""
        return Lookup(
            api=api,
            api_url=self.config.api_url,
            now=self.now(),
            severity=severity,
            cache=self.cache,
            tell=self.tell,
        )

    def header(self) -> Header:
        return Header(id=uuid.uuid4().hex, version=self.version, created_at=self.now())
