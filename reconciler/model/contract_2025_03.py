"""The Eversince projects API of March 2025, the first one.

Source: the vendor's page of the projects API, unless a comment says "published": the vendor states that elsewhere.
"""

from __future__ import annotations

from typing import Final

from reconciler.model.contract_tables import Answer, ApiLimits, Call, Contract, Field, Status, StatusRule

_SETTING: Final[frozenset[Call]] = frozenset({"create", "settings"})
_CREATE: Final[frozenset[Call]] = frozenset({"create"})
_WITH_TEXT: Final[frozenset[Call]] = frozenset({"create", "message"})
_MESSAGE: Final[frozenset[Call]] = frozenset({"message"})
_RENDER: Final[frozenset[Call]] = frozenset({"render"})
_SHARE: Final[frozenset[Call]] = frozenset({"share"})
_RENDERS: Final = {"1080p": 0, "4k": 10}
_PATCHED: Final[frozenset[Answer]] = frozenset({"settings"})
_LISTED: Final[frozenset[Answer]] = frozenset({"list", "settings"})

V2025_03: Final = Contract(
    version="2025-03",
    fields=(
        Field(
            name="brief",
            calls=_CREATE,
            required=True,
            secret=True,
            max_length=10_000,
            block=True,
            help="Creative direction for the agent.",
        ),
        Field(
            name="title",
            calls=_SETTING,
            shown_in=_LISTED,
            nullable=True,
            secret=True,
            max_length=30,
            blank=True,
            default=None,
            help="Project title.",
            help_null="null clears it.",
            examples=("Summer teaser",),
        ),
        Field(
            name="mode",
            kind="choice",
            calls=frozenset({"create", "adopt", "settings"}),
            shown_in=frozenset({"list", "status", "settings"}),
            values=("autonomous", "collaborative"),
            values_after_creation=("none",),
            default="autonomous",
            help="autonomous, collaborative, or none (hand project to studio).",
        ),
        Field(
            name="aspect_ratio",
            kind="choice",
            calls=_CREATE,
            shown_in=_PATCHED,
            values=("16:9", "9:16", "1:1", "21:9"),
            default="16:9",
            help="16:9 is the API's default.",
        ),
        Field(
            name="video_model",
            calls=_SETTING,
            shown_in=_PATCHED,
            secret=True,
            default=None,
            help="Default video model ID. Agent selects if not set.",
            examples=("kling-3.0",),
        ),
        Field(
            name="image_model",
            calls=_SETTING,
            shown_in=_PATCHED,
            secret=True,
            default=None,
            help="Default image model ID. Agent selects if not set.",
            examples=("nano-banana-pro",),
        ),
        Field(
            name="agent_model",
            kind="choice",
            calls=_SETTING,
            shown_in=_PATCHED,
            values=("opus", "sonnet"),
            default="opus",
            help="opus (the API's default) or sonnet.",
        ),
        Field(
            name="craft",
            kind="choice",
            calls=_SETTING,
            shown_in=_PATCHED,
            values=(
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
            ),
            default="auto",
            help="Craft; auto is the API's default.",
        ),
        Field(
            name="craft_auto",
            kind="flag",
            calls=_SETTING,
            shown_in=_PATCHED,
            true_if=("craft", "auto"),
            help="Let the agent auto-select crafts. By default true when craft is auto, false otherwise.",
        ),
        Field(
            name="webhook_url",
            kind="https_url",
            calls=_SETTING,
            shown_in=_PATCHED,
            nullable=True,
            secret=True,
            default=None,
            help="HTTPS URL for status change notifications.",
            help_null="null removes it.",
        ),
        Field(
            name="expected_output",
            kind="choice",
            calls=_SETTING,
            shown_in=_LISTED,
            nullable=True,
            null_detects=True,
            values=("assembled", "assets"),
            default=None,
            help="assembled (rendered video) or assets (standalone assets, no render).",
            help_null="null: detected from the brief.",
        ),
        Field(
            name="message",
            calls=_MESSAGE,
            required=True,
            secret=True,
            max_length=10_000,
            block=True,
            help="Feedback or direction.",
        ),
        Field(name="references", kind="references", calls=_WITH_TEXT, default=[], help="Reference media."),
        Field(
            name="extract_content",
            kind="flag",
            calls=_WITH_TEXT,
            default=True,
            help="Extract content from reference URLs. The API's default is true.",
        ),
        Field(name="idempotency_key", calls=_CREATE, declared=False, max_length=256),
        Field(name="project_id", calls=frozenset({"adopt"}), required=True, declared=False),
    ),
    statuses={
        Status.QUEUED: StatusRule(calls=frozenset({"settings", "cancel"}), poll_seconds=5.0),
        Status.RUNNING: StatusRule(calls=frozenset({"cancel"})),
        Status.GENERATING: StatusRule(calls=frozenset({"cancel"})),
        Status.RENDERING: StatusRule(),
        Status.IDLE: StatusRule(active=False, calls=frozenset({"settings", "cancel", "message", "render", "share"})),
        Status.FAILED: StatusRule(active=False, calls=frozenset({"settings"})),
        Status.CANCELLED: StatusRule(active=False, calls=frozenset({"settings"})),
    },
    unknown_status=StatusRule(),
    limits=ApiLimits(
        body_bytes=1_000_000,
        list_brief=200,
        list_page=100,
        list_page_default=20,
        messages_page=50,
        messages_page_default=20,
        references=10,
        url_references=3,
        upload_bytes={"image": 10_000_000, "video": 500_000_000, "audio": 50_000_000},
        upload_seconds=3600,
        video_hours=24,
        create_credits=30,  # published: 30 to 50
        message_credits=10,
        low_credits=100,
        requests_per_minute=120,
        active_projects=5,
        renders_per_day=50,
    ),
    mode_when_adopted="collaborative",
    renders=_RENDERS,
    shares=True,
    beyond=(
        Field(name="quality", kind="choice", calls=_RENDER, required=True, declared=False, values=tuple(_RENDERS)),
        Field(name="title", calls=_SHARE, declared=False),
        Field(name="description", calls=_SHARE, declared=False),
    ),
    uploads={
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
    },
)
