"""Answers of the API as values, and the snapshot that a refresh makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, field

from reconciler.model.identity import Elsewhere
from reconciler.model.values import Json

Source = Literal["list", "status", "patch", "sent", "none"]
"""Where the value of a field is known from; ``none``: it is unknown."""


class LiveProject(Struct, frozen=True, kw_only=True):
    """One project as the list or the status shows it.

    ``settings`` only has the settings that this source shows. ``brief`` is cut at 200 characters (list only).
    ``source_project_id`` is the studio project it was adopted from (list only). Times are the API's ISO 8601 texts.
    """

    id: str
    status: str
    source: Literal["list", "status"]
    settings: Mapping[str, Json] = field(default_factory=dict)
    brief: str | None = None
    source_project_id: str | None = None
    project_url: str | None = None
    assembled_url: str | None = None
    assembled_url_expires_at: str | None = None
    output_type: str | None = None
    agent_message: str | None = None
    variation_id: str | None = None
    error_message: str | None = None
    credits_warning: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    differing: frozenset[str] = frozenset()
    """Settings whose value differs from the state's, though it is not known."""


class ProjectPage(Struct, frozen=True, kw_only=True):
    projects: tuple[LiveProject, ...]
    total: int
    limit: int
    offset: int
    size: int = 0
    """Bytes of the answer."""


class LiveMessage(Struct, frozen=True, kw_only=True):
    id: str
    role: str
    content: str
    source: str | None = None
    created_at: str | None = None


class MessagePage(Struct, frozen=True, kw_only=True):
    messages: tuple[LiveMessage, ...]
    has_more: bool


class Created(Struct, frozen=True, kw_only=True):
    """The answer to a create or an adopt. ``existing``: 200, the project already existed."""

    id: str
    status: str
    existing: bool
    mode: str | None = None
    project_url: str | None = None
    credits_balance: int | None = None


class Link(Struct, frozen=True, kw_only=True):
    """A permanent link: ``share_url`` leads to a page with the video, ``video_url`` to the video itself."""

    share_url: str
    video_url: str | None = None
    title: str | None = None
    created_at: str | None = None


class Model(Struct, frozen=True):
    """A model that the API offers. No ``aspect_ratios``: the API does not tell them."""

    id: str
    aspect_ratios: tuple[str, ...] = ()


class StudioProject(Struct, frozen=True, kw_only=True):
    """A project of the studio that can be adopted."""

    id: str
    title: str | None = None
    aspect_ratio: str | None = None
    created_at: str | None = None


class Snapshot(Struct, frozen=True, kw_only=True):
    """The result of one refresh.

    ``missing`` are ids that the API answered 404 for: only these are known to be absent. ``complete``: every project of
    the account was seen; otherwise an id that is not in ``projects`` is unread, not absent. ``active`` is the number of
    projects at work in the whole account, if known.
    """

    projects: Mapping[str, LiveProject] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    complete: bool = False
    total: int | None = None
    active: int | None = None
    requests: int = 0
    """Calls that the refresh took."""
    at: str = ""
    """When it was taken, ISO 8601."""
    elsewhere: Elsewhere = Elsewhere()
