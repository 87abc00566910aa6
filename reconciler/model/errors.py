"""Diagnostics, and the exceptions that carry them.

Every failure that reaches a user is a list of :class:`Diagnostic` values; exceptions only carry them upward. Library
exceptions are mapped at the edge of the adapter that uses the library, with the cause chained (httpx's way).

::

    ReconcilerError                what every expected failure is caught as (exit code 1)
     ├── UsageError                flags, arguments, a refused prompt
     ├── ConfigError               reconciler.yaml, the environment
     ├── SpecError                 spec files
     ├── StateError                state and journal
     │    ├── LockError            another run holds the lock
     │    │    └── LockedError     … and nothing was begun
     │    │         └── ClaimedError   a pull request has claimed the workspace
     │    └── StateMismatchError   another workspace, API or lineage; a newer format
     ├── IdentityError             a live project that is not the address's own
     ├── AccountError              the key is of another account
     ├── PlanFileError             a saved plan that can't be read
     ├── DownloadError             a rendered file can't be fetched
     ├── UploadError               a file of the workspace can't be uploaded
     ├── GuardError                a policy limit refuses the whole apply
     └── ApiError                  a failed call; ``fate`` says what it may have done
          ├── HaltedError          not sent: the apply was interrupted, or its time was up
          ├── UnreachableError     no connection
          ├── UnknownFateError     sent, but no usable answer came: it may have acted
          ├── AnswerError          an answer outside the contract
          └── RefusedError         the API said no: it did not act
               ├── UnauthorizedError       401, 403
               ├── NotFoundError           404
               ├── CreditsError            402
               ├── ProjectLimitError       429 project_limit
               ├── RateLimitedError        429 or 503 rate_limited
               ├── VersionError            400 of a server that speaks another version of the API
               └── WrongStatusError        400 or 409 for a call that the project's status does not allow
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

Severity = Literal["error", "warning", "note"]
Kind = Literal["claimed", "drift", "identity", "lost-state", "policy", "stale", "undecided"]
"""The kind of a finding, for tools: stable, and there may be more. ``claimed``: by a pull request. ``identity``: nothing tells whether a live project is
the address's own, so no step is planned for it. ``policy``: a rule of the policy. ``stale``: a saved plan no longer fits. ``undecided``: nothing tells whether a call was done."""


class Location(Struct, frozen=True):
    """A place in a file: path as the user would type it, line and column counted from 1."""

    file: str
    line: Annotated[int, Meta(ge=0)] | None = None
    column: Annotated[int, Meta(ge=0)] | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)


class Diagnostic(Struct, frozen=True, kw_only=True):
    """One finding: what happened (``summary``), more of it and what to do (``detail``), and where.

    ``attention`` marks what the user must look at and no step can fix; ``code`` (``E101``) and ``kind``, where it has
    them, are stable, for tools.
    ``source`` is the whole line at ``location``, if it is known and contains no secret.
    """

    severity: Severity
    summary: str
    detail: str = ""
    address: str | None = None
    location: Location | None = None
    code: str | None = None
    kind: Kind | None = None
    attention: bool = False
    source: str | None = None


class ReconcilerError(Exception):
    """An expected failure, as one or more diagnostics."""

    def __init__(self, summary: str | tuple[Diagnostic, ...], detail: str = "", *, address: str | None = None) -> None:
        if isinstance(summary, str):
            summary = (Diagnostic(severity="error", summary=summary, detail=detail, address=address),)
        self.diagnostics: tuple[Diagnostic, ...] = summary
        super().__init__(*(d.summary for d in summary))


class UsageError(ReconcilerError):
    """Invalid flags or arguments, or a prompt that was answered with no."""


class ConfigError(ReconcilerError):
    """``reconciler.yaml`` or the environment is wrong."""


class SpecError(ReconcilerError):
    """Spec files are wrong; carries all errors of all files."""


class StateError(ReconcilerError):
    """The state or its journal can't be read or written."""


class LockError(StateError):
    """Another run holds the workspace's lock."""


class LockedError(LockError):
    """Another run has the lock, so nothing was begun."""


class ClaimedError(LockedError):
    """A pull request has claimed the workspace, so nothing was begun."""


class StateMismatchError(StateError):
    """A state of another workspace, API or lineage, or of a format newer than this program."""


class IdentityError(ReconcilerError):
    """A live project answered that is not the address's own: ``project_id``."""

    def __init__(self, project_id: str, found: Diagnostic) -> None:
        super().__init__((found,))
        self.project_id = project_id


class AccountError(ReconcilerError):
    """The API key is of another account than the configuration or the state says."""


class PlanFileError(ReconcilerError):
    """A saved plan can't be read or belongs elsewhere."""


class DownloadError(ReconcilerError):
    """A rendered file can't be fetched."""


class UploadError(ReconcilerError):
    """A file of the workspace can't be uploaded. ``again``: another attempt may help, and can do no harm."""

    def __init__(self, summary: str, detail: str = "", *, again: bool = False) -> None:
        super().__init__(summary, detail)
        self.again = again


class GuardError(ReconcilerError):
    """A policy limit refuses the apply before its first call."""


class Fate(StrEnum):
    """What a failed call did at the server, as far as the client can tell."""

    NOT_DONE = "not_done"
    UNKNOWN = "unknown"


class ApiError(ReconcilerError):
    """A call that failed. ``status`` and ``request_id`` are those of the answer, if there was one; ``explanation`` is the
    detail without the line that names the call.
    """

    fate: Fate = Fate.NOT_DONE

    def __init__(
        self,
        summary: str,
        detail: str = "",
        *,
        method: str,
        path: str,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.method = method
        self.path = path
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after = retry_after
        self.explanation = detail
        answer = "" if status is None else f" → {status}{f' {code}' if code else ''}"
        request = f", request {request_id}" if request_id else ""
        where = f"{method} {path}{answer}{request}"
        super().__init__(summary, f"{where}\n{detail}" if detail else where)

    def add(self, line: str) -> None:
        """Add a line of advice to what people see."""
        self.diagnostics = tuple(replace(d, detail=f"{d.detail}\n{line}") for d in self.diagnostics)


class HaltedError(ApiError):
    """Not sent: before its turn came, the apply was interrupted or its time was up."""

    def __init__(self, why: str) -> None:
        super().__init__(f"not sent: {why}", method="", path="")


class UnreachableError(ApiError):
    """The connection could not be made: nothing was sent. ``lasting``: another attempt can't help."""

    lasting: bool = False


class UnknownFateError(ApiError):
    """The request went out and no usable answer came back: it may have acted or not."""

    fate = Fate.UNKNOWN


class AnswerError(ApiError):
    """An answer outside the contract. For a mutating call its fate is unknown."""

    fate = Fate.UNKNOWN


class RefusedError(ApiError):
    """The API answered with an error of its own: it did not act."""


class UnauthorizedError(RefusedError):
    """The key is missing, wrong or may not do this."""


class NotFoundError(RefusedError):
    """The account shows no such project."""


class CreditsError(RefusedError):
    """Too few credits."""


class ProjectLimitError(RefusedError):
    """All active slots are taken: wait, then try again."""


class RateLimitedError(RefusedError):
    """Too many requests: wait ``retry_after`` seconds, then try again."""


class VersionError(RefusedError):
    """The server speaks another version of the API than this process: nothing else is sent."""


class WrongStatusError(RefusedError):
    """The project's status does not allow the call (or changed at that moment, 409)."""
