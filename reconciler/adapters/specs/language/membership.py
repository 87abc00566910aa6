"""``only`` and ``except``: the environments that a project belongs to."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final

from reconciler.adapters.specs.validation.codes import Code
from reconciler.adapters.specs.validation.problem import Problem
from reconciler.adapters.specs.validation.suggestions import did_you_mean, quoted, sentences

ONLY: Final = "only"
EXCEPT: Final = "except"


def memberships(project: Any, known: Collection[str]) -> frozenset[str | None]:
    """The environments, of those ``known``, that a project is in; ``None`` where there are none.
    :func:`membership_problems` finds nothing of it.
    """
    everywhere: frozenset[str | None] = frozenset(known or (None,))
    if not isinstance(project, dict):
        return everywhere
    return everywhere.intersection(project.get(ONLY, everywhere)).difference(project.get(EXCEPT, ()))


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
