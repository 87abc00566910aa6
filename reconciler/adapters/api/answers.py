"""Answers of the API, decoded from bytes to the model's values.

Unknown fields are dropped, unknown statuses kept. What the contract promises must be there and have its type; an optional
field may also be ``null``. Bytes are decoded directly into values: 100 listed projects take a quarter of a millisecond.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
from collections.abc import Iterable
from typing import Annotated, Any, Final, TypeVar

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, ValidationError, defstruct
from msgspec.json import decode

from reconciler.adapters.api.repair import repaired
from reconciler.model import contract
from reconciler.model.contract_tables import Answer, Contract, Field
from reconciler.model.live import (
    Created,
    Link,
    LiveMessage,
    LiveProject,
    MessagePage,
    Model,
    ProjectPage,
    StudioProject,
)
from reconciler.model.values import Json

T = TypeVar("T")
Bytes = bytes | bytearray
TOTAL_MAX = 1_000_000
"""The most projects that an account may claim to have: five years of the published 500 a day, and more than the list can
page through."""
PAGE_SLACK = 10
"""How many times the requested number of items a page may have."""
CREDITS_MAX = 10**15
"""A balance from here on is not believed."""
WARNING_MAX = 1000
"""Bytes of a ``credits_warning`` that are read if it is not a string."""

_RATIO: Final = "[0-9]{1,3}:[0-9]{1,3}"
_RATIOS_MAX = 50
CATALOG_MAX = 10_000
"""Models or skills that one answer may have."""
PURCHASE_MAX = 500
"""Characters of an address where credits can be bought."""
_PLAIN_URL: Final = r"https?://[A-Za-z0-9][A-Za-z0-9.\-]*(:[0-9]{1,5})?(/[A-Za-z0-9/._~%=&?+\-]*)?"
"""An address with a host, no password, and nothing that could pass for other text."""

_Text = Annotated[str, Meta(min_length=1, max_length=1000)]
"""An id or a status, which are used in paths and messages."""
_Url = Annotated[str, Meta(pattern=r"\Ahttps?://[^\s\x00-\x1f]+\Z", max_length=4000)]
"""An address that is kept in the state, shown, and sent as a reference."""
_Count = Annotated[int, Meta(ge=0)]


class UndecodableError(ValueError):
    """Not JSON: cut short, garbled, or another kind of document."""


class ShapeError(ValueError):
    """JSON outside the contract. The text names the field, never its value."""


def _credits(raw: Raw) -> int | None:
    """Whole credits, of a number that may have a fraction; ``None`` for anything that can't be a balance."""
    try:
        value = decode(raw, type=int | float)
    except ValueError:
        return None
    return int(value) if abs(value) < CREDITS_MAX else None


def _warning(raw: Raw) -> str | None:
    """A text for ``credits_warning``, whose type the contract does not fix."""
    text = bytes(raw).decode(errors="replace")
    if text in ("", "null", "false"):
        return None
    if text == "true":
        return f"fewer than {contract.current().limits.low_credits} credits are left"
    try:
        if text.startswith('"'):
            return decode(repaired(bytes(raw)), type=str) or None
        return json.dumps(decode(raw), ensure_ascii=False) if len(text) <= WARNING_MAX else f"{text[:WARNING_MAX]}…"
    except (ValueError, RecursionError):
        return text[:WARNING_MAX]


class _Shared(Struct):
    id: _Text
    status: _Text
    project_url: str | None = None
    assembled_url: str | None = None
    created_at: str | None = None
    updated_at: str | None = None


class _Listed(_Shared):
    brief: str | None = None
    source_project_id: str | None = None


class _Page(Struct, kw_only=True):
    total: _Count | Annotated[float, Meta(ge=0, multiple_of=1)]
    limit: _Count | None = None
    offset: _Count | None = None


class _Status(_Shared):
    assembled_url_expires_at: str | None = None
    output_type: str | None = None
    agent_message: str | None = None
    variation_id: str | None = None
    error_message: str | None = None
    credits_warning: Raw = Raw()


