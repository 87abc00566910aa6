"""``only`` and ``except``: the environments that a project belongs to."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final

from reconciler.adapters.specs.validation.codes import Code
from reconciler.adapters.specs.validation.problem import Problem
from reconciler.adapters.specs.validation.suggestions import did_you_mean, quoted, sentences
from reconciler.model.errors import Location

ONLY: Final = "only"
EXCEPT: Final = "except"


class Names:
    """Where the projects are declared, by name and environment; ``known`` are all environments, ``None`` if there are none."""

    def __init__(self, known: Collection[str]) -> None:
        self._known: Collection[str | None] = known or (None,)
        self._places: dict[str, dict[str | None, Location | None]] = {}

    def members(self, project: Any) -> set[str | None]:
        """The environments that have a project, of which :func:`membership_problems` finds nothing."""
        members = set(self._known)
        if isinstance(project, dict):
            members = members.intersection(project.get(ONLY, members)).difference(project.get(EXCEPT, ()))
        return members

    def add(
        self, name: str, members: Collection[str | None], at: Location | None
    ) -> tuple[str | None, Location | None] | None:
        """Take in a project. If there is one of its name in one of its environments: which, and where."""
        there = self._places.setdefault(name, {})
        for environment in self._known:
            if environment in members and environment in there:
                return environment, there[environment]
        there.update(dict.fromkeys(members, at))
        return None

    def elsewhere(self, environment: str | None) -> frozenset[str]:
        """The names of projects that only other environments have."""
        return frozenset(name for name, there in self._places.items() if environment not in there)


def membership_problems(project: Any, known: Collection[str]) -> Iterator[Problem]:
    """What is wrong with a project's ``only`` and ``except``."""
    there = [key for key in (ONLY, EXCEPT) if isinstance(project, dict) and key in project]
    if len(there) > 1:
        yield Problem(Code.CONFLICT, (EXCEPT,), "except can't be combined with only", "keep one of them", on_key=True)
    for key in there:
        names = project[key]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            yield Problem(
                Code.TYPE, (key,), f"{key} must be a list of environments, not {quoted(names)}", f"write {key}: [prod]"
            )
        elif not names:
            yield Problem(Code.BLANK, (key,), f"{key} names no environment", "name one, or leave it out")
        else:
            yield from (_unknown(key, i, name, known) for i, name in enumerate(names) if name not in known)


def _unknown(key: str, index: int, name: str, known: Collection[str]) -> Problem:
    there = f"environments: {', '.join(known)}" if known else "reconciler.yaml declares no environments"
    detail = sentences(did_you_mean(name, known), there)
    return Problem(Code.ENVIRONMENT, (key, index), f"{key}: there is no environment {quoted(name)}", detail)
