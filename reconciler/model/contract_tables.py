"""Descriptions of an API: its fields, limits and statuses, as values that everything else derives from.

A version of the API is one :class:`Contract` in a module of its own (``contract_2025_03``); a later one is the version
before it with what differs (:func:`later`). Request bodies, spec models, JSON Schema, answers, the sandbox's checks and
columns, redaction and help text are made from it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal, get_args

from msgspec import UNSET, Struct, UnsetType, field
from msgspec.structs import replace

from reconciler.model.values import Json

Call = Literal["create", "adopt", "settings", "cancel", "message", "render", "share"]
"""The calls that change a project; ``settings`` is ``PATCH /projects/:id/settings``."""
Answer = Literal["list", "status", "settings"]
"""The answers that show fields: the list, a project's status, and the answer to a PATCH."""
Kind = Literal["text", "choice", "set", "flag", "https_url", "references"]
"""Types of values. ``text`` is a string, ``choice`` one of a field's ``values``, ``set`` a list of different ones in any
order (or of UUIDs), ``flag`` true or false.
"""
ReferenceType = Literal["image", "video", "audio", "url"]
UploadType = Literal["image", "video", "audio"]


def _refuse_repetition(names: Iterable[str], what: str) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"{what} `{twice[0]}` twice")


class Field(Struct, frozen=True, kw_only=True, eq=False):
    """One field of the API's requests."""

    name: str
    kind: Kind = "text"
    calls: frozenset[Call]
    """The calls whose body may have it."""
    required: bool = False
    """Whether those calls fail without it."""
    declared: bool = True
    """Whether specs can set it; the others are the program's own."""
    shown_in: frozenset[Answer] = frozenset()
    nullable: bool = False
    """Whether a PATCH may set it to null."""
    null_detects: bool = False
    """Whether null leaves the value to the API, which may show what it found."""
    secret: bool = False
    """Whether specs may fill it from the environment (``${env.NAME}``): it is sealed wherever it is stored."""
    values: tuple[str, ...] = ()
    """Allowed values of a choice; of a set, besides UUIDs."""
    values_after_creation: tuple[str, ...] = ()
    """Allowed values that only a PATCH takes."""
    max_length: int | None = None
    """Characters."""
    blank: bool = False
    """Whether a text may consist of white space."""
    block: bool = False
    """Whether it is a text of many lines, whose last line break does not count."""
    default: Json | UnsetType = UNSET
    """What the API takes if it is not sent; unset if it depends."""
    true_if: tuple[str, str] | None = None
    """The field and its value that make a flag true by default."""
    help: str = ""
    """One or two sentences for schema, help and manual, without limits and null."""
    help_null: str = ""
    """What null does, in one sentence."""
    examples: tuple[Json, ...] = ()

    def __post_init__(self) -> None:
        """Check that no value is listed twice. Raises ValueError."""
        _refuse_repetition(self.allowed("settings"), f"the field `{self.name}` lists the value")

    @property
    def changeable(self) -> bool:
        """Whether a PATCH can change it."""
        return "settings" in self.calls

    @property
    def create_only(self) -> bool:
        """Whether it is fixed when a project is created."""
        return "create" in self.calls and not self.changeable

    @property
    def description(self) -> str:
        """The help with its limit and what null does."""
        limit = "" if self.max_length is None else f"Max {self.max_length:,} characters."
        return " ".join(filter(None, (self.help, limit, self.help_null)))

    def canonical(self, value: Json) -> Json:
        """The value in the one form in which it is compared, sent and shown: a set sorted, each item once."""
        if self.kind != "set":
            return value
        if value is None:
            return []
        return sorted({item.lower() for item in value}) if isinstance(value, list | tuple) else value

    def allowed(self, call: Call) -> tuple[str, ...]:
        """The values that a choice may have in a call."""
        return self.values + (self.values_after_creation if call == "settings" else ())


