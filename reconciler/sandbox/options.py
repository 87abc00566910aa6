"""What can be chosen about an emulated account: its speed, its limits, and the readings that the contract leaves open."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from reconciler.model import contract


class Options(Struct, frozen=True, kw_only=True):
    """Stored in the database when it is created; given again on opening, they replace the stored ones (but ``credits``,
    the opening balance, counts at creation only).
    """

    speed: float = 1.0
    """How many times faster than the nominal schedule agents work; greater than 0."""
    requests_per_minute: int = contract.REQUESTS_PER_MINUTE
    """Requests in any 60 seconds over all keys and processes; 0: unlimited, and no rate headers."""
    active_projects: int = contract.ACTIVE_PROJECTS_MAX
    """Projects that may be at work at once; 0: unlimited."""
    credits: int = 100_000
    create_cost: int = contract.CREATE_MIN_CREDITS
    message_cost: int = contract.MESSAGE_MIN_CREDITS
    log_requests: bool = True

    list_order: Literal["newest", "oldest"] = "newest"
    messages_default: Literal["newest", "oldest"] = "newest"
    """Which page of a conversation comes without a cursor."""
    brief_is_message: bool = True
    """Whether the brief opens the conversation as a user message."""
    adopted_id_is_studio_id: bool = False
    message_source: str = "chat"
    """The ``source`` of messages that come through the API."""
    empty_patch: Literal["accept", "reject"] = "accept"
    rendering: bool = True
    """Whether an assembled output passes through ``rendering``."""
    fail_briefs: bool = True
    """Whether a brief or message with ``[fail]`` in it makes the agent fail."""
    beyond_contract: bool = True
    """Whether calls that the vendor offers beyond the contract exist: ``GET /account/credits``, uploads."""

    def __post_init__(self) -> None:
        if not self.speed > 0:
            raise ValueError(f"speed must be greater than 0, not {self.speed}")
        for name in ("requests_per_minute", "active_projects", "credits", "create_cost", "message_cost"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")
