"""What became of the workspaces that an earlier commit had: deleted, renamed, or with other environments."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from reconciler.adapters.git import Change, Repository
from reconciler.adapters.specs.config_file import FILE
from reconciler.adapters.specs.config_glance import Glance, glance
from reconciler.adapters.specs.yaml.parsing import MAX_BYTES
from reconciler.adapters.state.format import MAX_BYTES as STATE_MAX
from reconciler.adapters.state.format import decode_state
from reconciler.adapters.state.local import LocalStateStore
from reconciler.model.errors import Diagnostic, ReconcilerError
from reconciler.model.state import State
from reconciler.model.workspaces import Managed, Reason, WorkspaceRow
from reconciler.operations.read.workspaces import Found


class Earlier(Struct, frozen=True):
    """A workspace of an earlier commit: its absolute folder then, and what its configuration said (nothing: not known).

    ``uncommitted``: at least a part of what became of it is not committed yet.
    """

    root: str
    glance: Glance | None
    uncommitted: bool


def compare(
    folder: str,
    spaces: Sequence[Found],
    changes: Sequence[Change],
    repository: Repository,
    shown: Callable[[str], str],
) -> tuple[list[Found], list[WorkspaceRow]]:
    """The workspaces with what their own configurations' changes mean for them, and those that are gone."""
    before = _before(folder, changes, repository)
    now = {space.root: space.glance for space in spaces}
    lost = {root: each for root, each in before.items() if root not in now}
    renamed = _renames(lost, {root: seen for root, seen in now.items() if root not in before})
    blobs = {change.path: change.blob for change in reversed(changes) if change.blob}
    gone = [
        _deleted(earlier, renamed.get(root, root), name, blobs, repository, shown)
        for root, earlier in before.items()
        for name in _lost(earlier, now.get(renamed.get(root, root)))
    ]
    previous = {renamed.get(root, root): earlier for root, earlier in before.items()}
    return [_told(space, previous.get(space.root), shown) for space in spaces], gone


def _lost(earlier: Earlier, now: Glance | None) -> list[str | None]:
    """The environments that a workspace had and has no longer."""
    if earlier.glance is None:
        return [None] if now is None else []
    if now is not None and not now.sure:
        return []
    return [name for name in earlier.glance.environments if now is None or name not in now.environments]


def _before(folder: str, changes: Iterable[Change], repository: Repository) -> dict[str, Earlier]:
    """The workspaces whose configuration was another or elsewhere, by their folders."""
    blobs: dict[str, str | None] = {}
    fresh: set[str] = set()
    for change in changes:  # the first one of a file tells what the earlier commit had
        for path, blob in ((change.source, change.blob), (change.path, None if change.source else change.blob)):
            root, name = os.path.split(path or "")
            if name == FILE and (root == folder or root.startswith(f"{folder.rstrip('/')}/")):
                blobs.setdefault(root, blob)
                fresh |= {root} if change.uncommitted else set()
    found: dict[str, Earlier] = {}
    for root, blob in blobs.items():
        if blob is not None:
            text = repository.content(blob, MAX_BYTES)
            seen = None if text is None else glance(text.decode(errors="replace"), Path(root))
            found[root] = Earlier(root, seen if seen is not None and seen.sure else None, root in fresh)
    return found


def _renames(lost: Mapping[str, Earlier], new: Mapping[str, Glance]) -> dict[str, str]:
    """The new folders of workspaces, by their old ones: a name, which is part of every key, makes it the same workspace."""
    names = Counter(seen.name for seen in new.values())
    before = Counter(earlier.glance.name for earlier in lost.values() if earlier.glance)
    return {
        earlier.root: root
        for earlier in lost.values()
        for root, seen in new.items()
        if earlier.glance and seen.name == earlier.glance.name and names[seen.name] == before[seen.name] == 1
    }


def _told(space: Found, earlier: Earlier | None, shown: Callable[[str], str]) -> Found:
    if earlier is None or earlier.glance is None:
        return space
    concerned = space.glance.concerned(earlier.glance)
    row = space.row
    if earlier.root != space.root:
        path, source = shown(space.root), shown(earlier.root)
        moved = Reason(path=path, kind="renamed", change="renamed", source=source, uncommitted=earlier.uncommitted)
        row = replace(row, reasons=(*row.reasons, moved))
        place = earlier.glance.places.get(row.environment, "")
        if place == space.glance.places.get(row.environment) and _is_left_behind(place, earlier.root, space.root):
            found = Diagnostic(
                severity="warning",
                summary=f"the state of `{row.path}` is still in `{source}`",
                detail=f"Move `{place}` and the files beside it whose names begin so to `{row.path}`.",
            )
            row = replace(row, diagnostics=(*row.diagnostics, found))
    return replace(space, row=row, configured=row.environment in concerned)


def _is_left_behind(place: str, old: str, new: str) -> bool:
    local = bool(place) and "://" not in place
    return local and os.path.lexists(f"{old}/{place}") and not os.path.lexists(f"{new}/{place}")


def _deleted(
    earlier: Earlier,
    here: str,
    environment: str | None,
    blobs: Mapping[str, str],
    repository: Repository,
    shown: Callable[[str], str],
) -> WorkspaceRow:
    seen, file = earlier.glance, shown(f"{here}/{FILE}")
    row = WorkspaceRow(
        path=shown(here),
        name=seen.name if seen else "",
        environment=environment,
        deleted=True,
        reasons=(Reason(path=file, kind="deleted", change="deleted", uncommitted=earlier.uncommitted),),
        place=seen.places.get(environment) if seen else None,
    )
    try:
        state = _state(earlier.root, row.place, blobs, repository)
    except ReconcilerError as error:
        return replace(row, diagnostics=tuple(replace(found, severity="warning") for found in error.diagnostics))
    if state is None:
        return row
    managed = tuple(sorted(Managed(address, entry.project_id) for address, entry in state.projects.items()))
    return replace(row, managed=managed, diagnostics=_still_managed(row, len(managed)) if managed else ())


def _still_managed(row: WorkspaceRow, count: int) -> tuple[Diagnostic, ...]:
    what = f"`{row.path}`" if row.environment is None else f"environment `{row.environment}` of `{row.path}`"
    chosen = "" if row.environment is None else f" -e {row.environment}"
    return (
        Diagnostic(
            severity="warning",
            summary=f"{what} is deleted and still manages {count} project{'' if count == 1 else 's'}",
            detail="Nothing ends them by itself. To end them, check out a commit that has the workspace, run "
            f"`reconciler -C {row.path}{chosen} destroy` there, and delete the workspace afterwards.",
        ),
    )


def _state(root: str, place: str | None, blobs: Mapping[str, str], repository: Repository) -> State | None:
    """The local state of a workspace that is gone: as it still is on the disk, else as the earlier commit had it.

    Raises:
        StateError: there is one, and it can't be read.

    """
    if place is None or "://" in place:
        return None
    path = os.path.normpath(f"{root}/{place}")
    if os.path.lexists(path) or os.path.lexists(f"{path}.journal"):
        return LocalStateStore(Path(path), version="").load().state
    data = repository.content(blobs[path], STATE_MAX) if path in blobs else None
    return None if data is None else decode_state(data, place)
