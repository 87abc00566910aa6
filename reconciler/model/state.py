"""The state: what is known about the managed projects. It can be rebuilt from the specs and the account.

Every value in it is sealed (:func:`reconciler.model.values.sealed`), so it contains no secret.
"""

# Annotations are values here, not texts: msgspec would compile each of the 90 at every start.

from collections.abc import Callable, Mapping
from typing import Literal, Self

from msgspec import UNSET, Struct, UnsetType, field
from msgspec.structs import replace

from reconciler.model import contract
from reconciler.model.desired import Lifecycle
from reconciler.model.errors import StateMismatchError
from reconciler.model.hosts import same_api
from reconciler.model.identity import identity, key_name
from reconciler.model.live import Source
from reconciler.model.references import projects_in, renamed
from reconciler.model.values import Json, Masked, Portable, Sealed

FORMAT_VERSION = 2
"""The newest format: of a state with an environment, which versions before it must not take for one without."""


class Known(Struct, frozen=True):
    """A field's value, where it came from, and when (ISO 8601).

    ``kept`` is what the account shows for a value that was set, once it was seen; ``before`` is what it showed before the
    value was set.
    """

    value: Json
    source: Source
    at: str
    kept: Json | UnsetType = UNSET
    before: Json | UnsetType = UNSET


class SentMessage(Struct, frozen=True, kw_only=True):
    """A message of the spec that was sent to the agent. ``text`` is masked.

    ``digest`` is of the whole request, ``content`` is a keyed digest of the text, to recognize it in the conversation.
    ``message_id`` is its id in the conversation, if it was seen there. ``how``: this program sent it, it was found in the
    conversation, or the user declared it sent. ``projects`` are the addresses in its references; the digest leaves them
    out, so that they can be renamed.
    """

    id: str
    digest: str
    text: Masked
    content: str
    message_id: str | None = None
    at: str
    how: Literal["sent", "found", "declared"] = "sent"
    projects: tuple[str, ...] = ()
    reads: str | None = None
    """The digest with a secret text as a reader sees it, if that differs."""


class Rendered(Struct, frozen=True, kw_only=True):
    """The last render. ``how``: this program asked for it; it may have been made before (``found``: the state was lost, so
    nothing tells); or the user declared it made.
    """

    at: str
    quality: str | None = None
    """``None``: not known."""
    id: str | None = None
    how: Literal["sent", "found", "declared"] = "sent"
    outdated: bool = False
    """Whether the agent was told something since."""


class Shared(Struct, frozen=True, kw_only=True):
    """A permanent link: of the page, and of the video itself. ``None``: the user declared that there is one. ``how``: it is
    this one; its video may have another that the state does not know (``found``); or the user declared that it has none.
    """

    at: str
    share_url: str | None = None
    video_url: str | None = None
    outdated: bool = False
    """Whether it shows an earlier video: since then a render was made, or the agent was told something."""
    how: Literal["sent", "found", "declared"] = "sent"
    may_be: "tuple[Shared, ...]" = ()
    """Where it was found: the links that may be it."""

    def earlier(self) -> Self:
        """The link once the video is another one: whether that of the one before was made no longer matters."""
        return replace(self, outdated=True, how="sent", may_be=())

    def without(self, url: str) -> Self:
        """The link once another address has the one at this ``url``."""
        rest = tuple(link for link in self.may_be if link.share_url != url)
        if len(rest) == len(self.may_be):
            return self
        return replace(self, may_be=rest) if rest else replace(self, how="declared", outdated=True, may_be=())


class Outputs(Struct, frozen=True, kw_only=True):
    """The last known outputs of a project: for ``output``, never for planning."""

    status: str | None = None
    project_url: str | None = None
    assembled_url: str | None = None
    assembled_url_expires_at: str | None = None
    output_type: str | None = None
    agent_message: str | None = None
    variation_id: str | None = None
    error_message: str | None = None


