"""What the specs say: frozen, every variable filled in, only declared fields present."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from reconciler.model.errors import Diagnostic, Location
from reconciler.model.references import projects_in
from reconciler.model.values import Value, has_secret, seal_with

NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
"""A project's name in the specs (``re.fullmatch``): its address, unless ``for_each`` makes several of it."""
KEY: Final = re.compile(r"[A-Za-z0-9._:-]+")
"""What tells the projects of one ``for_each`` apart."""
ADDRESS_MAX: Final = 128
ADDRESS: Final = re.compile(rf"(?!.{{{ADDRESS_MAX + 1}}}){NAME.pattern}(\[{KEY.pattern}(,{KEY.pattern})*\])?")
"""A project's address (``re.fullmatch``): ``promo``, ``promo[us]`` or ``promo[us,16:9]``."""

OnRemove = Literal["stop", "cancel", "release", "forget", "protect"]
OnFailed = Literal["keep", "recreate"]
OnImmutableChange = Literal["replace", "error", "ignore"]


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """What to do when a project leaves the specs, fails, or changes where it can't (interfaces.md, spec files)."""

    on_remove: OnRemove = "stop"
    on_failed: OnFailed = "keep"
    on_immutable_change: OnImmutableChange = "replace"
    ignore_changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CreateOrigin:
    """Created by the reconciler; ``creation`` holds the declared create-only fields (``brief`` always)."""

    creation: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class AdoptOrigin:
    """Adopted from the studio: ``studio_id`` is the studio project's id."""

    studio_id: str


@dataclass(frozen=True, slots=True)
class ImportOrigin:
    """Taken over from the account as it is."""

    project_id: str


Origin = CreateOrigin | AdoptOrigin | ImportOrigin


@dataclass(frozen=True, slots=True)
class DesiredMessage:
    """One entry of the append-only message log; ``body`` is the request as declared (``message`` always)."""

    id: str
    body: Mapping[str, Value]
    location: Location | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class DesiredProject:
    address: str
    origin: Origin
    settings: Mapping[str, Value] = field(default_factory=dict)
    messages: tuple[DesiredMessage, ...] = ()
    lifecycle: Lifecycle = Lifecycle()
    cancelled: bool = False
    depends_on: tuple[str, ...] = ()
    """Addresses that must have finished before anything is spent on this one."""
    location: Location | None = field(default=None, compare=False)

    @property
    def creation(self) -> Mapping[str, Value]:
        """The create-only fields that it declares; none where it is not created."""
        return self.origin.creation if isinstance(self.origin, CreateOrigin) else {}

    @property
    def dependencies(self) -> tuple[str, ...]:
        """The addresses that it waits for: those it names, and those whose videos it or its messages refer to."""
        told = (address for message in self.messages for address in projects_in(message.body))
        return tuple(dict.fromkeys((*self.depends_on, *projects_in(self.creation), *told)))


@dataclass(frozen=True, slots=True)
class Moved:
    from_address: str
    to_address: str
    location: Location | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Removed:
    """How to part with an address that left the specs; overrides the lifecycle kept in the state."""

    address: str
    action: OnRemove
    location: Location | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Desired:
    """All specs of a workspace."""

    workspace: str
    projects: Mapping[str, DesiredProject] = field(default_factory=dict)
    moved: tuple[Moved, ...] = ()
    removed: tuple[Removed, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    """Warnings and notes of loading (errors are raised)."""


def seal(desired: Desired, lineage: str) -> Desired:
    """The specs with their secrets digested under the state's lineage."""
    projects = dict(desired.projects)
    for address, project in desired.projects.items():
        creation = project.creation
        if not has_secret((creation, project.settings, *(m.body for m in project.messages))):
            continue
        projects[address] = replace(
            project,
            origin=CreateOrigin(seal_with(creation, lineage)) if creation else project.origin,
            settings=seal_with(project.settings, lineage),
            messages=tuple(replace(m, body=seal_with(m.body, lineage)) for m in project.messages),
        )
    return replace(desired, projects=projects)
