"""Making a mutating call exactly once: intent on disk, request, effects on disk; and recovery where the answer is lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Literal, Protocol, TypeVar

from msgspec import Struct

from reconciler.adapters.api.ledger import LONGEST_WAIT
from reconciler.model.errors import (
    ApiError,
    CreditsError,
    Fate,
    HaltedError,
    IdentityError,
    ProjectLimitError,
    RateLimitedError,
    ReconcilerError,
    RefusedError,
    WrongStatusError,
)
from reconciler.model.journal import Disputed, Effect, End
from reconciler.model.plan import Step
from reconciler.model.state import Dispute, Intent
from reconciler.model.times import instant
from reconciler.operations.apply.polling import Monitor
from reconciler.operations.apply.run import Run, Undecided, summary_of

T = TypeVar("T")
ATTEMPTS: Final = 4
"""How often a call that turned out not done is made."""
LIMITED_RETRIES: Final = 4
"""How often a call that was refused as one request too many is made again, each time after a look at what it did."""
STATUS_ATTEMPTS: Final = 3
"""How often a call is made that the project's status forbade at that moment."""
LONGEST_FLIGHT: Final = 900.0
"""Seconds from an intent after which its request can't be under way any more, waiting for the rate limit included."""


class Done(Struct, frozen=True):
    """How a step was done: a note for people, mostly empty. ``already``: it was done before; nothing was made now."""

    note: str = ""
    already: bool = False


class Overtaken(Exception):  # noqa: N818
    """The step is done, but what it found makes the address's further steps moot; the text says what."""


class Resolution(Struct, frozen=True):
    """What became of a call whose answer is not known. ``near``: ids of messages that may be the call's."""

    result: Literal["done", "not_done", "unknown"]
    note: str
    effects: tuple[Effect, ...] = ()
    near: tuple[str, ...] = ()


class Call(Protocol[T]):
    """One mutating call of the API. Its recovery needs nothing but the intent: a later run has nothing else."""

    @property
    def step(self) -> Step:
        """The step that it belongs to."""

    def intent(self) -> Intent:
        """A new intent, written to disk before the call is sent. Raises ReconcilerError: it must not be sent any more."""

    async def send(self) -> T:
        """Make the request once. Raises ApiError, whose fate says whether it may have acted."""

    async def effects(self, answer: T, intent: Intent) -> tuple[Effect, ...]:
        """What the answer changes in the state. Raises IdentityError where it is about another's project."""

    @staticmethod
    async def recover(run: Run, monitor: Monitor, intent: Intent, /) -> Resolution:
        """Find out what became of an open intent. Nothing that costs is repeated on a guess.

        Raises:
            ApiError: the account can't be asked just now.
            ReconcilerError: the environment lacks what the intent's secrets need.

        """


Recovery = Callable[[Run, Monitor, Intent], Awaitable[Resolution]]


async def commit(
    run: Run, monitor: Monitor, call: Call[T], acted: Callable[[Intent], Awaitable[bool]] | None = None
) -> T | None:
    """Make a call until it is done; ``None``: an answer was lost, but the call is known to be done.

    ``acted``: a look at whether a call may have acted all the same that was refused as one request too many, or by the
    project's status. A proxy may have sent it twice, and only the second copy was refused. Where it has not acted, it is
    made again once the server has room.

    Raises:
        ApiError: the API refused, or can't be reached: not done.
        IdentityError: what answered belongs to another address or state; only that is kept, as a dispute.
        Undecided: nothing could tell what became of it; the intent stays pending.
        Interrupted: the user asked to stop.

    """
    for _ in range(ATTEMPTS):
        made = await _request(run, call, acted)
        if not isinstance(made, _Lost):
            intent, answer = made
            try:
                effects = await call.effects(answer, intent)
            except IdentityError as error:  # what answered is not the address's own
                dispute = Dispute(intent.generation, error.project_id)
                effects = (Disputed(address=intent.address, dispute=dispute),)
                await run.record(End(op=intent.op, result="not_done", effects=effects, note=summary_of(error)))
                raise
            await run.record_done(intent, *effects)
            return answer
        lost = made.error
        try:
            resolution = await resolve(run, monitor, made.intent, call.recover)
        except ApiError as error:
            raise Undecided(f"{summary_of(lost)}; then: {summary_of(error)}") from error
        match resolution.result:
            case "done":
                return None
            case "unknown":
                raise Undecided(resolution.note)
            case "not_done":
                # as long as a failing server asks for; else at once
                await run.api.pause(min(lost.retry_after or 0.0, LONGEST_WAIT), "lost call")
    raise ReconcilerError(f"the call was lost {ATTEMPTS} times", lost.diagnostics[0].detail) from lost