class Entry(Struct, frozen=True, kw_only=True):
    """One managed project.

    ``creation`` are the create-only inputs that it was created with, as far as known; ``retired`` are the ids of earlier
    generations; ``cursor`` is the newest message id seen in the conversation; ``studio_id`` is the studio project that it
    was adopted from; ``replacing``: it was cancelled for a successor that is still to be created; ``not_ours`` are ids of
    messages that are similar to one of ours and that the user declared not to be.
    """

    project_id: str
    origin: Literal["created", "adopted", "imported"]
    generation: int = 0
    creation: Sealed = Sealed({})
    settings: Mapping[str, Known] = field(default_factory=dict)
    lifecycle: Lifecycle = Lifecycle()
    messages: tuple[SentMessage, ...] = ()
    cursor: str | None = None
    studio_id: str | None = None
    retired: tuple[str, ...] = ()
    replacing: bool = False
    outputs: Outputs = Outputs()
    not_ours: tuple[str, ...] = ()
    reads: Mapping[str, str] = field(default_factory=dict)
    """Digests of secret create-only inputs as a reader sees them, if that differs."""
    key: str | None = None
    """The idempotency key that it was created with, if it is not its address's own: the address was renamed, or the state
    moved into an environment.
    """
    rendered: Rendered | None = None
    shared: Shared | None = None

    def made_with(self, identity: str, address: str) -> str | None:
        """The idempotency key that it was created with; ``None`` if it was not, or that is not known."""
        if self.origin != "created" or not self.generation:
            return None
        return self.key or key_name(identity, address, self.generation)

    def at(self, old: str, new: str, identity: str) -> Self:
        """The entry once its address is renamed."""
        key = self.made_with(identity, old)
        return replace(self, key=None if key == key_name(identity, new, self.generation) else key)

    @property
    def refers(self) -> bool:
        """Whether its inputs or messages have references to other projects."""
        return bool(projects_in(self.creation)) or any(message.projects for message in self.messages)

    @property
    def video_url(self) -> str | None:
        """The permanent URL of the video that it has now."""
        return self.shared.video_url if self.shared is not None and not self.shared.outdated else None

    def told(self, message: SentMessage) -> Self:
        """The entry once the agent was told something. Where that had happened before and the state did not know, a render
        may have followed that it does not know either.
        """
        rendered, shared = self.rendered, self.shared
        if message.how == "found":
            rendered = replace(rendered or Rendered(at=message.at), how="found")
        elif rendered is not None:
            rendered = replace(rendered, outdated=True)
        outputs = self.outputs
        if message.how == "sent":
            outputs = replace(
                outputs, status=contract.Status.RUNNING, assembled_url=None, assembled_url_expires_at=None
            )
        return replace(self, rendered=rendered, shared=shared and shared.earlier(), outputs=outputs)

    def delivered(self, rendered: Rendered | None, shared: Shared | None) -> Self:
        """The entry once its video was rendered or shared, or may have been. With neither, nothing is known to be rendered."""
        if shared is not None:
            return replace(self, shared=shared)
        if rendered is None or rendered.how != "sent":
            return replace(self, rendered=rendered)
        outputs = replace(self.outputs, assembled_url=None, assembled_url_expires_at=None)
        earlier = self.shared and self.shared.earlier()
        return replace(self, rendered=rendered, shared=earlier, outputs=outputs)

    def renamed(self, name: Callable[[str], str]) -> Self:
        """The entry with other addresses in its references."""
        if not self.refers:
            return self
        messages = tuple(replace(m, projects=tuple(map(name, m.projects))) for m in self.messages)
        return replace(self, creation=renamed(self.creation, name), messages=messages)


class Progress(Struct, frozen=True, kw_only=True):
    """The progress of a plan at one address: the first ``done`` of its steps are done."""

    plan: str
    done: int


IntentKind = Literal["create", "adopt", "update", "message", "render", "share", "cancel", "release"]


class Intent(Struct, frozen=True, kw_only=True):
    """A mutating call, recorded before it is made.

    ``op`` is unique. ``body`` is the request, without the plain text of secrets. ``generation`` is for a create; ``cursor``
    and ``message_id`` (the spec's id) are for a message; ``plan`` and ``step`` name the step that it belongs to.
    """

    op: str
    kind: IntentKind
    address: str
    at: str
    project_id: str | None = None
    body: Portable = Portable({})
    generation: int = 0
    cursor: str | None = None
    message_id: str | None = None
    plan: str | None = None
    step: int = 0
    final: bool = True
    """Whether this is the last call of the step."""
    undecided: bool = False
    """Its outcome could not be found out: the address is blocked until the user decides."""
    near: tuple[str, ...] = ()
    """Ids of messages in the conversation that may be this message, or links that may be this share's."""
    seen: tuple[str | None, ...] = ()
    """What the account showed before: marks of the video for a render, digests of the links for a share; for a create or an
    adoption, ids of projects that may be the call's.
    """


