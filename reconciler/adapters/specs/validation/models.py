"""Pydantic models of the shapes: strict, with errors that say what is wrong, and the source of the JSON Schemas.

They check plain trees (variables filled, nothing coerced); their instances are thrown away, for what is declared is the
tree itself.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, assert_never

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, create_model
from pydantic_core import PydanticCustomError, PydanticKnownError

from reconciler.adapters.specs.validation.codes import Code
from reconciler.adapters.specs.validation.json_fragments import text_shape
from reconciler.adapters.specs.validation.shape_types import (
    UUID_PATTERN,
    Anything,
    Choice,
    Flag,
    Key,
    ListOf,
    MapOf,
    Number,
    SchemaChange,
    Shape,
    Text,
    Type,
)
from reconciler.adapters.specs.validation.urls import AddressError, api_address, web_address

REPEATED: Final = "repeated"
"""The type of the error that a list has an item twice; the item's index is in its context."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)


@functools.cache
def model_of(shape: Shape) -> type[BaseModel]:
    """The model of a shape."""
    config: dict[str, Any] = {} if shape.title is None else {"title": shape.title}
    config["json_schema_extra"] = _schema_change(shape.schema)
    fields: dict[str, Any] = {key.name: _field(key) for key in shape.keys}
    return create_model(shape.name, __base__=_Strict, __doc__=shape.help, __cls_kwargs__=config, **fields)


def _schema_change(change: SchemaChange | None) -> Any:
    """A change as pydantic takes it: with one parameter, which it counts."""
    return None if change is None else lambda schema: change(schema)  # noqa: PLW0108


def _field(key: Key) -> tuple[Any, Any]:
    """A field: what is not declared is not there, whatever default the class attribute has."""
    kind = _type(key.type) | None if key.nullable else _type(key.type)
    more: dict[str, Any] = {"examples": list(key.examples)} if key.examples else {}
    return kind, Field(... if key.required else None, description=key.help, **more)


def _type(kind: Type) -> Any:
    """The type as pydantic checks it."""
    match kind:
        case Text():
            return _text(kind)
        case Number(low=low, high=high):
            lowest: dict[str, Any] = {"gt" if kind.above else "ge": low}
            finite: dict[str, Any] = {} if kind.whole else {"allow_inf_nan": False}
            return Annotated[int if kind.whole else float, Field(**lowest, le=high, **finite)]
        case Flag():
            return bool
        case Choice():
            return _choice(kind)
        case Anything(schema=schema):
            return Annotated[Any, WithJsonSchema(schema)]
        case ListOf():
            return _list(kind)
        case MapOf():
            extra: dict[str, Any] = {"propertyNames": {"pattern": kind.key_pattern}} if kind.key_pattern else {}
            return Annotated[dict[str, _type(kind.item)], Field(json_schema_extra=extra)]  # type: ignore[misc]
        case Shape():
            return model_of(kind)
        case _:
            assert_never(kind)


def _problem(code: Code, message: str) -> PydanticCustomError:
    """An error of a validator that carries its code."""
    return PydanticCustomError(code.value, message)


def _visible(value: str) -> str:
    if not value.strip():
        raise _problem(Code.BLANK, "must not be blank")
    return value


def _at_most(limit: int, *, block: bool = False) -> Callable[[str], str]:
    """A check of a length, in whichever of the usual units an API counts it."""

    def check(value: str) -> str:
        text = value.rstrip("\n") if block else value
        length, units = len(text), len(text.encode("utf-16-le", "surrogatepass")) // 2
        if units > limit:
            counted = "" if units == length else f" ({units:,} in UTF-16)"
            raise _problem(Code.LIMIT, f"has {length:,} characters{counted}, at most {limit:,} are allowed")
        return value

    return check


def _choice(kind: Choice) -> Any:
    if not kind.or_uuid:
        return Literal[kind.values]
    expected = ", ".join(f"'{value}'" for value in (*kind.values, "or a UUID"))

    def check(value: str) -> str:
        if value not in kind.values and not re.fullmatch(UUID_PATTERN, value):
            raise PydanticKnownError("literal_error", {"expected": expected})
        return value

    shape = {"anyOf": [{"type": "string", "enum": list(kind.values)}, {"type": "string", "pattern": UUID_PATTERN}]}
    return Annotated[str, AfterValidator(check), WithJsonSchema(shape)]


def _list(kind: ListOf) -> Any:
    item, change = _type(kind.item), _schema_change(kind.schema)
    if kind.unique:
        different = Field(json_schema_extra={"uniqueItems": True})
        return Annotated[list[item], AfterValidator(_different), different]  # type: ignore[valid-type]
    return Annotated[list[item], Field(max_length=kind.max_length, json_schema_extra=change)]  # type: ignore[valid-type]


def _different(items: list[str]) -> list[str]:
    seen: set[str] = set()
    for index, item in enumerate(items):
        if item.lower() in seen:
            raise PydanticCustomError(REPEATED, "is there twice", {"index": index})
        seen.add(item.lower())
    return items


def _address(check: Callable[[str], str]) -> Callable[[str], str]:
    def checked(value: str) -> str:
        try:
            return check(value)
        except AddressError as wrong:
            raise _problem(Code.URL, str(wrong)) from None

    return checked


def _path(value: str) -> str:
    if "\0" in value:
        raise _problem(Code.IDENTIFIER, "is not a path")
    return _visible(value)


_SEEN: Final = {"type": "string", "pattern": r"\S"}
_FORMS: Final[dict[str, tuple[Callable[[str], str], dict[str, Any]]]] = {
    "any": (str, {"type": "string"}),
    "visible": (_visible, _SEEN),
    "block": (_visible, _SEEN),
    "path": (_path, _SEEN),
    "https_url": (
        _address(lambda value: web_address(value, "https")),
        {"type": "string", "pattern": r"^https://[^\s/]\S*$"},
    ),
    "web_url": (
        _address(lambda value: web_address(value, "https", "http")),
        {"type": "string", "pattern": r"^https?://[^\s/]\S*$"},
    ),
    "api_url": (
        _address(api_address),
        {"type": "string", "pattern": r"^(sandbox|https?://[^\s/?#@][^\s?#@]*)$"},
    ),
}
"""How the forms of strings are checked, and what JSON Schema says of them."""


def _text(kind: Text) -> Any:
    limit = kind.max_length
    if kind.pattern is not None:
        return Annotated[str, Field(pattern=kind.pattern, max_length=limit)]
    check, schema = _FORMS[kind.form]
    if limit is None:
        return Annotated[str, AfterValidator(check), WithJsonSchema(schema)]
    block = kind.form == "block"
    schema = text_shape(limit) if block else {**schema, "maxLength": limit}
    return Annotated[str, AfterValidator(check), AfterValidator(_at_most(limit, block=block)), WithJsonSchema(schema)]
