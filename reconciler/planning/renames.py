"""Projects that look renamed: an address left the specs and another with the same content was added."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from shlex import quote

from reconciler.model.desired import CreateOrigin, Desired, DesiredProject
from reconciler.model.errors import Diagnostic
from reconciler.model.identity import key_name
from reconciler.model.plan import Create, Step
from reconciler.model.state import Entry
from reconciler.planning.creation import content_digest, creation_with_defaults
from reconciler.planning.knowledge import agrees


def rename_findings(
    desired: Desired, entries: Mapping[str, Entry], steps: Iterable[Step], identity: str
) -> Iterator[Diagnostic]:
    """A warning with the ``moved`` entries that would save creates, if there are any. An error for each project that was
    created under the very address that would create again: these specs are older than its rename, or were not changed
    with it.

    Content is what a project is created from. What is listed under ``removed`` was removed on purpose.
    """
    pairs: list[tuple[str, DesiredProject]] = []
    for old, project in _renamed(desired, entries, steps):
        entry = entries[old]
        if entry.key == key_name(identity, project.address, entry.generation):
            yield _renamed_since(old, project)
        else:
            pairs.append((old, project))
    if pairs:
        yield _suggestion(pairs)


def _renamed(
    desired: Desired, entries: Mapping[str, Entry], steps: Iterable[Step]
) -> Iterator[tuple[str, DesiredProject]]:
    """The projects that would be created again, each with the address that left the specs and has the same content."""
    on_purpose = {removal.address for removal in desired.removed}
    gone: dict[str, list[str]] = {}
    for address in sorted(entries.keys() - desired.projects.keys() - on_purpose):
        gone.setdefault(content_digest(entries[address].creation), []).append(address)
    for step in steps if gone else ():
        project = desired.projects.get(step.address)
        if isinstance(step, Create) and project is not None and isinstance(project.origin, CreateOrigin):
            alike = gone.get(content_digest(creation_with_defaults(project.origin.creation)), [])
            if alike:
                old = max(alike, key=lambda address: _likeness(project, address, entries[address]))
                alike.remove(old)
                yield old, project


def _renamed_since(old: str, project: DesiredProject) -> Diagnostic:
    address = project.address
    return Diagnostic(
        severity="error",
        address=address,
        summary=f"`{address}` would be created again: the state has its project as `{old}`",
        detail=f"It was renamed with `reconciler state mv`, or by newer specs than these. Rename it in the specs, too; or "
        f"rename it back with `reconciler state mv {quote(old)} {quote(address)}`. "
        f"If it is to be created again, list `{old}` under `removed`.",
        location=project.location,
    )


def _suggestion(pairs: Sequence[tuple[str, DesiredProject]]) -> Diagnostic:
    one = len(pairs) == 1
    moves = "\n".join(f"  - {{from: {_scalar(old)}, to: {_scalar(new.address)}}}" for old, new in pairs)
    return Diagnostic(
        severity="warning",
        address=pairs[0][1].address if one else None,
        summary=f"`{pairs[0][0]}` looks renamed to `{pairs[0][1].address}`, which would be created again"
        if one
        else f"{len(pairs)} projects look renamed and would be created again",
        detail=f"{'It has' if one else 'They have'} the same content, and a create spends credits. "
        f"If {'it is' if one else 'they are'} the same, keep {'it' if one else 'them'} by adding to the specs:\n"
        f"moved:\n{moves}",
        location=pairs[0][1].location,
    )


def _likeness(project: DesiredProject, address: str, entry: Entry) -> tuple[int, bool]:
    """How alike two projects of the same content are: by their settings, then by their ``for_each`` keys."""
    settings = sum(
        name in entry.settings and agrees(value, entry.settings[name].value) for name, value in project.settings.items()
    )
    return settings, address.partition("[")[2] == project.address.partition("[")[2]


def _scalar(address: str) -> str:
    return json.dumps(address) if "[" in address else address
