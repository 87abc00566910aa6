"""Strict checks of bodies and queries: every problem is found and named, none is repaired."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final, assert_never, get_args
from urllib.parse import urlsplit

from msgspec import Struct

from reconciler.model import contract
from reconciler.model.contract import ErrorCode
from reconciler.model.contract_tables import ApiLimits, Contract, Field, ReferenceType
from reconciler.sandbox.wire import ApiError, Call

Check = Callable[[str, object], Iterable[str]]
"""Takes a field's name and value, gives the field's problems."""

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Shape(Struct, frozen=True):
    """The fields that a body may and must have."""

    fields: Mapping[str, Check]
    required: tuple[str, ...] = ()


class Shapes(Struct, frozen=True):
    """The bodies and queries that the calls take."""

    create: Shape
    adopt: Shape
    settings: Shape
    message: Shape
    render: Shape
    share: Shape
    nothing: Shape
    upload: Shape
    confirmation: Shape
    list_query: Mapping[str, Check]
    messages_query: Mapping[str, Check]
    models_query: Mapping[str, Check]
    discover_query: Mapping[str, Check]


def body(call: Call, shape: Shape, *, strict: bool, limit: int) -> dict[str, Any]:
    """The body's fields; ``limit`` is in bytes.

    Raises:
        ApiError: 413 for one that is too large, 400 for one that is not JSON or breaks the contract; where the server is
            strict, 415 for one of another content type, and 400 for one that names a field twice.

    """
    raw = call.body
    if raw is None:
        raise ApiError(ErrorCode.VALIDATION, f"body: must be at most {limit} bytes", 413)
    if not raw and not shape.fields:
        return {}
    if strict and call.content_type.partition(";")[0].strip().lower() != "application/json":
        raise ApiError(ErrorCode.VALIDATION, "Content-Type: must be application/json", 415)
    try:
        value = (_STRICT_JSON if strict else _JSON).decode(raw.decode())
        json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate is JSON, but no text
    except (ValueError, RecursionError):
        raise ApiError(ErrorCode.VALIDATION, "body: must be valid JSON", 400) from None
    _refuse(_object("", value, shape))
    return dict(value)


def query(pairs: list[tuple[str, str]], checks: Mapping[str, Check]) -> dict[str, str]:
    """The query's parameters, as text.

    Raises:
        ApiError: 400 for an unknown, repeated or wrong one.

    """
    found = dict(pairs)
    names = [name for name, _ in pairs]
    problems = [f"{name}: is not a parameter of this call" for name in found if name not in checks]
    problems += [f"{name}: must be given once" for name in found if names.count(name) > 1]
    for name, value in found.items():
        problems += checks[name](name, value) if name in checks else ()
    _refuse(problems)
    return found


def _refuse(problems: Iterable[str]) -> None:
    found = "; ".join(problems)
    if found:
        raise ApiError(ErrorCode.VALIDATION, found, 400)


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _no_pair_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field is named twice")
    return found


_JSON: Final = json.JSONDecoder(parse_constant=_no_constant)
_STRICT_JSON: Final = json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=_no_pair_twice)


def _object(path: str, value: object, shape: Shape) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path.rstrip('.') or 'body'}: must be an object"]
    problems = [f"{path}{name}: is required" for name in shape.required if name not in value]
    for name, item in value.items():
        check = shape.fields.get(name)
        problems += [f"{path}{name}: unknown field"] if check is None else check(path + name, item)
    return problems


def _text(maximum: int | None = None, *, blank: bool = False) -> Check:
    def check(name: str, value: object) -> Iterable[str]:
        if not isinstance(value, str):
            yield f"{name}: must be a string"
        elif not blank and not value.strip():
            yield f"{name}: must not be empty"
        elif maximum is not None and len(value) > maximum:
            yield f"{name}: must be at most {maximum} characters"

    return check


def _one_of(choices: Collection[str]) -> Check:
    def check(name: str, value: object) -> Iterable[str]:
        # Not only "in": it would ask an unhashable or foreign value for equality and call that an answer.
        if not isinstance(value, str) or value not in choices:
            yield f"{name}: must be one of {', '.join(choices)}"

    return check


def _set(choices: Collection[str]) -> Check:
    def check(name: str, value: object) -> Iterable[str]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            yield f"{name}: must be an array of strings"
            return
        wrong = [item for item in value if item not in choices and not _UUID.fullmatch(item)]
        if wrong:
            yield f"{name}: must be some of {', '.join(choices)}, or ids of own skills"
        if len({*value}) < len(value):
            yield f"{name}: must not repeat an item"

    return check


def _boolean(name: str, value: object) -> Iterable[str]:
    if not isinstance(value, bool):
        yield f"{name}: must be a boolean"


def _count(name: str, value: object) -> Iterable[str]:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        yield f"{name}: must be a number from 1 up"


def _url(*schemes: str) -> Check:
    def check(name: str, value: object) -> Iterable[str]:
        if not (isinstance(value, str) and _is_url(value, schemes)):
            yield f"{name}: must be a URL with {' or '.join(schemes)}"

    return check


def _is_url(value: str, schemes: tuple[str, ...]) -> bool:
    if re.search(r"[\s\x00-\x1f]", value):
        return False
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.hostname)


def _or_null(check: Check) -> Check:
    return lambda name, value: () if value is None else check(name, value)


_UPLOADED: Final = Shape({"upload_id": _text()}, ("upload_id",))
_LINK: Final[dict[str, Check]] = {"url": _url("http", "https"), "type": _one_of(get_args(ReferenceType))}


def _references(limits: ApiLimits, *, strict: bool) -> Check:
    linked = Shape(_LINK, ("url", "type") if strict else ("url",))

    def check(name: str, value: object) -> Iterable[str]:
        if not isinstance(value, list):
            yield f"{name}: must be an array"
            return
        if len(value) > limits.references:
            yield f"{name}: must be at most {limits.references}"
        if sum(isinstance(item, dict) and "url" in item for item in value) > limits.url_references:
            yield f"{name}: at most {limits.url_references} may be given by url"
        for index, item in enumerate(value):
            shape = _UPLOADED if isinstance(item, dict) and "upload_id" in item else linked
            yield from _object(f"{name}[{index}].", item, shape)

    return check


def _integer(low: int, high: int) -> Check:
    def check(name: str, value: object) -> Iterable[str]:
        # By pattern: int() would take "+5", " 5", "1_0" and digits of other scripts too.
        if not (isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value) and low <= int(value) <= high):
            yield f"{name}: must be an integer from {low} to {high}"

    return check


_ANY_TEXT: Final = _text(blank=True)


def _field(api: Contract, field: Field, call: contract.Call, *, strict: bool) -> Check:
    """The check of a field in a call's body."""
    check: Check
    match field.kind:
        case "text":
            check = _text(field.max_length, blank=field.blank and not strict)
        case "choice":
            check = _one_of(field.allowed(call))
        case "set":
            check = _set(field.values)
        case "flag":
            check = _boolean
        case "https_url":
            check = _url("https")
        case "references":
            check = _references(api.limits, strict=strict)
        case _:
            assert_never(field.kind)
    return _or_null(check) if field.nullable and call == "settings" else check


