"""References that stand for something which is only known when they are sent.

``{"project": address, "type": …}`` stands for the rendered video of another project, ``{"file": path, "digest":
SHA-256}`` for a file of the workspace. The API takes neither: right before a create or a message leaves, the video's
present URL or the file's upload id takes their place (``operations/depending.py``). Everything else, comparing, digesting,
planning, journalling and the state, knows the symbols alone. So a URL that expired, a new render or a second upload never
look like a change, and what an interrupted run wrote down means the same to the next one.
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


def files_in(body: Mapping[str, Value]) -> dict[str, str]:
    """The files that the references of a body name: their paths by their digests."""
    return {item["digest"]: item["file"] for item in _references(body) if _names_file(item)}


def compared(body: Mapping[str, Value]) -> Mapping[str, Value]:
    """The body as it is held against another: a file is what is in it, whatever it is called."""
    if not files_in(body):
        return body
    references = [{"digest": item["digest"]} if _names_file(item) else item for item in _references(body)]
    return {**body, "references": references}


def resolved(body: Mapping[str, Value], urls: Mapping[str, str], uploads: Mapping[str, str]) -> dict[str, Value]:
    """The body as the API takes it. ``urls`` are those of videos, by address; ``uploads`` are ids, by digest."""

    def real(item: Value) -> Value:
        if _names_project(item):
            return {"url": urls[item["project"]], "type": item["type"]}
        return {"upload_id": uploads[item["digest"]]} if _names_file(item) else item

    return {**body, "references": [real(item) for item in _references(body)]} if "references" in body else dict(body)


def _references(body: Mapping[str, Value]) -> list[Any]:
    references = body.get("references")
    return references if isinstance(references, list) else []


def _names_project(item: object) -> bool:
    return isinstance(item, dict) and isinstance(item.get("project"), str)


def _names_file(item: object) -> bool:
    return isinstance(item, dict) and isinstance(item.get("file"), str) and isinstance(item.get("digest"), str)
