"""Every limit, enumeration and rule of the Eversince projects API, in one place.

Source: ``eversince-projects-api.txt`` (the contract) unless a line says «published», which marks a fact that the vendor
states elsewhere. Nothing else in the program spells out a limit or a status, so a later version of the API is this
file's work.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal

DEFAULT_URL: Final = "https://eversince.ai/api/v1"

# Lengths, in characters (bodies: bytes).
BRIEF_MAX: Final = 10_000
TITLE_MAX: Final = 30
MESSAGE_MAX: Final = 10_000
IDEMPOTENCY_KEY_MAX: Final = 256
BODY_MAX_BYTES: Final = 1_000_000  # published
LIST_BRIEF_MAX: Final = 200
"""The list cuts a brief to this many characters."""

# References (create and message alike).
REFERENCES_MAX: Final = 10
URL_REFERENCES_MAX: Final = 3
"""Counted over every reference given by ``url``, whatever its type: that is allowed under each reading."""
ReferenceType = Literal["image", "video", "audio", "url"]

# Uploads (published): ``POST /uploads`` gives an address to PUT the file to, ``POST /uploads/confirm`` then its id.
UploadType = Literal["image", "video", "audio"]
UPLOADS: Final[dict[str, tuple[UploadType, str]]] = {
    ".jpg": ("image", "image/jpeg"),
    ".jpeg": ("image", "image/jpeg"),
    ".png": ("image", "image/png"),
    ".webp": ("image", "image/webp"),
    ".mp4": ("video", "video/mp4"),
    ".webm": ("video", "video/webm"),
    ".mov": ("video", "video/quicktime"),
    ".mp3": ("audio", "audio/mpeg"),
    ".wav": ("audio", "audio/wav"),
    ".m4a": ("audio", "audio/mp4"),
}
"""What can be uploaded, by the end of the file's name: its kind and its content type."""
UPLOAD_MAX_BYTES: Final[dict[UploadType, int]] = {"image": 10_000_000, "video": 500_000_000, "audio": 50_000_000}
"""The vendor says MB; the smaller reading is allowed under either."""
UPLOAD_SECONDS: Final = 3600
"""How long the address of an upload is good."""

# Enumerations.
AspectRatio = Literal["16:9", "9:16", "1:1", "21:9"]
CreateMode = Literal["autonomous", "collaborative"]
Mode = Literal["autonomous", "collaborative", "none"]
AgentModel = Literal["opus", "sonnet"]
ExpectedOutput = Literal["assembled", "assets"]
Craft = Literal[
    "auto",
    "general",
    "cinema",
    "animation",
    "music-video",
    "ugc",
    "product-shots",
    "motion-graphics",
    "humor",
    "audio-engineering",
]

# Paging.
LIST_LIMIT_MAX: Final = 100
LIST_LIMIT_DEFAULT: Final = 20
MESSAGES_LIMIT_MAX: Final = 50
MESSAGES_LIMIT_DEFAULT: Final = 20

# Money.
MESSAGE_MIN_CREDITS: Final = 10
CREDITS_WARNING_BELOW: Final = 100
CREATE_MIN_CREDITS: Final = 30  # published: 30 to 50

# Rationing (published).
REQUESTS_PER_MINUTE: Final = 120
ACTIVE_PROJECTS_MAX: Final = 5

ASSEMBLED_URL_HOURS: Final = 24

MODE_RELEASED: Final = "none"
"""The ``mode`` that hands a project to the studio (PATCH settings only)."""

CREATION_FIELDS: Final = ("brief", "aspect_ratio", "references", "extract_content")
"""Fixed when a project is created; no call changes them."""

CREATION_DEFAULTS: Final[dict[str, str | bool | list[str]]] = {
    "aspect_ratio": "16:9",
    "references": [],
    "extract_content": True,
}
"""What the API takes for a create-only field that is not sent."""

SETTINGS: Final = (
    "title",
    "mode",
    "video_model",
    "image_model",
    "agent_model",
    "craft",
    "craft_auto",
    "webhook_url",
    "expected_output",
)
"""The fields of ``PATCH /projects/:id/settings``, in the contract's order. Its answer adds ``aspect_ratio``."""

NULLABLE_SETTINGS: Final = frozenset({"title", "webhook_url", "expected_output"})
LIST_SETTINGS: Final = ("title", "mode", "expected_output")
"""Settings that the list shows; of these the status shows ``mode`` alone. No GET shows the others."""

MESSAGE_FIELDS: Final = ("message", "references", "extract_content")


class Status(StrEnum):
    """A project's status. One never seen before stays a plain string and counts as active."""

    QUEUED = "queued"
    RUNNING = "running"
    GENERATING = "generating"
    RENDERING = "rendering"
    IDLE = "idle"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINISHED: Final = frozenset({Status.IDLE, Status.FAILED, Status.CANCELLED})
ACTIVE: Final = frozenset({Status.QUEUED, Status.RUNNING, Status.GENERATING, Status.RENDERING})
"""Statuses that take one of the account's active slots (published)."""

SETTINGS_BLOCKED: Final = frozenset({Status.RUNNING, Status.GENERATING, Status.RENDERING})
CANCELLABLE: Final = frozenset({Status.QUEUED, Status.RUNNING, Status.GENERATING, Status.IDLE})
MESSAGEABLE: Final = frozenset({Status.IDLE})

POLL_SECONDS: Final[dict[str, float]] = {
    Status.QUEUED: 5.0,
    Status.RUNNING: 30.0,
    Status.GENERATING: 30.0,
    Status.RENDERING: 30.0,
}
"""Advised poll intervals in seconds (published); any other status is polled like ``running``."""


def is_active(status: str) -> bool:
    """Whether the agent may be at work: true for every status that is not known to be a finished one."""
    return status not in FINISHED


def settings_blocked(status: str) -> bool:
    """Whether ``PATCH settings`` is refused in this status (unknown statuses count as working)."""
    return is_active(status) and status != Status.QUEUED


class ErrorCode(StrEnum):
    """Codes of the error envelope (published)."""

    VALIDATION = "validation_error"
    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not_found"
    INSUFFICIENT_CREDITS = "insufficient_credits"
    PROJECT_LIMIT = "project_limit"
    RATE_LIMITED = "rate_limited"
    INVALID_STATUS = "invalid_status"
    CONFLICT = "conflict"
    INTERNAL = "internal_error"
