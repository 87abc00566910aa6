"""The specs as values: frozen, every variable filled in, only declared fields present."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, field
from msgspec.structs import replace

from reconciler.model.errors import Diagnostic, Location
from reconciler.model.references import projects_in
from reconciler.model.values import Value, has_secret, seal_fields

NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
"""A project's name in the specs (``re.fullmatch``): its address, unless ``for_each`` makes several of it."""
KEY: Final = re.compile(r"[A-Za-z0-9._:-]+")
"""What tells the projects of one ``for_each`` apart."""
ADDRESS_MAX: Final = 128
ADDRESS: Final = re.compile(rf"\A(?!.{{{ADDRESS_MAX + 1}}}){NAME.pattern}(\[{KEY.pattern}(,{KEY.pattern})*\])?\Z")
"""A project's address: ``promo``, ``promo[us]`` or ``promo[us,16:9]``."""
Address = Annotated[str, Meta(pattern=ADDRESS.pattern)]
"""An address in a plan file; msgspec checks it (and :data:`Filled`) where the file is read."""
Filled = Annotated[str, Meta(min_length=1)]
"""A string that is not empty."""

OnRemove = Literal["stop", "cancel", "release", "forget", "protect"]
OnFailed = Literal["keep", "recreate"]
OnImmutableChange = Literal["replace", "error", "ignore"]


class Placed(Struct, frozen=True):
    """What stands at a ``location`` in the specs, and is the same wherever it stands."""

    def __eq__(self, other: object) -> bool:
        names = (name for name in self.__struct_fields__ if name != "location")
        return type(other) is type(self) and all(getattr(self, name) == getattr(other, name) for name in names)

    __hash__ = None  # type: ignore[assignment]  # the values hold dictionaries


class Lifecycle(Struct, frozen=True):
    """What to do when a project leaves the specs, fails, or changes where it can't."""

    on_remove: OnRemove = "stop"
    on_failed: OnFailed = "keep"
    on_immutable_change: OnImmutableChange = "replace"
    ignore_changes: tuple[str, ...] = ()
    resume_from: tuple[str, ...] = ()
    """Statuses of a project that is over from which a new message sets it to work again, where the API allows it."""


class CreateOrigin(Struct, frozen=True):
    """Created by the reconciler; ``creation`` holds the declared create-only fields (``brief`` always)."""

    creation: Mapping[str, Value]


class AdoptOrigin(Struct, frozen=True):
    """Adopted from the studio: ``studio_id`` is the studio project's id."""

    studio_id: str

    @property
    def target(self) -> str:
        """The id of the project that is taken over."""
        return self.studio_id


class ImportOrigin(Struct, frozen=True):
    """Taken over from the account as it is."""

    project_id: str

    @property
    def target(self) -> str:
        """The id of the project that is taken over."""
        return self.project_id


Origin = CreateOrigin | AdoptOrigin | ImportOrigin


class DesiredMessage(Placed, frozen=True):
    """One entry of the append-only message log; ``body`` is the request as declared (``message`` always)."""

    id: Filled
    body: Mapping[str, Value]
    location: Location | None = None


class Deliver(Struct, frozen=True):
    """What is to be done with the video once all messages are. ``share`` is the request of the permanent link;
    ``download`` a folder, relative to the workspace.
    """

    render: str | None = None
    share: Mapping[str, Value] | None = None
    download: str | None = None


class DesiredProject(Placed, frozen=True):
    address: str
    origin: Origin
    settings: Mapping[str, Value] = field(default_factory=dict)
    messages: tuple[DesiredMessage, ...] = ()
    lifecycle: Lifecycle = Lifecycle()
    cancelled: bool = False
    depends_on: tuple[str, ...] = ()
    """Addresses that must have finished before anything is spent on this one."""
    tags: tuple[str, ...] = ()
    """Words to select it by."""
    deliver: Deliver = Deliver()
    location: Location | None = None

    @property
    def creation(self) -> Mapping[str, Value]:
        """The create-only fields that it declares; none where it is not created."""
        return self.origin.creation if isinstance(self.origin, CreateOrigin) else {}

    @property
    def dependencies(self) -> tuple[str, ...]:
        """The addresses that it waits for: those it names, and those whose videos it or its messages refer to."""
        told = (address for message in self.messages for address in projects_in(message.body))
        return tuple(dict.fromkeys((*self.depends_on, *projects_in(self.creation), *told)))


class Moved(Placed, frozen=True):
    from_address: str
    to_address: str
    location: Location | None = None


class Removed(Placed, frozen=True):
    """How to stop managing an address that left the specs; overrides the lifecycle in the state."""

    address: str
    action: OnRemove
    location: Location | None = None


class Desired(Struct, frozen=True):
    """All specs of a workspace."""

    workspace: str
    projects: Mapping[str, DesiredProject] = field(default_factory=dict)
    moved: tuple[Moved, ...] = ()
    removed: tuple[Removed, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    """Warnings and notes of loading (errors are raised)."""
    files: Mapping[str, int] = field(default_factory=dict)
    """The files that were read, and how many projects each declares."""


def seal(desired: Desired, lineage: str) -> Desired:
    """The specs with their secrets digested under the state's lineage."""
    projects = dict(desired.projects)
    for address, project in desired.projects.items():
        creation = project.creation
        share = project.deliver.share
        if not has_secret((creation, project.settings, share, *(m.body for m in project.messages))):
            continue
        projects[address] = replace(
            project,
            origin=CreateOrigin(seal_fields(creation, lineage)) if creation else project.origin,
            settings=seal_fields(project.settings, lineage),
            messages=tuple(replace(m, body=seal_fields(m.body, lineage)) for m in project.messages),
            deliver=replace(project.deliver, share=seal_fields(share, lineage) if share is not None else None),
        )
    return replace(desired, projects=projects)
