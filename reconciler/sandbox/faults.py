"""Faults: what can go wrong with a request, chosen beforehand and used up one by one."""

from __future__ import annotations

import re
from typing import Final, Literal, get_args

from msgspec import Struct

from reconciler.model.contract import ErrorCode
from reconciler.sandbox.wire import Answer, error_answer

Kind = Literal["reset", "timeout", "status", "html", "truncated", "empty", "delay", "shift"]

_CODES: Final[dict[int, str]] = {
    400: ErrorCode.VALIDATION,
    401: ErrorCode.UNAUTHORIZED,
    402: ErrorCode.INSUFFICIENT_CREDITS,
    404: ErrorCode.NOT_FOUND,
    409: ErrorCode.CONFLICT,
    429: ErrorCode.RATE_LIMITED,
    503: ErrorCode.RATE_LIMITED,
}


class Fault(Struct, frozen=True, kw_only=True):
    """What happens to the requests it matches.

    ``reset`` breaks the connection, ``timeout`` waits ``seconds`` and then breaks it; ``status`` answers with an error
    envelope, ``html`` with a page such as proxies send, ``truncated`` with half of the JSON, ``empty`` with no body.
    ``delay`` waits ``seconds`` and answers as usual. ``shift`` puts a person's new project into the account and answers
    as usual, so that a list which is being read moves. The last two always let the effect happen.
    """

    kind: Kind
    method: str | None = None
    """``None``: any."""
    path: str | None = None
    """A regular expression, searched for in the path below ``/api/v1`` (``/projects/proj_1/messages``); ``None``: any."""
    when: Literal["before", "after"] = "before"
    """Before acting (the effect does not happen) or after it (it happened, the answer is lost)."""
    status: int = 500
    """The status of ``status`` and ``html``, and of ``truncated`` and ``empty`` when they come before acting."""
    code: str | None = None
    """The envelope's code; ``None``: the one that goes with the status."""
    retry_after: str | None = None
    """The header ``Retry-After``, as it is."""
    seconds: float = 0.0
    skip: int = 0
    """How many matching requests pass unharmed first."""
    times: int = 1
    """How many matching requests it hits; 0: all, until faults are cleared."""

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"kind: one of {', '.join(get_args(Kind))}, not {self.kind!r}")
        if self.when not in ("before", "after"):
            raise ValueError(f"when: before or after, not {self.when!r}")
        if not 200 <= self.status <= 599:
            raise ValueError(f"status: from 200 to 599, not {self.status}")
        if self.skip < 0 or self.times < 0 or self.seconds < 0:
            raise ValueError("skip, times and seconds must not be negative")
        try:
            re.compile(self.path or "")
        except re.error as error:
            raise ValueError(f"path: {error}") from None

    @property
    def drops(self) -> bool:
        """Whether no answer is sent."""
        return self.kind in ("reset", "timeout")

    @property
    def garbles(self) -> bool:
        """Whether another answer is sent than the true one."""
        return self.kind in ("status", "html", "truncated", "empty")

    def matches(self, method: str, path: str) -> bool:
        """Whether it is meant for such a request."""
        return self.method in (None, method) and (self.path is None or re.search(self.path, path) is not None)


def garbled(fault: Fault, true_answer: Answer | None) -> Answer:
    """The answer that is sent in place of the true one (``None``: there is none, nothing was done)."""
    headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
    if fault.kind == "status":
        code = fault.code or _CODES.get(fault.status, ErrorCode.INTERNAL)
        return error_answer(code, f"Fault: status {fault.status}", fault.status, headers)
    if fault.kind == "html":
        page = f"<!DOCTYPE html><html><body><h1>{fault.status}</h1></body></html>".encode()
        return Answer(fault.status, page, headers, "text/html; charset=utf-8")
    answer = true_answer or Answer(fault.status, b'{"id": "proj_', {})
    kept = answer.body[: len(answer.body) // 2] if fault.kind == "truncated" else b""
    return Answer(answer.status, kept, answer.headers | headers)
