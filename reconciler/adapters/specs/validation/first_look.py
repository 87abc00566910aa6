"""A first look at a tree: whether it has a shape beyond doubt.

The models (``models``) have the last word, and say all that is wrong. They come with pydantic, whose import takes longer
than all the work of a small plan; what is right, as nearly everything is, need not wait for it. So a first look may
refuse what the models accept, but never accepts what they refuse (``tests/language/test_first_look.py``).
"""

from __future__ import annotations

import functools
import re
from typing import Annotated, Any, Final, Literal, assert_never

from msgspec import UNSET, Meta, Struct, convert, defstruct
from msgspec.json import encode

from reconciler.adapters.specs.validation.shape_types import (
    UUID_PATTERN,
    Anything,
    Choice,
    Flag,
    ListOf,
    MapOf,
    Number,
    Shape,
    Text,
    Type,
)

_HOST: Final = "[A-Za-z0-9.-]+(:([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}))?"  # ports up to 64999
_PATTERNS: Final = {
    "any": None,
    "visible": r"\S",
    "block": r"\S",
    "path": r"^[^\0]*[^\0\s][^\0]*\Z",
    "https_url": rf"^https://{_HOST}(/[!-~]*)?\Z",
    "web_url": rf"^https?://{_HOST}(/[!-~]*)?\Z",
    "api_url": rf"^(sandbox|https?://{_HOST}(/[A-Za-z0-9/._-]*)?)\Z",
}


def fits(shape: Shape, tree: Any) -> bool:
    """Whether the tree surely has this shape."""
    try:
        encode(convert(tree, _struct(shape, _used(shape, tree))))  # half a surrogate pair is not a character
    except (ValueError, TypeError):
        return False
    return True


def _used(shape: Shape, tree: Any) -> frozenset[str]:
    """The keys of the shape that the tree has: most of what a configuration could have, it has not."""
    return frozenset(name for name in shape.names if name in tree) if isinstance(tree, dict) else frozenset()


@functools.cache
def _struct(shape: Shape, used: frozenset[str] | None = None) -> type[Struct]:
    """The struct that takes what has this shape and, of the keys that may be left out, only the ``used`` ones.

    A ``for_each`` is taken out before a project is looked at.
    """
    names = {key.name: f"{key.name}_" for key in shape.keys}  # some are Python's own words
    fields = [
        (names[key.name], kind, ...) if key.required else (names[key.name], kind, UNSET)
        for key in shape.keys
        if key.name != "for_each" and (used is None or key.required or key.name in used)
        for kind in (_type(key.type) | None if key.nullable else _type(key.type),)
    ]
    return defstruct(
        shape.name,
        [(name, kind) if default is ... else (name, kind, default) for name, kind, default in fields],
        kw_only=True,
        forbid_unknown_fields=True,
        rename={name: key for key, name in names.items()},
    )


def _type(kind: Type) -> Any:
    """The type as msgspec checks it."""
    match kind:
        case Text():
            return Annotated[str, _text(kind)]
        case Number():
            limits = Meta(gt=kind.low, le=kind.high) if kind.above else Meta(ge=kind.low, le=kind.high)
            return Annotated[int if kind.whole else float, limits]
        case Flag():
            return bool
        case Choice():
            return Annotated[str, Meta(pattern=_value_or_uuid(kind))] if kind.or_uuid else Literal[kind.values]
        case Anything():
            return Any
        case ListOf():
            longest = 1 if kind.unique else kind.max_length  # of several items two may be the same
            return Annotated[list[_type(kind.item)], Meta(max_length=longest)]  # type: ignore[misc]
        case MapOf():
            return dict[str, _type(kind.item)]  # type: ignore[misc]
        case Shape():
            return _struct(kind)
        case _:
            assert_never(kind)


def _value_or_uuid(kind: Choice) -> str:
    """A pattern for one of the values or a UUID."""
    uuid = UUID_PATTERN.removeprefix("^").removesuffix("$")
    return rf"^({'|'.join(map(re.escape, kind.values))}|{uuid})\Z"


def _text(kind: Text) -> Meta:
    if kind.pattern is not None:  # here "$" would allow a line break after it
        return Meta(pattern=kind.pattern.removesuffix("$") + r"\Z", max_length=kind.max_length)
    pattern, limit = _PATTERNS[kind.form], kind.max_length
    if limit is not None:  # characters beyond the 16-bit ones count twice
        short = rf"(?:[\s\S]{{0,{limit // 2}}}|[^\U00010000-\U0010FFFF]*)\Z"
        pattern = rf"^(?=[\s\S]*?{pattern}){short}" if pattern else rf"^{short}"
    return Meta(pattern=pattern, max_length=limit)
