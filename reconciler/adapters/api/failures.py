"""Failed calls as errors: the one place that decides what the server may have done.

======================================  ================================================================
no connection, no free connection       ``UnreachableError``: nothing was sent
the proxy refuses the connection       the same, with the proxy's status
an answer that is not read to its end   ``AnswerError``, whatever its status
anything after that without an answer   ``UnknownFateError``
3xx; a 2xx not in the contract          ``AnswerError``
5xx                                     ``UnknownFateError``; with code ``rate_limited`` ``RateLimitedError``
408, 425, 499 without the envelope      ``UnknownFateError``: a proxy gave up waiting
401, 403                                ``UnauthorizedError``
402, or code ``insufficient_credits``   ``CreditsError``
404 with the envelope, on a project     ``NotFoundError``; any other 404 says nothing about a project
429                                     code ``project_limit``: ``ProjectLimitError``; else ``RateLimitedError``
400, 409, 422 with the envelope         ``WrongStatusError`` or ``RefusedError``, see :func:`_wrong_status`
any other 4xx                           ``RefusedError``
======================================  ================================================================

The envelope is ``{"error": {"code", "message", "status"}}`` (published). Reads never act, so
their fate is always ``NOT_DONE``.
"""

from __future__ import annotations

import contextlib
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Final

import httpx
from msgspec import Raw, Struct
from msgspec.json import decode

from reconciler.adapters.api.body import ANSWER_MAX, Answer, BodyRefusedError
from reconciler.adapters.api.limiter import number, server_time
from reconciler.adapters.api.repair import repaired
from reconciler.model import contract
from reconciler.model.contract import ErrorCode
from reconciler.model.errors import (
    AnswerError,
    ApiError,
    CreditsError,
    Fate,
    NotFoundError,
    ProjectLimitError,
    RateLimitedError,
    RefusedError,
    UnauthorizedError,
    UnknownFateError,
    UnreachableError,
    WrongStatusError,
)

MESSAGE_MAX = 500
"""Characters of a server's message that are shown."""

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)
TOO_FEW_CREDITS: Final = "too few credits"
_PROXY_STATUS: Final = r"[1-5]\d\d\b"
_CREDENTIALS_WANTED = (
    "the proxy asks for a user name and a password (status 407)",
    """Nothing was sent to the API. Put them into HTTPS_PROXY: http://user:password@host:port, with %40 for an @ in them.
To reach the API without the proxy, add its host to NO_PROXY.""",
)
_GAVE_UP = frozenset({408, 425, 499})
_STATUS_WORDS = rf"\b(status|{'|'.join(contract.Status)})\b"


class Call(Struct, frozen=True):
    """What a failure needs to know of a call. ``path`` is shown, without the query."""

    method: str
    path: str
    by_status: bool = False
    """Whether the project's status can forbid it."""
    on_project: bool = False
    """Whether a 404 means that the project does not exist."""
    most: int = ANSWER_MAX
    """Bytes that a good answer may have."""
    optional: bool = False
    """Whether the program can do without the answer: it is asked for once, and not waited for long."""
    doubled: bool = False
    """Whether a copy that a proxy sent may act where the other one is refused as one request too many: once there is room,
    the caller looks before it is sent again.
    """

    @property
    def reads(self) -> bool:
        return self.method == "GET"


class _Envelope(Struct):
    error: Raw


class _Error(Struct):
    code: Raw = Raw()
    message: Raw = Raw()


class _Refusal(Struct, frozen=True):
    """What an error answer says. ``envelope``: in the API's own format."""

    envelope: bool
    code: str | None
    message: str


def clean(text: str, redact: Callable[[str], str], longest: int = MESSAGE_MAX) -> str:
    """Foreign text for people: one line, no control characters, no secret, bounded."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    line = redact(line)
    return line if len(line) <= longest else line[: longest - 1] + "…"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from a number of seconds or an HTTP date (by the server's own clock)."""
    text = headers.get("retry-after")
    if text is None:
        return None
    seconds = number(text)
    if seconds is None:
        with contextlib.suppress(ValueError, OverflowError):
            seconds = max(0.0, parsedate_to_datetime(text).timestamp() - server_time(headers))
    return seconds


def of_exception(call: Call, error: Exception, redact: Callable[[str], str], answer: Answer | None = None) -> ApiError:
    """The error for no answer or only part of one, which ``answer`` is. Whether anything was sent decides its kind."""
    reason = clean(str(error), redact) or type(error).__name__
    kind: type[ApiError]
    if isinstance(error, httpx.ProxyError) and (match := re.match(_PROXY_STATUS, str(error))):
        return _by_proxy(call, int(match[0]), reason)
    if isinstance(error, _NOT_SENT):
        return _not_sent(call, error, reason)
    if isinstance(error, httpx.DecodingError):
        kind, summary, detail = AnswerError, "the answer can't be decoded", reason
    elif isinstance(error, BodyRefusedError):
        kind, summary, detail = AnswerError, reason, "The rest was not read. Is api.url right?"
    elif isinstance(error, TimeoutError | httpx.TimeoutException):
        what = "no answer came in time" if answer is None else "the answer was not complete in time"
        kind, summary, detail = UnknownFateError, what, reason
    else:
        kind, summary, detail = UnknownFateError, f"the connection broke before the answer was complete: {reason}", ""
    if not call.reads:
        detail = f"{detail}\nThe server may have acted.".strip()
    if answer is not None:
        return _answered(kind, summary, detail, call=call, answer=answer, redact=redact)
    return _fated(kind(summary, detail, method=call.method, path=call.path), call)