class StatusRule(Struct, frozen=True, kw_only=True, eq=False):
    """What holds while a project has a status."""

    active: bool = True
    """Whether the agent may be at work, and one of the account's active slots is taken (published)."""
    calls: frozenset[Call] = frozenset()
    """The calls that are allowed."""
    poll_seconds: float = 30.0
    """Seconds between two looks, as the vendor advises (published)."""


class Status(StrEnum):
    """A project's status. One never seen before stays a plain string and counts as active."""

    QUEUED = "queued"
    RUNNING = "running"
    GENERATING = "generating"
    RENDERING = "rendering"
    IDLE = "idle"
    FAILED = "failed"
    CANCELLED = "cancelled"


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


class ApiLimits(Struct, frozen=True, kw_only=True, eq=False):
    """Counts and sizes that no single field has."""

    body_bytes: int
    """Bytes of a request's body (published)."""
    list_brief: int
    """Characters that the list shows of a brief."""
    list_page: int
    list_page_default: int
    messages_page: int
    messages_page_default: int
    references: int
    """References of one request."""
    url_references: int
    """References by ``url`` of one request, whatever their type: that is allowed under each reading."""
    upload_bytes: Mapping[UploadType, int]
    """Bytes of an uploaded file. The vendor says MB; the smaller reading is allowed under either (published)."""
    upload_seconds: int
    """How long an upload's address works (published)."""
    video_hours: int
    """How long the address of a rendered video works."""
    create_credits: int
    """Credits that a create needs (published)."""
    message_credits: int
    """Credits that a message needs."""
    low_credits: int
    """The API warns of a balance below this."""
    requests_per_minute: int
    """(published)"""
    active_projects: int
    """(published)"""
    renders_per_day: int = 0
    """Renders in 24 hours (published); 0: the vendor names no limit."""


class Conversion(Struct, frozen=True, kw_only=True, eq=False):
    """How a version says what earlier ones said in another way."""

    name: str
    """A setting of earlier versions."""
    to: str | None = None
    """The setting that says it now; none if nothing does."""
    values: Mapping[str, Json] = field(default_factory=dict)
    """The values that can be said now, as they are said. Any other can't."""

    def inverse(self, value: Json) -> str | None:
        """What earlier versions say for a value, if they can say it."""
        return next((old for old, new in self.values.items() if new == value), None)


