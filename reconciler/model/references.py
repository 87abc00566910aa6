"""References to things that are only known when they are sent.

``{"project": address, "type": …}`` stands for the rendered video of another project, ``{"file": path, "digest":
SHA-256}`` for a file of the workspace. The API takes neither: right before a create or a message is sent, the video's
current URL or the file's upload id replaces them (``operations/apply/dependencies.py``). Everything else (comparing,
digests, plans, the journal and the state) only has the symbols. So a URL that expired, a new render or a second upload
never looks like a change, and the journal of an interrupted run means the same to the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypedDict, TypeGuard, TypeVar, cast

from reconciler.model.contract import ReferenceType
from reconciler.model.values import Value

B = TypeVar("B", bound=Mapping[str, Value])
"""A body in any form: its references are the same in each, but for their secrets."""

PROJECT_TYPE: Final[ReferenceType] = "video"
"""The type of a project's video if none is given: a rendered file, not a page (which ``url`` would say)."""


def projects_in(body: Mapping[str, Value]) -> tuple[str, ...]:
    """The addresses that the references of a create's or a message's body name, in their order."""
    return tuple(item["project"] for item in _references(body) if _names_project(item))


def renamed(body: B, name: Callable[[str], str]) -> B:
    """The body with other addresses in its references."""
    if not projects_in(body):
        return body
    references = [
        {**item, "project": name(item["project"])} if _names_project(item) else item for item in _references(body)
    ]
    return cast("B", {**body, "references": references})


def files_in(body: Mapping[str, Value]) -> dict[str, str]:
    """The files that the references of a body name: their paths by their digests."""
    return {item["digest"]: item["file"] for item in _references(body) if _names_file(item)}


def compared(body: B) -> B:
    """The body as it is held against another: a file is what is in it, whatever it is called."""
    if not files_in(body):
        return body
    references = [{"digest": item["digest"]} if _names_file(item) else item for item in _references(body)]
    return cast("B", {**body, "references": references})


def resolved(body: Mapping[str, Value], urls: Mapping[str, str], uploads: Mapping[str, str]) -> dict[str, Value]:
    """The body as the API takes it. ``urls`` are those of videos, by address; ``uploads`` are ids, by digest."""

    def real(item: Value) -> Value:
        if _names_project(item):
            return {"url": urls[item["project"]], "type": item["type"]}
        return {"upload_id": uploads[item["digest"]]} if _names_file(item) else item

    return {**body, "references": [real(item) for item in _references(body)]} if "references" in body else dict(body)


class _ProjectReference(TypedDict):
    project: str
    type: str


class _FileReference(TypedDict):
    file: str
    digest: str


def _references(body: Mapping[str, Value]) -> Sequence[Value]:
    references = body.get("references")
    return references if isinstance(references, list) else []


def _names_project(item: Value) -> TypeGuard[_ProjectReference]:
    return isinstance(item, dict) and isinstance(item.get("project"), str)


def _names_file(item: Value) -> TypeGuard[_FileReference]:
    return isinstance(item, dict) and isinstance(item.get("file"), str) and isinstance(item.get("digest"), str)