class _Made(Struct):
    id: _Text
    status: _Text
    mode: str | None = None
    project_url: str | None = None
    credits_balance: Raw = Raw()


class _Acted(Struct):
    status: _Text


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


class _Rendering(_Acted):
    id: str | None = None


class _Link(Struct):
    share_url: _Url
    video_url: _Url | None = None
    title: str | None = None
    created_at: str | None = None


class _Links(Struct):
    shares: list[_Link]


class _Balance(Struct):
    credits_balance: Raw


class _Package(Struct):
    purchase_url: Raw = Raw()


class _Packages(Struct):
    packages: list[_Package]


class _Model(Struct):
    id: _Text
    aspect_ratios: Raw = Raw(b"null")


class _Models(Struct):
    models: Annotated[list[_Model], Meta(max_length=CATALOG_MAX)]


class _Skill(Struct):
    id: _Text


class _Skills(Struct):
    skills: Annotated[list[_Skill], Meta(max_length=CATALOG_MAX)]


class _Found(Struct):
    project_id: _Text
    title: str | None = None
    aspect_ratio: str | None = None
    created_at: str | None = None


class _Discovered(Struct):
    projects: list[_Found]
    total: Annotated[int, Meta(ge=0, le=TOTAL_MAX)] | None = None


@functools.cache
def _with_settings(api: Contract, answer: Answer, base: type[Struct] = Struct) -> type[Any]:
    """What an answer has, with the settings that the contract says it shows."""
    fields = [(field, _setting(api.field(field)), UNSET) for field in api.shown_in(answer)]
    return defstruct(answer.title(), fields, bases=(base,))


@functools.cache
def _page_type(api: Contract) -> type[Any]:
    """``_Page`` with ``projects``, each a ``_Listed`` with settings."""
    listed = _with_settings(api, "list", _Listed)
    return defstruct("Page", [("projects", list[listed])], bases=(_Page,), kw_only=True)  # type: ignore[valid-type]


def _setting(field: Field) -> object:
    if field.kind == "set":
        return list[str] | UnsetType | None
    return bool | UnsetType | None if field.kind == "flag" else str | UnsetType | None


def _read(kind: type[T], body: Bytes) -> T:
    with contextlib.suppress(ValueError, RecursionError):
        return decode(body, type=kind)
    body = repaired(body)
    try:
        return decode(body, type=kind)
    except ValidationError as error:
        wrong = error
    except (ValueError, RecursionError):
        raise UndecodableError("the answer is not JSON") from None
    try:  # a field may have a wrong type before the place where the body stops being JSON
        decode(body, type=Raw)
    except (ValueError, RecursionError):
        raise UndecodableError("the answer is not JSON") from None
    raise ShapeError(str(wrong))


def _bounded(items: list[T], asked: int) -> list[T]:
    if len(items) > asked * PAGE_SLACK:
        raise ShapeError(f"a page of {len(items)} items where at most {asked} were requested")
    return items


def _shown(answer: Struct, names: Iterable[str]) -> dict[str, Json]:
    """The settings with these names that the answer has."""
    api = contract.current()
    return {name: api.field(name).canonical(value) for name in names if (value := getattr(answer, name)) is not UNSET}


def listed(body: Bytes, *, limit: int, offset: int) -> ProjectPage:
    """A page of ``GET /projects``; ``limit`` and ``offset`` as asked for, in case the answer does not repeat them."""
    api = contract.current()
    page = _read(_page_type(api), body)
    if page.total > TOTAL_MAX:
        raise ShapeError(f"`total` is more than {TOTAL_MAX}, which no account has")
    projects = []
    for item in _bounded(page.projects, limit):
        settings = _shown(item, api.shown_in("list"))
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
        size=len(body),
    )


