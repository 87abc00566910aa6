"""Answers of the API, from bytes to the model's values.

Unknown fields are dropped, unknown statuses kept. What the contract promises must be there and have its type; a field
that may be missing may be ``null`` too. Reading goes straight from bytes into values: 100 listed projects take a
quarter of a millisecond.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable
from typing import Annotated, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType, ValidationError, convert
from msgspec.json import decode

from reconciler.model import contract
from reconciler.model.live import Created, LiveMessage, LiveProject, MessagePage, ProjectPage
from reconciler.model.values import Json

T = TypeVar("T")
_Text = Annotated[str, Meta(min_length=1)]
_Count = Annotated[int, Meta(ge=0)]
_Setting = str | None | UnsetType


class UndecodableError(ValueError):
    """No JSON: cut short, garbled, or another kind of document."""


class ShapeError(ValueError):
    """JSON of another shape than the contract's; the text names the field, never its value."""


def _credits(value: object) -> int | None:
    """Credits may come with a fraction; what is not a number is as good as not there."""
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _warning(value: object) -> str | None:
    """The contract does not say of which type ``credits_warning`` is."""
    if value is None or value is False or isinstance(value, str):
        return value or None
    if value is True:
        return f"fewer than {contract.CREDITS_WARNING_BELOW} credits are left"
    return json.dumps(value, ensure_ascii=False)


class _Shared(Struct):
    id: _Text
    status: _Text
    mode: _Setting = UNSET
    project_url: str | None = None
    assembled_url: str | None = None
    created_at: str | None = None
    updated_at: str | None = None


class _Listed(_Shared):
    title: _Setting = UNSET
    expected_output: _Setting = UNSET
    brief: str | None = None
    source_project_id: str | None = None


class _List(Struct):
    projects: list[_Listed]
    total: _Count | Annotated[float, Meta(ge=0, multiple_of=1)]
    limit: _Count | None = None
    offset: _Count | None = None


class _Status(_Shared):
    assembled_url_expires_at: str | None = None
    output_type: str | None = None
    agent_message: str | None = None
    variation_id: str | None = None
    error_message: str | None = None
    credits_warning: Json = None


class _Made(Struct):
    id: _Text
    status: _Text
    mode: str | None = None
    project_url: str | None = None
    credits_balance: Json = None


class _Acted(Struct):
    status: _Text


class _Settings(Struct):
    title: _Setting = UNSET
    mode: _Setting = UNSET
    aspect_ratio: _Setting = UNSET
    video_model: _Setting = UNSET
    image_model: _Setting = UNSET
    agent_model: _Setting = UNSET
    craft: _Setting = UNSET
    craft_auto: bool | UnsetType | None = UNSET
    webhook_url: _Setting = UNSET
    expected_output: _Setting = UNSET


class _Message(Struct):
    id: _Text
    role: str
    content: str | None = None
    source: str | None = None
    created_at: str | None = None


class _Messages(Struct):
    messages: list[_Message]
    has_more: bool


class _Ticket(Struct):
    upload_url: _Text
    r2_key: _Text


class _Uploaded(Struct):
    upload_id: _Text


class _Balance(Struct):
    credits_balance: Json


def _read(kind: type[T], body: bytes) -> T:
    try:
        return decode(body, type=kind)
    except ValidationError as error:
        wrong = str(error)
        try:  # a field may be of a wrong type before the place where the body ceases to be JSON
            decode(body)
        except (ValueError, RecursionError):
            wrong = ""
    except (ValueError, RecursionError):
        wrong = ""
    if wrong:
        raise ShapeError(wrong)
    try:
        return convert(lenient(body), type=kind)
    except ValidationError as error:
        raise ShapeError(str(error)) from None
    except (ValueError, RecursionError):
        raise UndecodableError("the answer is not JSON") from None


def lenient(body: bytes) -> Json:
    """JSON in which people wrote what is no text: half a character, a control, bytes that are not UTF-8. Each of them
    becomes U+FFFD; a byte order mark is passed over.

    Raises:
        ValueError: it is no JSON.
        RecursionError: it is nested too deep.

    """
    return _whole(json.loads(body.decode(_encoding(body), "replace"), strict=False, parse_constant=_no_json))


