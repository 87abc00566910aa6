"""Answers of the API, from bytes to the model's values.

Unknown fields are dropped, unknown statuses kept. What the contract promises must be there and have its type; a field
that may be missing may be ``null`` too. Reading goes straight from bytes through pydantic-core: 10,000 listed projects
take tens of milliseconds.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Required, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from reconciler.model import contract
from reconciler.model.live import Created, LiveMessage, LiveProject, MessagePage, ProjectPage
from reconciler.model.values import Json

T = TypeVar("T")
_Text = Annotated[str, Field(min_length=1)]
_Count = Annotated[int, Field(ge=0)]


class UndecodableError(ValueError):
    """No JSON: cut short, garbled, or another kind of document."""


class ShapeError(ValueError):
    """JSON of another shape than the contract's; the text names the field, never its value."""


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _credits(value: object) -> object:
    """Credits may come with a fraction; what is not a number is as good as not there."""
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _warning(value: object) -> object:
    """The contract does not say of which type ``credits_warning`` is."""
    if value is None or value is False or isinstance(value, str):
        return value or None
    if value is True:
        return f"fewer than {contract.CREDITS_WARNING_BELOW} credits are left"
    return json.dumps(value, ensure_ascii=False)


_strict = with_config(ConfigDict(strict=True, defer_build=True))


@_strict
class _Shared(TypedDict, total=False):
    id: Required[_Text]
    status: Required[_Text]
    mode: str | None
    project_url: str | None
    assembled_url: str | None
    created_at: str | None
    updated_at: str | None


@_strict
class _Listed(_Shared, total=False):
    title: str | None
    expected_output: str | None
    brief: str | None
    source_project_id: str | None


@_strict
class _List(TypedDict, total=False):
    projects: Required[list[_Listed]]
    total: Required[Annotated[_Count, BeforeValidator(_whole)]]
    limit: _Count
    offset: _Count


@_strict
class _Status(_Shared, total=False):
    assembled_url_expires_at: str | None
    output_type: str | None
    agent_message: str | None
    variation_id: str | None
    error_message: str | None
    credits_warning: Annotated[str | None, BeforeValidator(_warning)]


@_strict
class _Made(TypedDict, total=False):
    id: Required[_Text]
    status: Required[_Text]
    mode: str | None
    project_url: str | None
    credits_balance: Annotated[int | None, BeforeValidator(_credits)]


@_strict
class _Acted(TypedDict):
    status: _Text


@_strict
class _Settings(TypedDict, total=False):
    title: str | None
    mode: str | None
    aspect_ratio: str | None
    video_model: str | None
    image_model: str | None
    agent_model: str | None
    craft: str | None
    craft_auto: bool | None
    webhook_url: str | None
    expected_output: str | None


@_strict
class _Message(TypedDict, total=False):
    id: Required[_Text]
    role: Required[str]
    content: str | None
    source: str | None
    created_at: str | None


@_strict
class _Messages(TypedDict):
    messages: list[_Message]
    has_more: bool


@_strict
class _Ticket(TypedDict):
    upload_url: _Text
    r2_key: _Text


@_strict
class _Uploaded(TypedDict):
    upload_id: _Text


@_strict
class _Balance(TypedDict):
    credits_balance: Annotated[int, BeforeValidator(_credits)]


_LIST = TypeAdapter(_List)
_STATUS = TypeAdapter(_Status)
_MADE = TypeAdapter(_Made)
_ACTED = TypeAdapter(_Acted)
_SETTINGS = TypeAdapter(_Settings)
_MESSAGES = TypeAdapter(_Messages)
_TICKET = TypeAdapter(_Ticket)
_UPLOADED = TypeAdapter(_Uploaded)
_BALANCE = TypeAdapter(_Balance)


