"""Types of the keys in spec files and in ``reconciler.yaml``, as values from which checks and schemas are built."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Literal

from msgspec import Struct

from reconciler.adapters.specs.yaml.parsing import Path
from reconciler.model.desired import ADDRESS_MAX, KEY, NAME
from reconciler.model.values import Json

NAME_PATTERN: Final = f"^{NAME.pattern}$"
ADDRESS_PATTERN: Final = rf"^{NAME.pattern}(\[{KEY.pattern}(,{KEY.pattern})*\])?$"
WORKSPACE_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
MESSAGE_ID_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
PROJECT_ID_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
PROJECT_ID_RULE: Final = "a project's id has letters, digits, . _ and -, and starts with a letter or digit"
ENV_PATTERN: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"
ENVIRONMENT_PATTERN: Final = r"^[a-z0-9][a-z0-9_-]{0,31}$"
ENVIRONMENT_RULE: Final = "an environment's name has 1 to 32 of a-z, 0-9, _ and -, and starts with a letter or digit"
TAG_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,62}$"
KEY_ENV_PATTERN: Final = r"^EVERSINCE_[A-Za-z0-9_]+$"
UUID_PATTERN: Final = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
COUNT_MAX: Final = 1_000_000_000

SchemaChange = Callable[[dict[str, Json]], None]
"""Adds to a JSON Schema what the types don't say."""


class Text(Struct, frozen=True, kw_only=True):
    """A string. ``pattern`` is for the whole of it, ``max_length`` in characters."""

    form: Literal["any", "visible", "block", "path", "https_url", "web_url", "api_url"] = "any"
    """``visible`` has a character that is not white space; ``block`` too, and its last line breaks don't count."""
    pattern: str | None = None
    max_length: int | None = None


class Number(Struct, frozen=True, kw_only=True):
    """A number from ``low`` to ``high``; ``above`` excludes ``low`` itself."""

    low: int
    high: int
    above: bool = False
    whole: bool = False


class Flag(Struct, frozen=True):
    """true or false."""


class Choice(Struct, frozen=True):
    """One of several strings; with ``or_uuid``, a UUID too."""

    values: tuple[str, ...]
    or_uuid: bool = False


class Anything(Struct, frozen=True):
    """Any value; ``schema`` says more to editors, and another place checks it."""

    schema: dict[str, Json]


class ListOf(Struct, frozen=True, kw_only=True):
    """A list."""

    item: Type
    max_length: int | None = None
    unique: bool = False
    """Whether no item may be there twice, whatever its case."""
    schema: SchemaChange | None = None


class MapOf(Struct, frozen=True, kw_only=True):
    """A mapping with keys of any name; ``key_pattern`` is for editors, another place checks it."""

    item: Type
    key_pattern: str | None = None


class Key(Struct, frozen=True, kw_only=True):
    """A key of a mapping. One that is not required may be absent; None is only for one that is nullable."""

    name: str
    type: Type
    help: str
    required: bool = False
    nullable: bool = False
    secret: bool = False
    """Whether ``${env.NAME}`` may stand there: it goes to the API sealed. Anything else is stored or shown in clear."""
    examples: tuple[Json, ...] = ()


class Shape(Struct, frozen=True, eq=False):
    """A mapping with known keys and no others. ``name`` is its name in the JSON Schema."""

    name: str
    help: str
    keys: tuple[Key, ...]
    title: str | None = None
    schema: SchemaChange | None = None

    @property
    def names(self) -> list[str]:
        """The keys, as they are written."""
        return [key.name for key in self.keys]


Type = Text | Number | Flag | Choice | Anything | ListOf | MapOf | Shape


ADDRESS: Final = Text(pattern=ADDRESS_PATTERN, max_length=ADDRESS_MAX)


def shape_at(shape: Shape, path: Path) -> Shape | None:
    """The mapping that stands at a path; None if there is none, or one with keys of any name."""
    found: Type | None = shape
    for part in path:
        match found:
            case Shape(keys=keys):
                found = next((key.type for key in keys if key.name == part), None)
            case ListOf(item=item) | MapOf(item=item):
                found = item
            case _:
                return None
    return found if isinstance(found, Shape) else None


def mappings_in(shape: Shape) -> Iterator[Shape]:
    """Every mapping in a mapping."""
    for key in shape.keys:
        kind = key.type
        while isinstance(kind, ListOf | MapOf):
            kind = kind.item
        if isinstance(kind, Shape):
            yield kind
            yield from mappings_in(kind)
