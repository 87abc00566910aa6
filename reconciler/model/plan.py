"""Plans as data: steps, findings and what they were computed from. The executor and the reports read them.

What depends on a step's kind is described once (``step_kinds``) or matched on :data:`Step` with ``assert_never``: a new
kind of step breaks type checking, not production (after sqlmesh's plan stages).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar, Final, Literal, assert_never

from msgspec import Meta, Struct, field
from msgspec.structs import replace

from reconciler.model import contract
from reconciler.model.claim import PlanClaim
from reconciler.model.desired import Address, DesiredMessage, Filled, Lifecycle
from reconciler.model.errors import Diagnostic
from reconciler.model.identity import key_name
from reconciler.model.live import Source
from reconciler.model.policy import PolicyReport, policy_diagnostics
from reconciler.model.references import projects_in
from reconciler.model.step_kinds import KINDS, StepKind
from reconciler.model.values import Json, Value

FORMAT_VERSION: Final = "1.2"

Count = Annotated[int, Meta(ge=0)]


class Change(Struct, frozen=True, kw_only=True):
    """The change of a field, with masked values. ``forces`` says why it can't be made in place."""

    path: str
    before: Json
    after: Json
    before_source: Source
    sensitive: bool = False
    drift: bool = False
    forces: str | None = None


class _Step(Struct, frozen=True, kw_only=True, tag_field="action", tag=str.lower):
    """A step of a plan file is read as the kind that its ``action`` names, which is the name of the class."""

    address: Address
    project_id: Filled | None = None
    reason: str
    waits_for: str | None = None
    changes: tuple[Change, ...] = ()
    after: tuple[Address, ...] = ()
    """Addresses whose steps must be done and whose agents must have finished before this step starts."""

    @property
    def ready(self) -> bool:
        return self.waits_for is None


class Create(_Step, frozen=True, kw_only=True):
    """``body`` is the request without its ``idempotency_key``, which is ``key``."""

    action: ClassVar[Literal["create"]] = "create"
    body: Mapping[str, Value]
    generation: Count
    key: str


class Replace(_Step, frozen=True, kw_only=True):
    """Cancel the old project, whose id is ``project_id``, where its status allows; then create a new one."""

    action: ClassVar[Literal["replace"]] = "replace"
    body: Mapping[str, Value]
    generation: Count
    key: str


class Adopt(_Step, frozen=True, kw_only=True):
    action: ClassVar[Literal["adopt"]] = "adopt"
    body: Mapping[str, Value]


class Import(_Step, frozen=True, kw_only=True):
    """Bind an existing project; no call. ``studio_id`` is the id it was adopted from, if the account shows it."""

    action: ClassVar[Literal["import"]] = "import"
    studio_id: Filled | None = None


class Update(_Step, frozen=True, kw_only=True):
    """``body`` has only the changed settings."""

    action: ClassVar[Literal["update"]] = "update"
    body: Mapping[str, Value]


class Message(_Step, frozen=True, kw_only=True):
    """``resumes`` is the status of a project that is over and that the message sets to work again, as its spec says."""

    action: ClassVar[Literal["message"]] = "message"
    message: DesiredMessage
    resumes: Literal["failed", "cancelled"] | None = None


class Render(_Step, frozen=True, kw_only=True):
    """Render the video of what the agent has made, in the quality that ``body`` names."""

    action: ClassVar[Literal["render"]] = "render"
    body: Mapping[str, Value]


class Share(_Step, frozen=True, kw_only=True):
    """Make a permanent link to the rendered video. ``body`` may have a title and a description."""

    action: ClassVar[Literal["share"]] = "share"
    body: Mapping[str, Value]


class Cancel(_Step, frozen=True, kw_only=True):
    action: ClassVar[Literal["cancel"]] = "cancel"


class Release(_Step, frozen=True, kw_only=True):
    """Release the project to the studio (``mode: none``)."""

    action: ClassVar[Literal["release"]] = "release"


class Forget(_Step, frozen=True, kw_only=True):
    """Remove the address from the state; no call."""

    action: ClassVar[Literal["forget"]] = "forget"


class Move(_Step, frozen=True, kw_only=True):
    """Rename in the state; no call."""

    action: ClassVar[Literal["move"]] = "move"
    from_address: Address


Step = Create | Replace | Adopt | Import | Update | Message | Render | Share | Cancel | Release | Forget | Move


def describe(step: Step) -> StepKind:
    """What holds for a step: for every one of its kind, and for a render what its quality costs."""
    kind = KINDS[step.action]
    free = isinstance(step, Render) and not contract.current().renders.get(str(step.body["quality"]), 1)
    return replace(kind, cost=0) if free else kind


def least_credits(steps: Iterable[Step]) -> int:
    """The credits that steps need at least, by the minimums that the vendor publishes. Most cost more."""
    limits, renders = contract.current().limits, contract.current().renders
    needed = 0
    for step in steps:
        match step:
            case Create() | Replace():
                needed += limits.create_credits
            case Message():
                needed += limits.message_credits
            case Render():
                needed += renders.get(str(step.body["quality"]), 0)
            case _:  # for nothing else is a minimum published
                pass
    return needed


def change_path(name: str) -> str:
    """The path of a body's field in the changes of its step."""
    return name if name in contract.current().creation_fields else f"settings.{name}"


def sent_body(step: Step) -> Mapping[str, Value]:
    """The body of the request that a step sends, without what follows from its kind; empty where it needs none."""
    match step:
        case Create() | Replace() | Adopt() | Update() | Render() | Share():
            return step.body
        case Message():
            return step.message.body
        case Import() | Cancel() | Release() | Forget() | Move():
            return {}
        case _:
            assert_never(step)


