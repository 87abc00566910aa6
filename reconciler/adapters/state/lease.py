"""The lock of a state in an object store: a lease, renewed while its holder lives, taken over once it has expired.

Each event (taking, renewing, releasing, breaking) is the next number in one sequence of objects, each created only if
absent. So two runs can't both take it, and a renewal fails once another run has taken over. Ages are measured by the
store's own clock, not by comparing the clocks of two machines. The holder counts from before its request was sent, so for
it the lease is always older than for anybody else.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from msgspec import Struct
from msgspec.json import decode

from reconciler.adapters.state.holder import Holder, holder_from, this_process
from reconciler.adapters.state.objects import Meta, Objects
from reconciler.adapters.state.store_errors import no_create_if_absent
from reconciler.model.errors import LockedError, LockError, StateError
from reconciler.model.values import Json

FOLDER: Final = "lease"
KEPT: Final = 3
"""Older objects that are kept for inspection."""
CLOCK_STEP: Final = 1.0
"""Seconds by which a store may round the time of an object."""
RENEWED_EVERY: Final = 5.0
"""Seconds at most: a holder whose lease was broken learns of it before its successor acts (10 s)."""
Standing = Literal["held", "released", "broken"]
"""``broken``: nobody holds it, but writes of its last holder may still arrive."""


class Grant(Struct, frozen=True):
    """One object of the sequence."""

    number: int
    id: str
    standing: Standing
    seconds: float
    holder: Holder
    at: datetime
    """When it was written, by the store's clock."""

    def left(self, now: datetime) -> float:
        """Seconds until it expires unless it is renewed."""
        return self.seconds + CLOCK_STEP - (now - self.at).total_seconds()


class _Written(Struct):
    """The members of an object that are read again."""

    id: str
    standing: Standing
    seconds: float
    holder: dict[str, Json]