@functools.cache
def shapes(api: Contract, *, strict: bool) -> Shapes:
    """The bodies and queries that a server takes."""

    def shape(call: contract.Call) -> Shape:
        fields = api.fields_of(call)
        checks = {field.name: _field(api, field, call, strict=strict) for field in fields}
        return Shape(checks, tuple(field.name for field in fields if field.required))

    file: dict[str, Check] = {
        "file_name": _text(),
        "content_type": _one_of(sorted({content_type for _, content_type in api.uploads.values()})),
        "file_size": _count,
    }
    return Shapes(
        create=shape("create"),
        adopt=shape("adopt"),
        settings=shape("settings"),
        message=shape("message"),
        render=shape("render"),
        share=shape("share"),
        nothing=Shape({}),
        upload=Shape(file, tuple(file)),
        confirmation=Shape({"r2_key": _text(), **file}, ("r2_key", *file)),
        list_query={
            "limit": _integer(1, api.limits.list_page),
            "offset": _integer(0, 10**15),
            "status": _ANY_TEXT,
            "title": _ANY_TEXT,
        },
        messages_query={"limit": _integer(1, api.limits.messages_page), "after": _ANY_TEXT, "before": _ANY_TEXT},
        models_query={"type": _one_of(("video", "image"))},
        discover_query={
            "limit": _integer(1, api.limits.list_page),
            "offset": _integer(0, 10**15),
            "title": _ANY_TEXT,
        },
    )