def _no_json(constant: str) -> Json:
    raise ValueError(f"{constant} is no JSON")


def _encoding(body: bytes) -> str:
    return "utf-16" if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"


def _whole(value: Json) -> Json:
    """The same value without halves of characters."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        return {_whole(name): _whole(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return value


def _shown(answer: Struct, names: Iterable[str]) -> dict[str, Json]:
    """The settings among these that are there."""
    return {name: value for name in names if (value := getattr(answer, name)) is not UNSET}


def listed(body: bytes, *, limit: int, offset: int) -> ProjectPage:
    """A page of ``GET /projects``; ``limit`` and ``offset`` as asked for, should the answer not repeat them."""
    page = _read(_List, body)
    projects = []
    for item in page.projects:
        settings = _shown(item, contract.LIST_SETTINGS)
        projects.append(
            LiveProject(
                id=item.id,
                status=item.status,
                source="list",
                settings=settings,
                brief=item.brief,
                source_project_id=item.source_project_id,
                project_url=item.project_url,
                assembled_url=item.assembled_url,
                created_at=item.created_at,
                updated_at=item.updated_at,
            )
        )
    return ProjectPage(
        projects=tuple(projects),
        total=int(page.total),
        limit=limit if page.limit is None else page.limit,
        offset=offset if page.offset is None else page.offset,
    )


def project(body: bytes) -> LiveProject:
    """``GET /projects/:id``. Its ``output_type`` is the result, not the wish, so of the settings it shows mode alone."""
    answer = _read(_Status, body)
    return LiveProject(
        id=answer.id,
        status=answer.status,
        source="status",
        settings=_shown(answer, ("mode",)),
        project_url=answer.project_url,
        assembled_url=answer.assembled_url,
        assembled_url_expires_at=answer.assembled_url_expires_at,
        output_type=answer.output_type,
        agent_message=answer.agent_message,
        variation_id=answer.variation_id,
        error_message=answer.error_message,
        credits_warning=_warning(answer.credits_warning),
        created_at=answer.created_at,
        updated_at=answer.updated_at,
    )


def made(body: bytes, *, existing: bool) -> Created:
    """A create's or an adopt's answer; which of its two shapes it has only matters for the optional fields."""
    answer = _read(_Made, body)
    return Created(
        id=answer.id,
        status=answer.status,
        existing=existing,
        mode=answer.mode,
        project_url=answer.project_url,
        credits_balance=_credits(answer.credits_balance),
    )


def status(body: bytes) -> str:
    """The status in a cancel's or a message's answer."""
    return _read(_Acted, body).status


def settings(body: bytes) -> dict[str, Json]:
    """The settings that ``PATCH settings`` answers with, ``aspect_ratio`` among them; those that are there."""
    shown = _shown(_read(_Settings, body), _Settings.__struct_fields__)
    if not shown:
        raise ShapeError("the answer holds none of the settings")
    return shown


def messages(body: bytes) -> MessagePage:
    """A page of a conversation, in the order in which it came. No content is empty content."""
    page = _read(_Messages, body)
    return MessagePage(
        messages=tuple(
            LiveMessage(
                id=item.id,
                role=item.role,
                content=item.content or "",
                source=item.source,
                created_at=item.created_at,
            )
            for item in page.messages
        ),
        has_more=page.has_more,
    )


def ticket(body: bytes) -> tuple[str, str]:
    """Where to PUT a file (beyond the contract): the address, and the key that confirms it."""
    answer = _read(_Ticket, body)
    return answer.upload_url, answer.r2_key


def uploaded(body: bytes) -> str:
    """The id of an upload (beyond the contract)."""
    return _read(_Uploaded, body).upload_id


def balance(body: bytes) -> int | None:
    """Credits left, in whole credits; ``None`` for any other answer: the call is beyond the contract."""
    try:
        return _credits(_read(_Balance, body).credits_balance)
    except ValueError:
        return None
