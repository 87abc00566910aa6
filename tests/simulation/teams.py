"""What a team of people wants: its projects, and what they may cost."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct, field

from reconciler.model.desired import Deliver, Lifecycle
from reconciler.model.errors import Diagnostic

ENDS: Final = ("cancelled", "failed")


class Thing(Struct):
    """A project that people want: its names (the last one is the address), its messages, and what it may cost."""

    names: list[str]
    brief: str
    settings: dict[str, Any]
    words: list[str] = field(default_factory=list)
    rights: int = 1
    """How many projects may be bought for it at most."""
    lifecycle: Lifecycle = Lifecycle()
    moving: bool = False
    """Whether the state may still have it under the name before."""
    disputed: bool = False
    """Whether a finding says that its key made another project: people follow that before they rename it."""
    removed: bool = False
    let_go: bool = False
    """Whether an apply has cancelled it, or left it to people."""
    destroyed: bool = False
    """Whether a `destroy` or a replacement may have cancelled it, and was cut short before it went on."""
    counted: int = 0
    """How often that may come about, and is among its rights already."""
    cancelled: bool = False
    after: str | None = None
    refers: bool = False
    """Whether it is made with the video of that one."""
    secret: bool = False
    deliver: Deliver = Deliver()
    picture: str | None = None
    """A file of the workspace that it is made with."""
    shown: dict[str, str] = field(default_factory=dict)
    """A file of the workspace that goes with a message, by its words."""
    studio_id: str | None = None
    """It is adopted from the studio."""
    project_id: str | None = None
    """It is imported: a person made it."""

    def is_over(self, others: list[Thing]) -> bool:
        """Whether it, or what it waits for, is to be cancelled or fails."""
        before = self._before(others)
        return self.cancelled or "[fail]" in self.brief or (before is not None and before.is_over(others))

    def _before(self, others: list[Thing]) -> Thing | None:
        return next((other for other in others if other.address == self.after), None)

    def waits_for(self, others: list[Thing]) -> set[str]:
        """The addresses of itself and of all that must be done before it."""
        before = self._before(others)
        return {self.address} | (before.waits_for(others) if before is not None else set())

    def learn(self, action: str, outcome: str, error: Diagnostic | None) -> None:
        """Take in what became of a step."""
        if outcome == "done":
            self.moving = False
            self.disputed = False
            if action in ("cancel", "forget", "release"):
                self.let_go = True
                if self.counted:
                    self.counted -= 1
                elif not self.removed:
                    self.rights += 1  # by a run that had waited with older specs: what it let go is wanted again
            elif self.removed and self.let_go and action == "create":
                self.rights += 1  # by a run that had waited with older specs, in which it was still wanted
        elif error is not None and error.kind == "identity":
            self.disputed = True

    @property
    def address(self) -> str:
        return self.names[-1]


class Team(Struct):
    """A workspace, or one of its environments, and its people."""

    name: str
    workspace: str
    identity: str
    environment: str | None = None
    suffix: str = ""
    """What tells environments of one workspace apart in what its specs name."""
    account: int = 0
    """The number of its account."""
    things: list[Thing] = field(default_factory=list)
    copies: list[dict[str, bytes]] = field(default_factory=list)
    claimed: str | None = None
    """The pull request that changed something last, until a claim is released."""
    lost: bool = False
    """Whether its state was lost or replaced, so that findings may be left for people."""
    findable: bool = True
    """Whether a lost state can be found again: nothing was renamed, removed or rewritten."""

    def wanted(self) -> list[Thing]:
        return [thing for thing in self.things if not thing.removed]

    def renames(self, thing: Thing, name: str) -> None:
        """In the specs, with what waits for it."""
        for other in self.things:
            if other.after == thing.address:
                other.after = name
        thing.names.append(name)
        self.findable = False
