"""The parts of one apply, and how it makes a mutating call: its intent is on disk before it is sent."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final, Literal, NoReturn, Protocol, TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from reconciler.adapters.api.client import ApiClient
from reconciler.model import contract
from reconciler.model.errors import (
    ApiError,
    CreditsError,
    Diagnostic,
    Fate,
    RateLimitedError,
    ReconcilerError,
    WrongStatusError,
)
from reconciler.model.events import Emit
from reconciler.model.identity import Elsewhere, identity
from reconciler.model.journal import Begin, Draft, Effect, End, Record
from reconciler.model.live import LiveProject
from reconciler.model.plan import Step
from reconciler.model.redact import Redactor
from reconciler.model.state import Intent, IntentKind, Known, Outputs
from reconciler.model.values import Json, Value, WireBody, filled, portable, reveal
from reconciler.operations.workspace import MediaFactory, utc_now

T = TypeVar("T")
_WORK: Final[frozenset[IntentKind]] = frozenset({"create", "adopt", "message", "render"})
WaitMode = Literal["none", "steps", "idle"]


TIME_IS_UP: Final = "time ran out"


class Deferred(Exception):  # noqa: N818  no error: the step stays for the next apply
    """The step can't be done now, and this run does not wait for it (any longer)."""


class Interrupted(Exception):  # noqa: N818
    """The user asked to stop: no new calls."""


class Undecided(Exception):  # noqa: N818
    """A call of unknown fate, and nothing tells whether it was done; its intent stays pending. With a ``finding``, the call
    was not made now and the state has the question.
    """

    def __init__(self, why: str, finding: Diagnostic | None = None) -> None:
        super().__init__(why)
        self.finding = finding


class Journal(Protocol):
    """Where records are written; returns when they are on disk. ``check`` raises LockError once the lock is lost."""

    async def append(self, record: Record) -> None: ...

    def check(self) -> None: ...


class Options(Struct, frozen=True, kw_only=True):
    """Options of an apply. Times are in seconds; a ``poll_interval`` of ``None`` is the advised one."""

    wait: WaitMode = "steps"
    parallelism: int = 8
    poll_interval: float | None = None
    poll_scale: float = 1.0
    settle: float = 10.0
    active_limit: int = field(default_factory=lambda: contract.current().limits.active_projects)