def _not_sent(call: Call, error: Exception, reason: str) -> UnreachableError:
    """No connection was made, perhaps since the certificate is not trusted."""
    untrusted = any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error))
    detail = "Nothing was sent. Check the network, the proxy and api.url."
    if untrusted:
        detail = "Nothing was sent. SSL_CERT_FILE can name the certificates to trust."
    failure = UnreachableError(f"the API can't be reached: {reason}", detail, method=call.method, path=call.path)
    failure.lasting = untrusted
    return failure


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _by_proxy(call: Call, status: int, reason: str) -> UnreachableError:
    """A proxy answered with this status instead of connecting to the API."""
    summary, detail = f"the proxy gives no connection to the API: {reason}", "Nothing was sent. Check the proxy."
    if status == 407:
        summary, detail = _CREDENTIALS_WANTED
    failure = UnreachableError(summary, detail, method=call.method, path=call.path, status=status)
    failure.lasting = status < 500
    return failure


def of_body(call: Call, answer: Answer, error: ValueError, redact: Callable[[str], str]) -> ApiError:
    """The error for a 2xx whose body is outside the contract."""
    kind = clean(answer.headers.get("content-type", "no content type"), redact, 100)
    summary = f"the answer is outside the contract: {clean(str(error), redact)}"
    return _answered(
        AnswerError, summary, f"Content type: {kind}. Is api.url right?", call=call, answer=answer, redact=redact
    )


def of_status(call: Call, answer: Answer, redact: Callable[[str], str]) -> ApiError:
    """The error for an answer whose status is not one of the contract's good ones for this call."""
    status = answer.status
    if 300 <= status < 400:
        summary = "redirect refused: the key is sent to no other address"
        return _answered(
            AnswerError, summary, "Set api.url to the final address.", call=call, answer=answer, redact=redact
        )
    if status < 400:
        summary = f"status {status} is not in the contract for this call"
        return _answered(AnswerError, summary, "", call=call, answer=answer, redact=redact)
    refusal = _refusal(answer, redact)
    kind, summary = _refused(call, status, refusal)
    detail = refusal.message
    if status == 407:
        summary, detail = _CREDENTIALS_WANTED
    elif not refusal.envelope:
        what = clean(answer.headers.get("content-type", "no content type"), redact, 100)
        detail = f"This does not look like the API's own answer ({what}); is api.url right?"
    return _answered(kind, summary, detail, call=call, answer=answer, redact=redact, code=refusal.code)


def _refused(call: Call, status: int, refusal: _Refusal) -> tuple[type[ApiError], str]:
    code = refusal.code
    kind: type[ApiError]
    if code == ErrorCode.RATE_LIMITED or (status == 429 and code != ErrorCode.PROJECT_LIMIT):
        kind, summary = RateLimitedError, "too many requests"
    elif status >= 500:
        kind, summary = UnknownFateError, f"the server failed (status {status})"
    elif code == ErrorCode.PROJECT_LIMIT:
        kind, summary = ProjectLimitError, "all of the account's active slots are taken"
    elif status in (401, 403):
        kind, summary = UnauthorizedError, "the API key is missing, wrong or not allowed to do this"
    elif status in _GAVE_UP and not refusal.envelope:
        kind, summary = UnknownFateError, f"no answer came in time (status {status})"
    elif not refusal.envelope:
        kind, summary = RefusedError, f"refused with status {status}"
    elif status == 402 or code == ErrorCode.INSUFFICIENT_CREDITS:
        kind, summary = CreditsError, TOO_FEW_CREDITS
    elif status == 404 and call.on_project:
        kind, summary = NotFoundError, "the account shows no such project"
    elif _wrong_status(call, status, refusal):
        kind, summary = WrongStatusError, "the project's status does not allow this"
    else:
        kind, summary = RefusedError, f"the API refused with status {status}"
    return kind, summary


def _wrong_status(call: Call, status: int, refusal: _Refusal) -> bool:
    """Whether a refusal is about the project's status.

    Only on the calls that a status can forbid: settings, cancel, message. The vendor documents 400, and 409 for a
    lost race, but not with which code. So: 409 always; 400 and 422 with a code other than ``validation_error``; with that
    code or none if the message names a status, which a message about the body's fields has no reason to do.
    """
    if not call.by_status or status not in (400, 409, 422):
        return False
    if status == 409 or refusal.code not in (None, ErrorCode.VALIDATION):
        return True
    return re.search(_STATUS_WORDS, refusal.message, re.IGNORECASE) is not None


def _refusal(answer: Answer, redact: Callable[[str], str]) -> _Refusal:
    """Read the envelope. ``{"error": "text"}`` counts as one, too."""
    try:
        error = decode(repaired(answer.body), type=_Envelope).error
        read = _Error(message=error) if _is_text(error) else decode(error, type=_Error)
        return _Refusal(
            envelope=True, code=clean(_text(read.code), redact, 100) or None, message=clean(_text(read.message), redact)
        )
    except (ValueError, RecursionError):
        return _Refusal(envelope=False, code=None, message="")


def _text(raw: Raw) -> str:
    """The text, if it is one."""
    return decode(raw, type=str) if _is_text(raw) else ""


def _is_text(raw: Raw) -> bool:
    return bytes(raw).startswith(b'"')


def _answered(
    kind: type[ApiError],
    summary: str,
    detail: str,
    *,
    call: Call,
    answer: Answer,
    redact: Callable[[str], str],
    code: str | None = None,
) -> ApiError:
    request_id = answer.headers.get("x-request-id")
    error = kind(
        summary,
        detail,
        method=call.method,
        path=call.path,
        status=answer.status,
        code=code,
        request_id=clean(request_id, redact, 100) if request_id else None,
        retry_after=retry_after(answer.headers),
    )
    return _fated(error, call)


def _fated(error: ApiError, call: Call) -> ApiError:
    if call.reads:
        error.fate = Fate.NOT_DONE
    return error