class _Lost(Struct, frozen=True):
    """A call that may have acted: there is no answer that tells."""

    intent: Intent
    error: ApiError


async def _request(
    run: Run, call: Call[T], acted: Callable[[Intent], Awaitable[bool]] | None
) -> tuple[Intent, T] | _Lost:
    """Make the request until it was answered, or may have acted. Raises as :func:`commit`."""
    for retries in reversed(range(LIMITED_RETRIES + 1)):
        intent = call.intent()
        try:
            return intent, await run.perform(intent, call.step, call.send)
        except (WrongStatusError, RateLimitedError) as error:
            if await _has_acted(error, intent, acted):
                return _Lost(intent, error)
            await run.record(End(op=intent.op, result="not_done", note=summary_of(error)))
            if acted is None or not retries or isinstance(error, WrongStatusError) or not _passes(error):
                raise
        except ApiError as error:
            if error.fate is Fate.NOT_DONE:
                raise
            return _Lost(intent, error)
    raise AssertionError


async def _has_acted(
    error: WrongStatusError | RateLimitedError, intent: Intent, acted: Callable[[Intent], Awaitable[bool]] | None
) -> bool:
    """Whether a call that was refused may have acted, as far as there is a look at that.

    Raises:
        HaltedError: the time is up, or the user asked to stop: the next run looks.
        Undecided: the account can't be asked.

    """
    if acted is None or not _passes(error):
        return False
    try:
        return await acted(intent)
    except HaltedError:
        raise
    except ApiError as unheard:
        raise Undecided(f"{summary_of(error)}; then: {summary_of(unheard)}") from unheard


def _passes(error: RefusedError) -> bool:
    """Whether the account can be asked soon: all calls wait as long as the server says, up to this."""
    return (error.retry_after or 0.0) <= LONGEST_WAIT


async def resolve(run: Run, monitor: Monitor, intent: Intent, recover: Recovery) -> Resolution:
    """Recover an open intent, and record what became of it. Raises as :meth:`Call.recover`; it stays pending then."""
    resolution = await recover(run, monitor, intent)
    done = resolution.result == "done"
    begun = done or bool(resolution.effects)  # what it took from the knowledge must not make its own plan stale
    await run.record(
        End(
            op=intent.op,
            result=resolution.result,
            effects=resolution.effects,
            address=intent.address if begun and intent.plan else None,
            plan=intent.plan if begun else None,
            done=intent.step + (done and intent.final),
            note=resolution.note,
            near=resolution.near,
        )
    )
    return resolution


async def settle(run: Run, intent: Intent) -> None:
    """Wait until a call of unknown fate can't act any more (decisions/0001). Raises HaltedError."""
    await _pause(run, min(run.options.settle, LONGEST_FLIGHT - _age(run, intent.at)))


async def settle_found(run: Run, address: str) -> None:
    """Wait until no call of a run whose state was lost can act any more on a project that was found, by this run or by one
    that was killed: the one that made it may have been killed right before. Raises HaltedError.
    """
    rendered = run.draft.projects[address].rendered
    noted = rendered.at if rendered is not None and rendered.how == "found" else None
    found = run.found.get(address, noted)
    if found is not None:
        await _pause(run, run.options.settle - _age(run, found))


def _age(run: Run, at: str) -> float:
    now, begun = instant(run.now()), instant(at)
    return (now - begun).total_seconds() if now and begun else 0.0


async def _pause(run: Run, seconds: float) -> None:
    if seconds > 0:
        await run.api.pause(seconds, "lost call")


async def retry_status(monitor: Monitor, project_id: str, attempt: Callable[[], Awaitable[T]]) -> T:
    """Attempt a call again where the project's status changed at the very moment of the call."""
    for _ in range(STATUS_ATTEMPTS - 1):
        try:
            return await attempt()
        except WrongStatusError:
            await monitor.look(project_id)
    return await attempt()


async def in_slot(run: Run, monitor: Monitor, step: Step, attempt: Callable[[], Awaitable[T]]) -> T:
    """Make a call that takes a slot, once one is free. Where credits run out, no later step that costs is tried."""
    while True:
        await monitor.slot(step)
        refused: ProjectLimitError | None = None
        try:
            return await attempt()
        except ProjectLimitError as error:
            refused = error
        except CreditsError as error:
            first, run.credits_error = run.credits_error is None, run.credits_error or error
            link = await run.api.purchase_link() if first else None
            if link is not None:
                error.add(f"To buy credits: {link}")
            raise
        finally:
            monitor.release(refused)