class Run(Struct, kw_only=True):
    """The working parts of one apply. ``stop`` is set by the first interrupt."""

    api: ApiClient
    journal: Journal
    draft: Draft
    emit: Emit
    workspace: str
    slots: asyncio.Semaphore
    """Limits how many addresses are worked on at once."""
    options: Options = field(default_factory=Options)
    env: Mapping[str, str] = field(default_factory=dict)
    redact: Redactor = field(default_factory=Redactor)
    now: Callable[[], str] = utc_now
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    plan_id: str | None = None
    credits_error: CreditsError | None = None
    root: Path = Path()
    """The workspace's folder, which has the files of references."""
    media: MediaFactory
    uploading: dict[str, asyncio.Lock] = field(default_factory=dict)
    """A lock for each digest, held while the file is uploaded, so that it is uploaded once."""
    environment: str | None = None
    sharing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a permanent link is made, so that a new one in the account's list is that one, or a person's."""
    proving: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by the replacement whose create shows whether the API takes what the others send, before more is canceled."""
    lacking: set[str] = field(default_factory=set)
    """The kinds of steps whose calls the API turned out not to have."""
    worked: set[str] = field(default_factory=set)
    """The addresses at which this run set an agent to work or rendered: the state knows all that came before."""
    found: dict[str, str] = field(default_factory=dict)
    """The addresses whose projects were there before the state knew them, and when this run found them."""
    begun: Callable[[Step], object] = lambda _: None
    """Hears of the step of each call that is about to be sent."""
    elsewhere: Callable[[], Elsewhere] = Elsewhere
    """What other states of the configuration say; read once."""
    elsewhere_now: Callable[[], Elsewhere] = Elsewhere
    """The same, read each time."""

    @property
    def identity(self) -> str:
        """What the idempotency keys of its creates begin with."""
        return identity(self.workspace, self.environment)

    def is_halted(self) -> bool:
        """Whether nothing new may begin: the time is up, or the user asked to stop."""
        return self.api.halt.over

    async def record(self, record: Record) -> None:
        """Write a record to the journal first, then fold it into the working state."""
        await self.journal.append(record)
        self.draft.fold(record)

    def intent(
        self,
        kind: IntentKind,
        address: str,
        *,
        step: int,
        body: Mapping[str, Value],
        project_id: str | None = None,
        generation: int = 0,
        cursor: str | None = None,
        message_id: str | None = None,
        final: bool = True,
        seen: tuple[str | None, ...] = (),
    ) -> Intent:
        return Intent(
            op=uuid.uuid4().hex,
            kind=kind,
            address=address,
            at=self.now(),
            plan=self.plan_id,
            step=step,
            body=portable(body),
            project_id=project_id,
            generation=generation,
            cursor=cursor,
            message_id=message_id,
            final=final,
            seen=seen,
        )

    def fill(self, body: Mapping[str, Value], address: str) -> dict[str, Value]:
        """Fill the body's secrets with their plain values. Raises as :meth:`reveal`."""
        try:
            return filled(body, self.env, self.draft.lineage)
        except KeyError as error:
            raise ReconcilerError(
                f"environment variable {error.args[0]} is not set, or not listed in `policy.allowed_env`",
                "The plan was made with it. Set it and apply again.",
                address=address,
            ) from error
        except ValueError as error:
            raise ReconcilerError(
                f"stale: the value of `{error.args[0]}` has changed since the plan was made",
                "Make a new plan.",
                address=address,
            ) from error

    def reveal(self, body: Mapping[str, Value], address: str) -> WireBody:
        """The body for the API.

        Raises:
            ReconcilerError: the environment lacks the value that a saved plan's secret was planned with, or has another.

        """
        return reveal(self.fill(body, address), self.env, self.draft.lineage)

    async def perform(self, intent: Intent, step: Step, call: Callable[[], Awaitable[T]]) -> T:
        """Make one mutating call, its intent on disk before it is sent. The caller records success.

        Raises:
            Interrupted: the user asked to stop, before anything was sent.
            Deferred: the time is up, before anything was sent.
            HaltedError: one of the two, while the call waited for its turn; recorded as not done.
            WrongStatusError, RateLimitedError: another copy of it may have acted (the intent stays pending).
            ApiError: not done (recorded), or of unknown fate (the intent stays pending: resolve it).

        """
        async with self.slots:
            if self.stop.is_set():
                raise Interrupted
            if self.is_halted():
                raise Deferred
            await self.record(Begin(intent=intent))
            self.begun(step)
            if intent.kind in _WORK:
                self.worked.add(intent.address)
            # once the intent is written the call runs to its end: an interrupt must not leave it of unknown fate
            try:
                return await call()
            except ApiError as error:
                if error.fate is Fate.NOT_DONE and not isinstance(error, WrongStatusError | RateLimitedError):
                    await self.record(End(op=intent.op, result="not_done", note=summary_of(error)))
                raise

    async def record_done(self, intent: Intent, *effects: Effect, note: str = "") -> None:
        """Record that an intent was done, and with it its step if it was the step's last call."""
        await self.record(
            End(
                op=intent.op,
                effects=effects,
                address=intent.address if intent.plan else None,
                plan=intent.plan,
                done=intent.step + intent.final,
                note=note,
            )
        )

    async def leave_undecided(self, intent: Intent, why: str, *effects: Effect, near: tuple[str, ...]) -> NoReturn:
        """Leave a call to the user, as one of unknown fate: it was not made now, since an earlier run may have made it.

        Raises:
            Undecided: always.

        """
        await self.record(Begin(intent=replace(intent, undecided=True, near=near)))  # it may be cut short right here
        await self.record(End(op=intent.op, result="unknown", effects=effects, near=near, note=why))
        raise Undecided(why)

    async def record_step(self, address: str, step: int, *effects: Effect) -> None:
        """Record a step that makes no call."""
        await self.record(End(effects=effects, address=address, plan=self.plan_id, done=step + 1))

    def as_known(
        self, settings: Mapping[str, Json], source: Literal["list", "status", "patch", "sent"]
    ) -> dict[str, Known]:
        """Settings as the state keeps them: sealed values, secrets in foreign text redacted."""
        at = self.now()
        return {name: Known(value, source, at) for name, value in self.redact.fields(settings).items()}

    def as_outputs(self, live: LiveProject) -> Outputs:
        """Outputs as the state keeps them; secrets that show up in the account's texts are redacted."""
        return self.redact.record(Outputs(**{name: getattr(live, name) for name in Outputs.__struct_fields__}))


def summary_of(error: ReconcilerError) -> str:
    return error.diagnostics[0].summary


def diagnostic_of(error: ReconcilerError, address: str) -> Diagnostic:
    """The first finding of an error, tied to an address."""
    first = error.diagnostics[0]
    return Diagnostic(
        severity=first.severity,
        summary=first.summary,
        detail=first.detail,
        address=address,
        code=first.code,
        kind=first.kind,
    )
