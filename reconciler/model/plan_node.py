"""Values of a plan document with their places, and how to read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from msgspec import Struct

from reconciler.model.desired import ADDRESS
from reconciler.model.errors import PlanFileError
from reconciler.model.values import Json

REMEDY: Final = "Make a new plan with `reconciler plan --out FILE`; a plan file is not meant to be edited."

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
        here = f"{self.place}.{key}" if self.place else key
        if key not in fields:
            raise Node(None, here).fail("is missing")
        return Node(fields[key], here)

    def mapping(self) -> dict[str, Json]:
        if not isinstance(self.value, dict):
            raise self.fail("must be an object")
        return self.value

    def fields(self) -> Iterator[tuple[str, Node]]:
        """The members of an object whose keys are addresses."""
        for key in self.mapping():
            yield Node(key, f"{self.place}.{key}").address(), self[key]

    def each(self, read: Callable[[Node], T]) -> tuple[T, ...]:
        if not isinstance(self.value, list):
            raise self.fail("must be a list")
        return tuple(read(Node(item, f"{self.place}[{index}]")) for index, item in enumerate(self.value))

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self.fail("must be a string")
        return self.value

    def name(self) -> str:
        if not self.text():
            raise self.fail("must not be empty")
        return self.text()

    def address(self) -> str:
        if not ADDRESS.fullmatch(self.text()):
            raise self.fail("is not a valid address")
        return self.text()

    def count(self) -> int:
        if not isinstance(self.value, int) or isinstance(self.value, bool) or self.value < 0:
            raise self.fail("must be a whole number of at least 0")
        return self.value

    def flag(self) -> bool:
        if not isinstance(self.value, bool):
            raise self.fail("must be true or false")
        return self.value

    def one_of(self, options: tuple[T, ...]) -> T:
        for option in options:
            if option == self.text():
                return option
        raise self.fail(f"must be one of {', '.join(map(str, options))}")

    def opt(self, read: Callable[[Node], T]) -> T | None:
        return None if self.value is None else read(self)

    def compare(self, expected: Json) -> None:
        """Raise at the first place that differs from ``expected``."""
        if isinstance(expected, dict):
            for key in self.mapping():
                if key not in expected:
                    raise self[key].fail("is not a known key")
            for key, value in expected.items():
                self[key].compare(value)
        elif isinstance(expected, list):
            items = self.each(lambda item: item)
            if len(items) != len(expected):
                raise self.fail(f"must have {len(expected)} items, not {len(items)}")
            for item, value in zip(items, expected, strict=True):
                item.compare(value)
        elif type(self.value) is not type(expected) or self.value != expected:
            raise self.fail("does not match the rest of the plan")
