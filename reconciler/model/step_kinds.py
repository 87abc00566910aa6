"""The kinds of steps, each described once: what it costs, what it does to a project, and the words for it.

How a step is encoded and executed is elsewhere; everything else that depends on its kind is here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, assert_never, get_args

from msgspec import Struct

Action = Literal[
    "create",
    "adopt",
    "import",
    "update",
    "message",
    "render",
    "share",
    "cancel",
    "replace",
    "release",
    "forget",
    "move",
]
"""The names of the kinds, in the order in which a plan's summary counts them."""
Effect = Literal["ends", "changes", "delivers", "binds"]
"""The effect on a project: it is stopped or let go, changed, rendered or shared, or bound to an address."""
Weight = Literal["costs", "ends", "changes", "delivers", "binds"]
PolicyLimit = Literal["max_creates", "max_cancels", "max_replacements", "max_messages", "max_renders"]


class Words(Struct, frozen=True):
    """``legend`` says what the symbol means. ``repeats``: a project can have several such steps in one plan, so that the
    ``noun`` is counted and not the projects.
    """

    symbol: str
    color: Literal["green", "yellow", "red", "cyan"]
    verb: str
    doing: str
    done: str
    noun: str
    legend: str
    repeats: bool = False

    def steps(self, count: int) -> str:
        """``1 create``, ``2 messages``."""
        return f"{count} {self.noun if count == 1 else self.noun + 's'}"

    def subjects(self, count: int) -> str:
        """What that many steps apply to: ``2 messages``, or only ``2`` for projects."""
        return self.steps(count) if self.repeats else str(count)


class StepKind(Struct, frozen=True):
    """What holds for every step of a kind. A new kind must answer each question: only ``in_summary`` has a default."""

    words: Words
    cost: int
    """The rank among the kinds that spend credits, the dearest highest; 0 spends none."""
    slot: bool
    """Whether it sets an agent to work and so takes one of the account's active slots."""
    calls: int
    """The API calls that it takes at least."""
    effect: Effect
    begins: Literal["project", "entry", "nothing"]
    """Whether the address gets another project (a new entry in the state), and whether that is new or exists already."""
    limit: PolicyLimit | None
    """The key of ``policy`` that limits how many such steps one apply may have."""
    in_summary: Literal["always", "if any", "never"] = "always"
    """Whether the ``summary`` of a plan's document counts it. Kinds that plans of format 1.2 did not have at first are
    counted if there are any, so that those plans are still read.
    """

    @property
    def spends_credits(self) -> bool:
        return self.cost > 0

    @property
    def weight(self) -> Weight:
        """The group in which a reviewer reads it: what costs comes first, whatever its effect."""
        return "costs" if self.spends_credits else self.effect

    @property
    def legend(self) -> str:
        """What the symbol means, with what else matters about such a step."""
        if self.spends_credits:
            return f"{self.words.legend} (spends credits)"
        return self.words.legend if self.calls else f"{self.words.legend}, no call"


def _kind(action: Action) -> StepKind:  # noqa: C901, PLR0911, PLR0912  one for each kind
    match action:
        case "create":
            words = Words("+", "green", "create", "creating", "created", noun="create", legend="create")
            return StepKind(words, cost=2, slot=True, calls=1, effect="binds", begins="project", limit="max_creates")
        case "adopt":
            legend = "adopt a studio project"
            words = Words("&", "green", "adopt", "adopting", "adopted", noun="adoption", legend=legend)
            return StepKind(words, cost=0, slot=False, calls=1, effect="binds", begins="project", limit=None)
        case "import":
            words = Words("=", "green", "import", "importing", "imported", noun="import", legend="import a project")
            return StepKind(words, cost=0, slot=False, calls=0, effect="binds", begins="entry", limit=None)
        case "update":
            legend = "update settings in place"
            words = Words("~", "yellow", "update", "updating", "updated", noun="update", legend=legend)
            return StepKind(words, cost=0, slot=False, calls=1, effect="changes", begins="nothing", limit=None)
        case "message":  # two calls: the newest message is read first
            legend = "send a message"
            words = Words(">", "cyan", "send", "sending", "sent", noun="message", legend=legend, repeats=True)
            return StepKind(words, cost=1, slot=True, calls=2, effect="changes", begins="nothing", limit="max_messages")
        case "render":  # two calls: the status is read first; what it costs depends on the quality (see plan.describe)
            words = Words("*", "cyan", "render", "rendering", "rendered", noun="render", legend="render the video")
            return StepKind(
                words,
                1,
                slot=True,
                calls=2,
                effect="delivers",
                begins="nothing",
                limit="max_renders",
                in_summary="if any",
            )
        case "share":  # two calls: the links that there are already are read first
            legend = "share: make a permanent link"
            words = Words("@", "cyan", "share", "sharing", "shared", noun="share", legend=legend)
            return StepKind(
                words, 0, slot=False, calls=2, effect="delivers", begins="nothing", limit=None, in_summary="if any"
            )
        case "cancel":
            words = Words("x", "red", "cancel", "cancelling", "cancelled", noun="cancel", legend="cancel")
            return StepKind(words, cost=0, slot=False, calls=1, effect="ends", begins="nothing", limit="max_cancels")
        case "replace":
            legend = "replace: cancel the old project, create a new one"
            words = Words("-/+", "red", "replace", "replacing", "replaced", noun="replacement", legend=legend)
            return StepKind(words, cost=3, slot=True, calls=2, effect="ends", begins="entry", limit="max_replacements")
        case "release":
            legend = "release to the studio"
            words = Words("^", "yellow", "release", "releasing", "released", noun="release", legend=legend)
            return StepKind(words, cost=0, slot=False, calls=1, effect="ends", begins="nothing", limit=None)
        case "forget":
            legend = "forget: the project stays"
            words = Words("-", "yellow", "forget", "forgetting", "forgotten", noun="removal", legend=legend)
            return StepKind(words, cost=0, slot=False, calls=0, effect="ends", begins="nothing", limit=None)
        case "move":
            legend = "move to another address"
            words = Words("->", "cyan", "move", "moving", "moved", noun="move", legend=legend)
            return StepKind(
                words, 0, slot=False, calls=0, effect="binds", begins="nothing", limit=None, in_summary="never"
            )
        case _:
            assert_never(action)


KINDS: Final[Mapping[Action, StepKind]] = MappingProxyType({action: _kind(action) for action in get_args(Action)})
"""Every kind, by its name."""
