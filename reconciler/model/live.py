"""What the account shows: answers of the API as values, and the snapshot that a refresh makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from reconciler.model.values import Json

Source = Literal["list", "status", "patch", "sent", "none"]
"""Where the knowledge of a field comes from; ``none``: nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveProject:
    """One project as the list or the status shows it.

    ``settings`` has just the settings that this source shows. ``brief`` is cut at 200 characters (list only).
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
    """Settings that are known not to be as the state remembers them, though nobody saw what they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectPage:
    projects: tuple[LiveProject, ...]
    total: int
    limit: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveMessage:
    id: str
    role: str
    content: str
    source: str | None = None
    created_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagePage:
    messages: tuple[LiveMessage, ...]
    has_more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """The answer of a create or an adopt; ``existing``: 200, the project was there before."""

    id: str
    status: str
    existing: bool
    mode: str | None = None
    project_url: str | None = None
    credits_balance: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What one refresh saw.

    ``missing`` are ids that the API answered 404 for: only these are known to be absent. ``complete`` says that every
    project of the account was seen; where it is false, an id that is not in ``projects`` is unread, not absent.
    ``active`` is the number of projects at work in the whole account, if known.
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