class Lease:
    """One process's lease on one state. ``seconds``: how long it lasts unless renewed. ``note`` gets lines for people."""

    def __init__(self, objects: Objects, *, seconds: float, note: Callable[[str], None]) -> None:
        self._objects = objects
        self._seconds = seconds
        self._note = note
        self._renewing = threading.Lock()
        self._ended = threading.Event()
        self._id = ""
        self._holder = this_process("")
        self._number = 0
        self._since = _Clock()
        self._trying: _Clock | None = None
        self._lost: LockError | None = None
        self.seized = False
        """Whether the last holder did not release the lease, and may still rely on it."""
        self.held = False
        """Whether this process took it and has not released it."""
        self.doubtful = False
        """Whether writes under it may still arrive, so that the next holder must fence them off."""

    @contextlib.contextmanager
    def hold(self, command: str, timeout: float) -> Iterator[None]:
        """Take the lease, waiting up to ``timeout`` seconds, and renew it until the block ends.

        Raises:
            LockError: another run holds it; the message names it and the time left.
            StateError: the store can't be reached, or can't keep runs apart.

        """
        self._take(command, timeout)
        renewer = threading.Thread(target=self._renew_until_ended, name="lease", daemon=True)
        renewer.start()
        try:
            yield
        finally:
            self._ended.set()
            renewer.join()
            self.held = False
            self._release()

    def check(self) -> None:
        """Raise LockError if the lease is lost or may be: after a pause, or without the store."""
        if self._lost is not None:
            raise LockError(self._lost.diagnostics)
        if self.held and self._since.elapsed() >= self._seconds - self._margin:
            raise LockError(
                "the lease on the state has run out: it could not be renewed in time",
                f"This process was paused, or `{self._objects.url}` can't be reached. Another run may have the lease "
                "now, so nothing more is sent. Run the same command again: it first clears up what was begun.",
            )

    def renew(self) -> None:
        """Renew the lease for its whole length from now.

        Raises:
            LockError: another run took it over.
            StateError: the store can't be reached.

        """
        with self._renewing:
            if self._lost is not None:
                raise LockError(self._lost.diagnostics)
            self._trying = self._trying or _Clock()  # the first attempt may have arrived though its answer did not
            number = self._number + 1
            if not self._objects.create(_name(number), self._body("held")):
                other = self._grant(number)
                if other is None or other.id != self._id:
                    raise self._lose(other)
            if self._newest().number != number:  # our number is long past, and was deleted
                raise self._lose(None)
            self._number, self._since, self._trying = number, self._trying, None
            with contextlib.suppress(StateError):
                self._objects.delete([_name(number - KEPT)] if number > KEPT else [])

    def break_lease(self, confirm: Callable[[str], bool]) -> bool:
        """End another run's lease (``state unlock``), if ``confirm``, which gets a text that names it, agrees.

        Raises:
            LockError: it did not agree, or the lease changed meanwhile.

        """
        last = self._last()
        if last is None or last.standing != "held":
            return False
        held = f"Held by {last.holder}."
        if not confirm(f"{held} {_expires(last.left(self._objects.now(_CLOCK)))}"):
            raise LockError("not approved: the lock stays", held)
        self._id, self._holder = uuid.uuid4().hex, this_process("reconciler state unlock")
        if not self._objects.create(_name(last.number + 1), self._body("broken")):
            raise LockError(
                "the lock was renewed or taken meanwhile", "Its holder is alive. Check it before you try again."
            )
        return True

    @property
    def writer(self) -> str:
        """The id of this lease in everything that is written under it."""
        return self._id

    # ── taking ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _take(self, command: str, timeout: float) -> None:
        self._id, self._holder = uuid.uuid4().hex, this_process(command)
        self._ended.clear()
        self._lost, self.doubtful = None, False
        give_up = time.monotonic() + timeout
        while True:
            last = self._last()
            left = self._time_left(last)
            if left <= 0 and self._try_to_take(last):
                return
            rest = give_up - time.monotonic()
            if rest <= 0:
                raise self._refusal(last, left)
            time.sleep(min(rest, 1.0, self._seconds / 4))

    def read_holder(self) -> Holder | None:
        """Who holds the lease now, by this machine's clock; takes nothing and writes nothing. Raises StateError."""
        last = self._last()
        return (
            last.holder if last is not None and last.standing == "held" and last.left(datetime.now(UTC)) > 0 else None
        )

    def _try_to_take(self, last: Grant | None) -> bool:
        number = (last.number if last else 0) + 1
        started = _Clock()
        body = self._body("held")
        if not self._objects.create(_name(number), body) or self._newest().number != number:
            return False
        if not self._objects.is_strict(_name(number), body):
            raise no_create_if_absent(self._objects.url)
        self._number, self._since, self._trying = number, started, None
        self.seized = last is not None and last.standing != "released"
        self.held = True
        if last is not None and last.standing == "held":
            self._note(f"The lease of {last.holder} has expired; taken over.")
        with contextlib.suppress(StateError):
            old = [meta.number for meta in self._objects.numbered(FOLDER) if meta.number <= number - KEPT]
            self._objects.delete(map(_name, old))
        return True

    def _time_left(self, last: Grant | None) -> float:
        if last is None or last.standing != "held":
            return 0.0
        return last.left(self._objects.now(_CLOCK))

    def _refusal(self, last: Grant | None, left: float) -> LockError:
        who = f"Held by {last.holder}. {_expires(left)}\n" if last and left > 0 else "Another run took it first.\n"
        return LockedError(
            f"the state `{self._objects.url}` is locked",
            f"{who}Wait for it to finish, or give it time with `--lock-timeout 5m`. A dead holder's lease "
            "expires and is then taken over; `reconciler state unlock` does not wait for that.",
        )

    # ── keeping and releasing ───────────────────────────────────────────────────────────────────────────────────────

    @property
    def _margin(self) -> float:
        """Seconds before the end in which nothing new is begun."""
        return min(5.0, self._seconds / 4)

    def _renew_until_ended(self) -> None:
        usual = pause = min(RENEWED_EVERY, self._seconds / 3)
        while not self._ended.wait(pause):
            try:
                self.renew()
                pause = usual
            except LockError as error:
                self._note(error.diagnostics[0].summary)
                return
            except StateError:
                pause = min(1.0, self._seconds / 8)  # try again until the time is up, which `check` watches

    def _release(self) -> None:
        if self._lost is not None:
            return
        with self._renewing:
            try:
                doubtful = self.doubtful or self.seized or self._trying is not None
                self._objects.create(_name(self._number + 1), self._body("broken" if doubtful else "released"))
            except StateError:
                self._note(f"The lease on the state could not be released; it expires in {self._seconds:.0f} s.")

    def _lose(self, other: Grant | None) -> LockError:
        who = f"{other.holder}" if other else "another run"
        self._lost = LockError(
            "the lease on the state is lost: another run has taken over",
            f"{who} has it now and clears up what was begun here. This run sends nothing more.",
        )
        return self._lost

    # ── objects ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _newest(self) -> Meta:
        found = self._objects.numbered(FOLDER)
        return found[-1] if found else Meta(0, datetime.now(UTC), 0)

    def _last(self) -> Grant | None:
        newest = self._newest()
        return self._grant(newest.number, newest.at) if newest.number else None

    def _grant(self, number: int, at: datetime | None = None) -> Grant | None:
        data = self._objects.read(_name(number))
        if data is None:
            return None
        try:
            written = decode(data, type=_Written)
            holder = holder_from(written.holder)
            return Grant(number, written.id, written.standing, written.seconds, holder, at or datetime.now(UTC))
        except (ValueError, KeyError, TypeError) as error:
            where = self._objects.where(_name(number))
            raise StateError(
                f"`{where}` is not a lease", "Find out what wrote it; delete it if it is there by mistake."
            ) from error

    def _body(self, standing: Standing) -> bytes:
        now = datetime.now(UTC)
        document = {
            "id": self._id,
            "standing": standing,
            "seconds": self._seconds,
            "written": now.isoformat(timespec="milliseconds"),
            "expires": (now + timedelta(seconds=self._seconds)).isoformat(timespec="milliseconds"),
            "holder": self._holder.to_json(),
        }
        return json.dumps(document, indent=1).encode()


class _Clock:
    """Time from its creation on, with the time that the machine was suspended. A clock set forward counts, to be safe."""

    def __init__(self) -> None:
        self._steady, self._wall = _steady(), time.time()

    def elapsed(self) -> float:
        return max(_steady() - self._steady, time.time() - self._wall)


def _steady() -> float:
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


def _name(number: int) -> str:
    return f"{FOLDER}/{number:010d}.json"


def _expires(left: float) -> str:
    if left <= 0:
        return "Its lease has expired: the next run takes it over."
    return f"Its lease expires in {max(1, round(left))} s unless it is renewed."


_CLOCK: Final = f"{FOLDER}/clock"
