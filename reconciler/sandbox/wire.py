"""Requests and answers as plain values, between the routes and what they do."""

from __future__ import annotations

import json

from msgspec import Struct, field
from msgspec.json import encode

from reconciler.model.contract import ErrorCode


class Call(Struct, frozen=True):
    """A request as it came in."""

    method: str
    path: str
    """Below ``/api/v1``."""
    query: list[tuple[str, str]]
    body: bytes | None
    """``None``: larger than the API takes."""
    authorization: str
    content_type: str
    origin: str
    """Scheme, host and port under which the caller knows this server."""
    request_id: str


class Answer(Struct, frozen=True):
    """What is sent back."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


class ApiError(Exception):
    """The call is refused. Raised before anything has changed."""

    def __init__(self, code: ErrorCode, message: str, status: int, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.answer = error_answer(code, message, status, headers or {})


def json_answer(status: int, value: object) -> Answer:
    """``value`` as JSON; half a character, which a cut may leave, as the escape that it is."""
    try:
        return Answer(status, encode(value))
    except UnicodeEncodeError:
        return Answer(status, json.dumps(value).encode())


def error_answer(code: str, message: str, status: int, headers: dict[str, str]) -> Answer:
    """The error envelope of every refused call (published)."""
    envelope = {"error": {"code": code, "message": message, "status": status}}
    return Answer(status, encode(envelope), headers)