def _read(adapter: TypeAdapter[T], body: bytes) -> T:
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            raise UndecodableError("the answer is not JSON") from None
        where = ".".join(str(part) for part in first["loc"]) or "the answer"
        raise ShapeError(f"{where}: {first['msg']}") from None


def _picked(answer: Any, names: tuple[str, ...]) -> dict[str, Json]:
    return {name: answer[name] for name in names if name in answer}


def listed(body: bytes, *, limit: int, offset: int) -> ProjectPage:
    """A page of ``GET /projects``; ``limit`` and ``offset`` as asked for, should the answer not repeat them."""
    page = _read(_LIST, body)
    projects = []
    for item in page["projects"]:
        settings = _picked(item, contract.LIST_SETTINGS)
        projects.append(
            LiveProject(
                id=item["id"],
                status=item["status"],
                source="list",
                settings=settings,
                brief=item.get("brief"),
                source_project_id=item.get("source_project_id"),
                project_url=item.get("project_url"),
                assembled_url=item.get("assembled_url"),
                created_at=item.get("created_at"),
                updated_at=item.get("updated_at"),
            )
        )
    return ProjectPage(
        projects=tuple(projects),
        total=page["total"],
        limit=page.get("limit", limit),
        offset=page.get("offset", offset),
    )


def project(body: bytes) -> LiveProject:
    """``GET /projects/:id``. Its ``output_type`` is the result, not the wish, so of the settings it shows mode alone."""
    answer = _read(_STATUS, body)
    return LiveProject(
        id=answer["id"],
        status=answer["status"],
        source="status",
        settings=_picked(answer, ("mode",)),
        project_url=answer.get("project_url"),
        assembled_url=answer.get("assembled_url"),
        assembled_url_expires_at=answer.get("assembled_url_expires_at"),
        output_type=answer.get("output_type"),
        agent_message=answer.get("agent_message"),
        variation_id=answer.get("variation_id"),
        error_message=answer.get("error_message"),
        credits_warning=answer.get("credits_warning"),
        created_at=answer.get("created_at"),
        updated_at=answer.get("updated_at"),
    )


def made(body: bytes, *, existing: bool) -> Created:
    """A create's or an adopt's answer; which of its two shapes it has only matters for the optional fields."""
    answer = _read(_MADE, body)
    return Created(
        id=answer["id"],
        status=answer["status"],
        existing=existing,
        mode=answer.get("mode"),
        project_url=answer.get("project_url"),
        credits_balance=answer.get("credits_balance"),
    )


def status(body: bytes) -> str:
    """The status in a cancel's or a message's answer."""
    return _read(_ACTED, body)["status"]


def settings(body: bytes) -> dict[str, Json]:
    """The settings that ``PATCH settings`` answers with, ``aspect_ratio`` among them; those that are there."""
    answer = _read(_SETTINGS, body)
    if not answer:
        raise ShapeError("the answer: holds none of the settings")
    return {**answer}


def messages(body: bytes) -> MessagePage:
    """A page of a conversation, in the order in which it came. No content is empty content."""
    page = _read(_MESSAGES, body)
    return MessagePage(
        messages=tuple(
            LiveMessage(
                id=item["id"],
                role=item["role"],
                content=item.get("content") or "",
                source=item.get("source"),
                created_at=item.get("created_at"),
            )
            for item in page["messages"]
        ),
        has_more=page["has_more"],
    )


def ticket(body: bytes) -> tuple[str, str]:
    """Where to PUT a file (beyond the contract): the address, and the key that confirms it."""
    answer = _read(_TICKET, body)
    return answer["upload_url"], answer["r2_key"]


def uploaded(body: bytes) -> str:
    """The id of an upload (beyond the contract)."""
    return _read(_UPLOADED, body)["upload_id"]


def balance(body: bytes) -> int | None:
    """Credits left, in whole credits; ``None`` for any other answer: the call is beyond the contract."""
    try:
        return _read(_BALANCE, body)["credits_balance"]
    except ValueError:
        return None