def project(body: Bytes) -> LiveProject:
    """``GET /projects/:id``. Its ``output_type`` is the result, so it is not a setting."""
    api = contract.current()
    answer = _read(_with_settings(api, "status", _Status), body)
    return LiveProject(
        id=answer.id,
        status=answer.status,
        source="status",
        settings=_shown(answer, api.shown_in("status")),
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


def made(body: Bytes, *, existing: bool) -> Created:
    """The answer to a create or an adopt. Its two shapes differ only in optional fields."""
    answer = _read(_Made, body)
    return Created(
        id=answer.id,
        status=answer.status,
        existing=existing,
        mode=answer.mode,
        project_url=answer.project_url,
        credits_balance=_credits(answer.credits_balance),
    )


def status(body: Bytes) -> str:
    """The status in the answer to a cancel or a message."""
    return _read(_Acted, body).status


def rendering(body: Bytes) -> tuple[str | None, str]:
    """The render's id and the project's status in the answer to a render."""
    answer = _read(_Rendering, body)
    return answer.id, answer.status


def shared(body: Bytes) -> Link:
    """The link that ``POST share`` answers with."""
    return _link(_read(_Link, body))


def links(body: Bytes) -> tuple[Link, ...]:
    """The account's permanent links: a list, or an object with one."""
    found = _read(list[_Link], body) if bytes(body[:200]).lstrip().startswith(b"[") else _read(_Links, body).shares
    return tuple(map(_link, found))


def _link(read: _Link) -> Link:
    return Link(share_url=read.share_url, video_url=read.video_url, title=read.title, created_at=read.created_at)


def settings(body: Bytes) -> dict[str, Json]:
    """The settings that ``PATCH settings`` answers with; those that are there."""
    api = contract.current()
    shown = _shown(_read(_with_settings(api, "settings"), body), api.shown_in("settings"))
    if not shown:
        raise ShapeError("the answer has none of the settings")
    return shown


def messages(body: Bytes) -> MessagePage:
    """A page of a conversation, in the order of the answer. Missing content is empty content."""
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
            for item in _bounded(page.messages, contract.current().limits.messages_page)
        ),
        has_more=page.has_more,
    )


def ticket(body: Bytes) -> tuple[str, str]:
    """The URL to PUT a file to, and the key that confirms it (beyond the contract)."""
    answer = _read(_Ticket, body)
    return answer.upload_url, answer.r2_key


def uploaded(body: Bytes) -> str:
    """The id of an upload (beyond the contract)."""
    return _read(_Uploaded, body).upload_id


def balance(body: Bytes) -> int | None:
    """Whole credits left; ``None`` for an unexpected answer, since the call is beyond the contract."""
    try:
        return _credits(_read(_Balance, body).credits_balance)
    except ValueError:
        return None


def purchase_urls(body: Bytes) -> list[str]:
    """Where credits can be bought: the addresses that a person can be shown (beyond the contract)."""
    return [
        url
        for package in _read(_Packages, body).packages
        if (url := _text_of(package.purchase_url)) and len(url) <= PURCHASE_MAX and re.fullmatch(_PLAIN_URL, url)
    ]


def _text_of(raw: Raw) -> str:
    try:
        return decode(raw, type=str)
    except ValueError:
        return ""


def models(body: Bytes) -> list[Model]:
    """The models of a type (beyond the contract)."""
    return [Model(each.id, _ratios(each.aspect_ratios)) for each in _read(_Models, body).models]


def _ratios(raw: Raw) -> tuple[str, ...]:
    """The aspect ratios, if that is what they are, such as 16:9; nothing can be told from others."""
    try:
        ratios = decode(raw, type=list[str])
    except ValueError:
        return ()
    return tuple(ratios) if len(ratios) <= _RATIOS_MAX and all(re.fullmatch(_RATIO, ratio) for ratio in ratios) else ()


def skills(body: Bytes) -> frozenset[str]:
    """The ids of the account's skills, in small letters (beyond the contract)."""
    return frozenset(each.id.lower() for each in _read(_Skills, body).skills)


def discovered(body: Bytes, *, limit: int) -> tuple[list[StudioProject], int | None]:
    """A page of the studio projects that can be adopted, and how many there are (beyond the contract)."""
    page = _read(_Discovered, body)
    found = [
        StudioProject(id=each.project_id, title=each.title, aspect_ratio=each.aspect_ratio, created_at=each.created_at)
        for each in _bounded(page.projects, limit)
    ]
    return found, page.total
