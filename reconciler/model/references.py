"""References that stand for something which is only known when they are sent.

``{"project": address, "type": …}`` stands for the rendered video of another project. The API does not take it: right
before a create or a message leaves, the video's present URL takes its place (``operations/depending.py``). Everything
else, comparing, digesting, planning, journalling and the state, knows the symbol alone. So a URL that expired or a new
render never looks like a change, and what an interrupted run wrote down means the same to the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from reconciler.model.contract import ReferenceType
from reconciler.model.values import Value

PROJECT_TYPE: Final[ReferenceType] = "video"
"""The type of a project's video if none is given: a rendered file, not a page (which ``url`` would say)."""


def projects_in(body: Mapping[str, Value]) -> tuple[str, ...]:
    """The addresses that the references of a create's or a message's body name, in their order."""
    return tuple(item["project"] for item in _references(body) if _names_project(item))


def renamed(body: Mapping[str, Value], name: Callable[[str], str]) -> Mapping[str, Value]:
    """The body with other addresses in its references."""
    if not projects_in(body):
        return body
    references = [
        {**item, "project": name(item["project"])} if _names_project(item) else item for item in _references(body)
    ]
    return {**body, "references": references}


def with_urls(body: Mapping[str, Value], urls: Mapping[str, str]) -> dict[str, Value]:
    """The body with the URLs of videos, by address, in the place of the projects that it refers to."""
    if not projects_in(body):
        return dict(body)
    references = [
        {"url": urls[item["project"]], "type": item["type"]} if _names_project(item) else item
        for item in _references(body)
    ]
    return {**body, "references": references}


def _references(body: Mapping[str, Value]) -> list[Any]:
    references = body.get("references")
    return references if isinstance(references, list) else []


def _names_project(item: object) -> bool:
    return isinstance(item, dict) and isinstance(item.get("project"), str)
