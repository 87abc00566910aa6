"""Options of an emulated account: its speed and limits, the readings that the contract leaves open, how
strict it is, and what it does to text. The command line, the control calls and their help come from the fields here.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, get_type_hints

from msgspec import Meta, Struct, ValidationError, convert, field
from msgspec.structs import asdict

from reconciler.model import contract
from reconciler.sandbox.habits import HABITS, Cut, Habit

_WHICH: Final = ", ".join(HABITS)


class Options(Struct, frozen=True, kw_only=True):
    """Stored in the database. Of a struct that is given on opening, ``credits``, the opening balance, counts at creation
    only.
    """

    speed: Annotated[float, Meta(description="How many times faster agents work.")] = 1.0
    requests_per_minute: Annotated[int, Meta(ge=0, description="Requests in any 60 seconds; 0: no limit.")] = field(
        default_factory=lambda: contract.current().limits.requests_per_minute
    )
    active_projects: Annotated[int, Meta(ge=0, description="Projects that may be at work at once; 0: no limit.")] = (
        field(default_factory=lambda: contract.current().limits.active_projects)
    )
    creates_per_day: Annotated[
        int, Meta(ge=0, description="Projects that may be created in 24 hours; 0: no limit.")
    ] = 0
    credits: Annotated[int, Meta(ge=0, description="The balance.")] = 100_000
    create_cost: Annotated[int, Meta(ge=0, description="Credits that a project costs.")] = field(
        default_factory=lambda: contract.current().limits.create_credits
    )
    message_cost: Annotated[int, Meta(ge=0, description="Credits that a message costs.")] = field(
        default_factory=lambda: contract.current().limits.message_credits
    )
    page_max: Annotated[
        int, Meta(ge=1, description="Rows that a page has at most, whatever was asked; the answer's `limit` says so.")
    ] = field(default_factory=lambda: contract.current().limits.list_page)

    strict: Annotated[
        bool,
        Meta(
            description="Refuse what a strict server may: a body that is not sent as application/json or names a field "
            "twice, a url reference without type, a blank title, an empty PATCH."
        ),
    ] = False
    empty_patch: Annotated[Literal["accept", "reject"], Meta(description="What an empty PATCH meets.")] = "accept"
    list_order: Annotated[Literal["newest", "oldest"], Meta(description="Which projects a list begins with.")] = (
        "newest"
    )
    messages_default: Annotated[
        Literal["newest", "oldest"], Meta(description="Which page of a conversation comes without a cursor.")
    ] = "newest"
    unknown_cursor: Annotated[
        Literal["refuse", "empty"],
        Meta(
            description="What a message id that is not in the conversation meets as a cursor: an error, or no messages."
        ),
    ] = "refuse"
    brief_is_message: Annotated[bool, Meta(description="The brief opens the conversation as a user message.")] = True
    adopted_id_is_studio_id: Annotated[bool, Meta(description="An adopted project keeps its id of the studio.")] = False
    message_source: Annotated[str, Meta(description="The `source` of messages that come through the API.")] = "chat"
    rendering: Annotated[
        bool, Meta(description="An assembled output passes through `rendering` by itself, between generating and idle.")
    ] = False
    fail_briefs: Annotated[bool, Meta(description="[fail] in a brief or message makes the agent fail.")] = True
    beyond_contract: Annotated[
        bool, Meta(description="Calls beyond the contract exist: GET /account/credits, uploads.")
    ] = True
    log_requests: Annotated[bool, Meta(description="Requests are written down, for /_sandbox/requests.")] = True

    title_habits: Annotated[tuple[Habit, ...], Meta(description=f"How titles are kept; some of {_WHICH}.")] = ()
    message_habits: Annotated[
        tuple[Habit, ...], Meta(description=f"How messages (and the brief, as one) are kept; some of {_WHICH}.")
    ] = ()
    message_max: Annotated[int, Meta(ge=0, description="Characters that are kept of a message; 0: all.")] = 0
    message_line: Annotated[str, Meta(description="A line that is appended to each message.")] = ""
    list_brief: Annotated[
        Cut, Meta(description="How the list cuts a brief: plain (200), ellipsis (200 and …), dots (197 and ...).")
    ] = "plain"
    list_utf16: Annotated[
        bool, Meta(description="The list counts UTF-16 units, and may leave half a character at the end.")
    ] = False
    list_lag: Annotated[float, Meta(ge=0, description="Seconds that the list shows settings of before a PATCH.")] = 0.0
    key_seconds: Annotated[float, Meta(ge=0, description="How long idempotency keys are remembered; 0: for ever.")] = (
        0.0
    )

    def __post_init__(self) -> None:
        if not self.speed > 0:
            raise ValueError(f"speed must be greater than 0, not {self.speed}")
        for name, lowest in _lowest().items():
            if getattr(self, name) < lowest:
                raise ValueError(f"{name} must not be negative" if lowest == 0 else f"{name} must be {lowest} or more")

    def changed(self, changes: Mapping[str, Any]) -> Options:
        """These options but for some, given as JSON has them. Raises ValueError for one that is unknown or wrong."""
        for name in changes:
            if name not in HELP:
                raise ValueError(f"{name}: unknown option; valid options: {', '.join(HELP)}")
        try:
            return convert(asdict(self) | dict(changes), Options)
        except ValidationError as error:
            raise ValueError(str(error)) from None

    def stored(self) -> str:
        """As the database has them."""
        return json.dumps(asdict(self))


def restored(text: str) -> Options:
    """The options of a database; one that another version stored besides is passed over, one that it lacks is usual."""
    return convert(json.loads(text), Options)


def _described() -> dict[str, Meta]:
    hints = get_type_hints(Options, include_extras=True)
    return {name: hints[name].__metadata__[0] for name in Options.__struct_fields__}


HELP: Final = {name: meta.description or "" for name, meta in _described().items()}
"""What each option means, in a sentence."""


@functools.cache
def _lowest() -> dict[str, float]:
    return {name: meta.ge for name, meta in _described().items() if meta.ge is not None}