class Basis(Struct, frozen=True, kw_only=True):
    """What the steps of an address were computed from; apply refuses them if this changed.

    ``entry`` is a digest of the state's entry (``None``: there was none); ``status`` the live status' class;
    ``observed`` the live values of the fields that the steps change; ``former`` the earlier names of an address without an
    entry, under which the state had nothing either.
    """

    entry: str | None = None
    status: Literal["absent", "active", "idle", "failed", "cancelled", "unread"] = "unread"
    observed: Mapping[str, Json] = field(default_factory=dict)
    former: tuple[Address, ...] = ()


class FileUpload(Struct, frozen=True):
    """A file of the workspace that steps use and the account does not have; ``digest`` is its SHA-256."""

    file: Filled
    digest: Filled


class Declared(Struct, frozen=True, kw_only=True):
    """Where a project is declared, with its tags: what the specs say, and nothing that is sent."""

    file: str
    line: Count
    tags: tuple[str, ...] = ()


class Plan(Struct, frozen=True, kw_only=True):
    """Everything that an apply will do. The steps of an address are in the order in which they run.

    ``id`` is unique. ``lifecycles`` go into the state with the apply. ``unchanged`` counts addresses without steps.
    ``requests_used`` are the calls that planning made, ``requests_needed`` those that apply needs at least;
    ``requests_told`` is the number of a plan file whose writer counts differently.
    """

    id: Filled
    reconciler_version: str
    workspace: str
    environment: str | None = None
    api_url: str
    api_version: str = contract.DEFAULT_VERSION
    created_at: str
    lineage: str
    serial: Count
    steps: tuple[Step, ...] = ()
    basis: Mapping[str, Basis] = field(default_factory=dict)
    lifecycles: Mapping[str, Lifecycle] = field(default_factory=dict)
    diagnostics: tuple[Diagnostic, ...] = ()
    unchanged: Count = 0
    managed: Count = 0
    uploads: tuple[FileUpload, ...] = ()
    families: tuple[Address, ...] = ()
    """The base names of ``for_each`` projects of which at least one keeps its key."""
    left_out: tuple[Address, ...] = ()
    """Addresses that a plan of a new or lost state has nothing for: the account may have their projects."""
    downloads: Mapping[Address, Filled] = field(default_factory=dict)
    """Folders into which the videos of addresses are downloaded once their steps are done, relative to the workspace."""
    declared: Mapping[Address, Declared] = field(default_factory=dict)
    """Where the projects of the steps are declared; those that left the specs are not."""
    claim: PlanClaim | None = None
    """The claim of a pull request that stood when it was made."""
    policy: PolicyReport | None = None
    """What the policy says of it, if one was given. No part of the document: it is evaluated wherever it counts."""
    requests_used: Count = 0
    requests_told: Count | None = None
    destroy: bool = False
    refresh_only: bool = False
    credit_balance: int | None = None
    """Credits left, if the API told."""
    credits_needed: Count = 0
    """Credits that the steps need at least, where ``credit_balance`` is known."""

    @property
    def summary(self) -> dict[str, int]:
        """How many steps each kind has, how many addresses are unchanged and how many need attention."""
        steps = Counter(step.action for step in self.steps)
        counts: dict[str, int] = {
            action: steps[action]
            for action, kind in KINDS.items()
            if kind.in_summary == "always" or (kind.in_summary == "if any" and steps[action])
        }
        attention = {d.address or d.summary for d in self.diagnostics if d.attention}
        return {**counts, "unchanged": self.unchanged, "attention": len(attention)}

    @property
    def requests_needed(self) -> int:
        """The least number of calls that apply makes; waiting and resolving unknown outcomes need more.

        A reference to a project takes one call, to read the URL of its video; an upload takes two.
        """
        if self.requests_told is not None:
            return self.requests_told
        calls = sum(describe(step).calls + len({*projects_in(sent_body(step))}) for step in self.steps)
        return calls + 2 * len(self.uploads)

    def with_policy_findings(self) -> Plan:
        """As people see it: with what its policy found among its diagnostics."""
        if self.policy is None or not self.policy.findings:
            return self
        return replace(self, diagnostics=(*self.diagnostics, *policy_diagnostics(self.policy)))

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self.diagnostics if d.severity == "error")

    @property
    def lost(self) -> Diagnostic | None:
        """That the state may have been lost, so that the plan's costs are an upper bound."""
        return next((d for d in self.diagnostics if d.kind == "lost-state"), None)

    @property
    def unsettled(self) -> tuple[Diagnostic, ...]:
        """Addresses that may have a live project already, so that nothing is planned for them."""
        return tuple(d for d in self.diagnostics if d.kind == "identity")

    @property
    def undecided(self) -> tuple[Diagnostic, ...]:
        """Calls that may have been made, so that they wait for the user's decision."""
        return tuple(d for d in self.diagnostics if d.kind == "undecided")

    def by_address(self) -> dict[str, list[Step]]:
        result: dict[str, list[Step]] = {}
        for step in self.steps:
            result.setdefault(step.address, []).append(step)
        return result


def idempotency_key(identity: str, address: str, generation: int) -> str:
    """The idempotency key of a create; ``identity`` is that of the workspace and its environment. It does not depend on
    the state's lineage, so it survives the loss of the state.

    Raises:
        ValueError: the workspace's name is so long that the key would exceed the contract's limit.

    """
    key = key_name(identity, address, generation)
    if len(key) > contract.current().max_length("idempotency_key"):
        raise ValueError(key)
    return key