class Upload(Struct, frozen=True, kw_only=True):
    """An uploaded file: its id for references, its path in the workspace, and when it was uploaded."""

    id: str
    file: str
    at: str


class Dispute(Struct, frozen=True):
    """A generation of an address's key that was used for another project: ``project_id``, where the API told it."""

    generation: int
    project_id: str | None = None


class State(Struct, frozen=True, kw_only=True):
    """What is known about one workspace at one API.

    ``generations`` has the last generation of every address ever used, even if it was forgotten, so that no idempotency
    key is used for two projects; 0 where nothing tells whether one was used. ``disputes`` are addresses that have no
    project because their key answered with another one. ``pending`` are intents whose outcome is unknown, by ``op``.
    ``uploads`` are files of the workspace that were uploaded, by the SHA-256 of their content. ``forgotten`` are projects that
    it had, and that no address may take for its own by their looks.
    """

    lineage: str
    workspace: str
    environment: str | None = None
    api_url: str
    serial: int = 0
    projects: Mapping[str, Entry] = field(default_factory=dict)
    generations: Mapping[str, int] = field(default_factory=dict)
    disputes: Mapping[str, Dispute] = field(default_factory=dict)
    progress: Mapping[str, Progress] = field(default_factory=dict)
    pending: Mapping[str, Intent] = field(default_factory=dict)
    uploads: Mapping[str, Upload] = field(default_factory=dict)
    forgotten: tuple[str, ...] = ()
    applied_at: str | None = None
    """When the last apply that changed it ended (ISO 8601)."""
    moved_to: str | None = None
    """Where the state went when it moved into its environment: what is here is no state any more."""

    @property
    def identity(self) -> str:
        """What the idempotency keys of its projects begin with."""
        return identity(self.workspace, self.environment)

    @property
    def new(self) -> bool:
        """Whether no apply made it: it is new, lost, or what `import` and `state recover` have put together so far."""
        return self.applied_at is None


class Loaded(Struct, frozen=True):
    """What a store holds: ``state`` with the journal folded in; ``folded``: the journal held something."""

    state: State | None
    folded: bool = False


class Version(Struct, frozen=True):
    """One serial of a state's history: when it was written (ISO 8601, the store's clock) and its size in bytes."""

    serial: int
    at: str
    size: int


def owned(state: State, *, workspace: str, api_url: str, environment: str | None = None) -> State:
    """The state, if it is this workspace's (and environment's) at this API. Raises StateMismatchError."""
    if state.moved_to is not None:
        raise StateMismatchError(
            f"the state has moved into environment `{state.environment}`: it is in `{state.moved_to}`",
            f"Use `--environment {state.environment}`. What is left here only says so, and can be removed once nobody uses "
            "a configuration without environments.",
        )
    for what, theirs, ours, same in (
        ("workspace", state.workspace, workspace, state.workspace == workspace),
        ("API", state.api_url, api_url, same_api(state.api_url, api_url)),
    ):
        if not same:
            raise StateMismatchError(
                f"the state belongs to {what} `{theirs}`, not to `{ours}`",
                "Use that state with its own workspace and API, or use another one with `--state`.",
            )
    if state.environment != environment:
        raise _of_another_environment(state.environment, environment)
    return state


def _of_another_environment(theirs: str | None, ours: str | None) -> StateMismatchError:
    if theirs is None:
        return StateMismatchError(
            f"the state belongs to no environment, and this is environment `{ours}`",
            f"`reconciler state mv --to-environment {ours}` moves it there; or use another state with `--state`.",
        )
    return StateMismatchError(
        f"the state belongs to environment `{theirs}`, not to {f'`{ours}`' if ours else 'a workspace without environments'}",
        f"Use `--environment {theirs}` for this state, or use another one with `--state`.",
    )