class Contract(Struct, frozen=True, kw_only=True, dict=True, eq=False):
    """One version of the API."""

    version: str
    fields: tuple[Field, ...]
    """Every field of the requests, in the order in which settings are shown and sent."""
    statuses: Mapping[Status, StatusRule]
    unknown_status: StatusRule
    """What holds for a status that ``statuses`` lacks."""
    limits: ApiLimits
    mode_when_adopted: str
    """The mode of an adopted project if none is sent."""
    uploads: Mapping[str, tuple[UploadType, str]]
    """Files that can be uploaded, by the end of their name: their kind and content type (published)."""
    source_header: str | None = None
    """The header in which an integration says its name, if there is one."""
    conversions: tuple[Conversion, ...] = ()
    """What earlier versions said in another way: for the settings whose names or values are not these."""
    renders: Mapping[str, int] = {}
    """The credits that a render costs, by quality; empty where the API has no such call (published)."""
    shares: bool = False
    """Whether the API gives permanent links (published)."""
    own_skills: bool = False
    """Whether the API lists an account's own skills (published)."""
    beyond: tuple[Field, ...] = ()
    """The fields of the requests for renders and links (published)."""

    def __post_init__(self) -> None:
        """Check that no field is declared twice. Raises ValueError."""
        _refuse_repetition((each.name for each in self.fields), f"the contract {self.version} declares the field")

    @cached_property
    def _by_name(self) -> dict[str, Field]:
        return {field.name: field for field in self.fields}

    def field(self, name: str) -> Field:
        """The field of this name. Raises KeyError."""
        return self._by_name[name]

    def has(self, name: str) -> bool:
        """Whether it has a field of this name."""
        return name in self._by_name

    def fields_of(self, call: Call) -> tuple[Field, ...]:
        """The fields that a call's body may have."""
        return self._fields_of[call]

    @cached_property
    def _fields_of(self) -> dict[Call, tuple[Field, ...]]:
        fields = (*self.fields, *self.beyond)
        return {call: tuple(field for field in fields if call in field.calls) for call in get_args(Call)}

    @cached_property
    def creation(self) -> tuple[Field, ...]:
        """The fields of specs that are fixed when a project is created."""
        return tuple(field for field in self.fields if field.declared and field.create_only)

    @cached_property
    def creation_fields(self) -> tuple[str, ...]:
        """The names of ``creation``."""
        return tuple(field.name for field in self.creation)

    @cached_property
    def creation_defaults(self) -> dict[str, Json]:
        """What the API takes for the fields of ``creation`` that are not sent."""
        return {field.name: field.default for field in self.creation if field.default is not UNSET}

    @cached_property
    def settings(self) -> tuple[str, ...]:
        """The names of the fields that a PATCH changes."""
        return tuple(field.name for field in self.fields_of("settings"))

    @cached_property
    def settings_by_name(self) -> dict[str, Field]:
        """The fields that a PATCH changes."""
        return {field.name: field for field in self.fields_of("settings")}

    @cached_property
    def nullable_settings(self) -> frozenset[str]:
        """The settings that a PATCH can set to null."""
        return frozenset(field.name for field in self.fields_of("settings") if field.nullable)

    @cached_property
    def message_fields(self) -> tuple[str, ...]:
        """The names of a message's fields."""
        return tuple(field.name for field in self.fields_of("message"))

    @cached_property
    def message_defaults(self) -> dict[str, Json]:
        """What the API takes for the fields of a message that are not sent."""
        return {field.name: field.default for field in self.fields_of("message") if field.default is not UNSET}

    def shown_in(self, answer: Answer) -> tuple[str, ...]:
        """The names of the fields that an answer shows as a project's settings."""
        return self._shown[answer]

    @cached_property
    def _shown(self) -> dict[Answer, tuple[str, ...]]:
        answers: tuple[Answer, ...] = ("list", "status", "settings")
        return {answer: tuple(field.name for field in self.fields if answer in field.shown_in) for answer in answers}

    @cached_property
    def choices(self) -> frozenset[str]:
        """Every value that any choice can have."""
        return frozenset(value for field in self.fields for value in field.allowed("settings"))

    def max_length(self, name: str) -> int:
        """Characters that a field may have. Raises KeyError."""
        limit = self._by_name[name].max_length
        if limit is None:
            raise KeyError(name)
        return limit

    def rule(self, status: str) -> StatusRule:
        """What holds in a status."""
        return self._rules.get(status, self.unknown_status)

    @cached_property
    def _rules(self) -> dict[str, StatusRule]:
        return {str(status): rule for status, rule in self.statuses.items()}

    def is_active(self, status: str) -> bool:
        """Whether the agent may be at work: true for every status that is not known to be a finished one."""
        return self.rule(status).active

    def allows(self, call: Call, status: str) -> bool:
        """Whether a call is allowed in this status. An unknown status allows none."""
        return call in self.rule(status).calls

    @cached_property
    def active_statuses(self) -> frozenset[Status]:
        """The statuses that take one of the account's active slots."""
        return frozenset(status for status, rule in self.statuses.items() if rule.active)

    @cached_property
    def resumable(self) -> tuple[Status, ...]:
        """The statuses of a project that is over and that a message sets to work again."""
        over = (Status.FAILED, Status.CANCELLED)
        return tuple(status for status in over if self.allows("message", status))


def later(
    before: Contract, *, version: str, fields: Mapping[str, tuple[Field, ...]], limits: Mapping[str, int], **other: Any
) -> Contract:
    """The version after another: what stands in the places of some of its ``fields``, other ``limits``, other members."""
    for name in fields:
        before.field(name)
    placed = (fields.get(field.name, (field,)) for field in before.fields)
    return replace(
        before,
        version=version,
        fields=tuple(field for several in placed for field in several),
        limits=replace(before.limits, **limits),
        **other,
    )
