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

    speed: Annotated[float, Meta(description="Speed-up of the agents' work.")] = 1.0
    requests_per_minute: Annotated[int, Meta(ge=0, description="Limit of requests in any 60 seconds; 0 for none.")] = (
        field(default_factory=lambda: contract.current().limits.requests_per_minute)
    )
    active_projects: Annotated[int, Meta(ge=0, description="Limit of projects at work at once; 0 for none.")] = field(
        default_factory=lambda: contract.current().limits.active_projects
    )
    creates_per_day: Annotated[int, Meta(ge=0, description="Limit of projects created in 24 hours; 0 for none.")] = 0
    renders_per_day: Annotated[int, Meta(ge=0, description="Limit of renders in 24 hours; 0 for none.")] = field(
        default_factory=lambda: contract.current().limits.renders_per_day
    )
    credits: Annotated[int, Meta(ge=0, description="Credit balance.")] = 100_000
    create_cost: Annotated[int, Meta(ge=0, description="Price of a project in credits.")] = field(
        default_factory=lambda: contract.current().limits.create_credits
    )
    message_cost: Annotated[int, Meta(ge=0, description="Price of a message in credits.")] = field(
        default_factory=lambda: contract.current().limits.message_credits
    )
    page_max: Annotated[int, Meta(ge=1, description="Largest page of a list, whatever a request asks for.")] = field(
        default_factory=lambda: contract.current().limits.list_page
    )

    strict: Annotated[
        bool,
        Meta(
            description="Refuse what a strict server may refuse: bodies that are not application/json or name a field "
            "twice, URL references without a type, blank titles, empty PATCHes."
        ),
    ] = False
    empty_patch: Annotated[Literal["accept", "reject"], Meta(description="Accept or reject an empty PATCH.")] = "accept"
    list_order: Annotated[
        Literal["newest", "oldest"], Meta(description="Order of project lists: newest or oldest first.")
    ] = "newest"
    messages_default: Annotated[
        Literal["newest", "oldest"], Meta(description="Page of a conversation to return without a cursor.")
    ] = "newest"
    unknown_cursor: Annotated[
        Literal["refuse", "empty"],
        Meta(description="Answer to a cursor that is not in the conversation: an error, or no messages."),
    ] = "refuse"
    brief_is_message: Annotated[bool, Meta(description="Start the conversation with the brief, as a user message.")] = (
        True
    )
    adopted_id_is_studio_id: Annotated[bool, Meta(description="Keep the studio ID of an adopted project.")] = False
    message_source: Annotated[str, Meta(description="Value of `source` for messages sent through the API.")] = "chat"
    rendering: Annotated[
        bool,
        Meta(description="Let assembled outputs pass through the status `rendering`, between generating and idle."),
    ] = False
    fail_briefs: Annotated[bool, Meta(description="Make the agent fail on [fail] in a brief or message.")] = True
    beyond_contract: Annotated[
        bool, Meta(description="Offer calls beyond the contract: credits, uploads, renders, permanent links, look-ups.")
    ] = True
    log_requests: Annotated[bool, Meta(description="Log requests for /_sandbox/requests.")] = True

    title_habits: Annotated[
        tuple[Habit, ...], Meta(description=f"Changes that the server makes to titles: {_WHICH}.")
    ] = ()
    message_habits: Annotated[
        tuple[Habit, ...], Meta(description=f"Changes that the server makes to messages and briefs: {_WHICH}.")
    ] = ()
    message_max: Annotated[int, Meta(ge=0, description="Characters to keep of a message; 0 for all.")] = 0
    message_line: Annotated[str, Meta(description="Line to append to each message.")] = ""
    list_brief: Annotated[
        Cut, Meta(description="How lists cut briefs: plain (200), ellipsis (200 and …) or dots (197 and ...).")
    ] = "plain"
    list_utf16: Annotated[
        bool, Meta(description="Count UTF-16 units when cutting, which can leave half a character at the end.")
    ] = False
    list_lag: Annotated[
        float, Meta(ge=0, description="Seconds for which lists show the settings from before a PATCH.")
    ] = 0.0
    key_seconds: Annotated[float, Meta(ge=0, description="Seconds to remember idempotency keys for; 0 for always.")] = (
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
