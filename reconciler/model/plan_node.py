"""Values of a plan document with their places, and how to read them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, TypeVar

from msgspec import Struct, ValidationError, convert

from reconciler.model.desired import ADDRESS
from reconciler.model.errors import PlanFileError
from reconciler.model.values import Json

REMEDY: Final = "Make a new plan with `reconciler plan --out FILE`; a plan file is not meant to be edited."
_PLACE: Final = r" - at `\$\.([^`]*)`\Z"
_MISSING: Final = r"Object missing required field `(\w+)`"
_PROBLEMS: Final = {
    "Object missing required field": "is missing",
    "Expected `str` of length": "must not be empty",
    "Expected `str` matching": "is not a valid address",
    "Expected `int`": "must be a whole number of at least 0",
    "Expected `str`": "must be a string",
    "Expected `bool`": "must be true or false",
    "Expected `object`": "must be an object",
    "Expected `array`": "must be a list",
    "Expected `str | null`": "must be a string or null",
    "Expected `int | null`": "must be a whole number or null",
    "Invalid": "has an unknown value",
}
"""How the errors of msgspec begin, and what they mean in a plan; of two that fit, the first."""

T = TypeVar("T")


class Node(Struct, frozen=True):
    """A value and its place. Every method raises :class:`PlanFileError`, with the place and a remedy, if it does not fit."""

    value: Json
    place: str = ""

    def fail(self, problem: str) -> PlanFileError:
        where = f"`{self.place}`" if self.place else "the document"
        return PlanFileError(f"the plan file is not valid: {where} {problem}", REMEDY)

    def __getitem__(self, key: str) -> Node:
        fields = self.mapping()
        if key not in fields:
            raise self._at(key).fail("is missing")
        return self._at(key, fields[key])

    def _at(self, key: str, value: Json = None) -> Node:
        return Node(value, f"{self.place}.{key}" if self.place else key)

    def __iter__(self) -> Iterator[Node]:
        """The items of a list."""
        if not isinstance(self.value, list):
            raise self.fail("must be a list")
        return (Node(item, f"{self.place}[{index}]") for index, item in enumerate(self.value))

    def mapping(self) -> dict[str, Json]:
        if not isinstance(self.value, dict):
            raise self.fail("must be an object")
        return self.value

    def fields(self) -> Iterator[tuple[str, Node]]:
        """The members of an object whose keys are addresses."""
        for key in self.mapping():
            if not ADDRESS.fullmatch(key):
                raise self[key].fail("is not a valid address")
            yield key, self[key]

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self.fail("must be a string")
        return self.value

    def read(self, kind: type[T], **given: object) -> T:
        """An object as a struct, some of whose fields are given. A key that it does not know is left to :meth:`compare`."""
        try:
            return convert({**self.mapping(), **given}, kind)
        except ValidationError as error:
            raise self._refused(str(error)) from None
        except UnicodeEncodeError:
            raise self.fail("contains half of a surrogate pair") from None

    def _refused(self, error: str) -> PlanFileError:
        """An error of msgspec, such as "Object missing required field `id` - at `$.steps[0]`", in our words."""
        node = self
        for found in (re.search(_PLACE, error), re.match(_MISSING, error)):
            node = node._at(found[1]) if found else node
        return node.fail(
            next((words for begins, words in _PROBLEMS.items() if error.startswith(begins)), "is not valid")
        )

    def compare(self, expected: Json) -> None:
        """Raise at the first place that differs from ``expected``."""
        if isinstance(expected, dict):
            for key in self.mapping():
                if key not in expected:
                    raise self[key].fail("is not a known key")
            for key, value in expected.items():
                self[key].compare(value)
        elif isinstance(expected, list):
            items = [*self]
            if len(items) != len(expected):
                raise self.fail(f"must have {len(expected)} items, not {len(items)}")
            for item, value in zip(items, expected, strict=True):
                item.compare(value)
        elif type(self.value) is not type(expected) or self.value != expected:
            raise self.fail("does not match the rest of the plan")
