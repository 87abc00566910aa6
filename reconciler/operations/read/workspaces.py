"""Which workspaces a change concerns, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from reconciler.adapters.git import Change
from reconciler.adapters.specs.config_glance import Glance
from reconciler.adapters.specs.footprint import Footprint
from reconciler.model.workspaces import ChangeKind, Reason, ReasonKind, WorkspaceRow

_CHANGES: Mapping[str, ChangeKind] = {"A": "added", "D": "deleted", "R": "renamed"}
_OUTSIDE: Mapping[ReasonKind, ReasonKind] = dict.fromkeys(("spec", "brief", "asset", "variables"), "shared")


class Found(Struct, frozen=True, kw_only=True):
    """A workspace in one environment as it is now. ``root`` is its absolute folder; ``whole``: all of its files are known."""

    row: WorkspaceRow
    root: str
    glance: Glance
    footprint: Footprint
    whole: bool
    configured: bool = True
    """Whether a change of the configuration is one of this environment."""


class _Index:
    """Whose each file is."""

    def __init__(self, spaces: Sequence[Found]) -> None:
        self._spaces = spaces
        self._files: dict[str, list[tuple[int, ReasonKind]]] = defaultdict(list)
        self._folders: dict[str, list[tuple[int, ReasonKind]]] = defaultdict(list)
        self._roots: dict[str, list[int]] = defaultdict(list)
        for number, space in enumerate(spaces):
            self._roots[space.root].append(number)
            for path, kind in space.footprint.files.items():
                self._files[path].append((number, kind))
            for path, kind in space.footprint.folders.items():
                self._folders[path].append((number, kind))

    def hits(self, path: str, *, whole: bool) -> dict[int, ReasonKind]:
        """The workspaces that read a file, or anything below it where that belongs to it, and what it is for each."""
        found = dict(self._below(path) if whole else self._reading(path))
        above = next((self._roots[folder] for folder in _above(path) if folder in self._roots), [])
        for number in above:
            if not self._spaces[number].whole:
                found.setdefault(number, "file")
        return {number: self._seen(number, path, kind) for number, kind in found.items()}

    def _reading(self, path: str) -> Iterator[tuple[int, ReasonKind]]:
        named = self._files.get(path, ())
        if path.endswith((".yaml", ".yml")):
            for folder in _above(path):
                if f"/{path[len(folder) + 1 :]}".find("/.") >= 0:  # hidden files are never read
                    break
                yield from self._folders.get(folder, ())
        yield from named  # last: of two kinds, that of the file itself

    def _below(self, path: str) -> Iterator[tuple[int, ReasonKind]]:
        for known in (self._folders, self._files):
            for inner, readers in known.items():
                if inner == path or inner.startswith(f"{path}/"):
                    yield from ((number, "submodule") for number, _ in readers)

    def _seen(self, number: int, path: str, kind: ReasonKind) -> ReasonKind:
        inside = path.startswith(f"{self._spaces[number].root}/")
        return kind if inside else _OUTSIDE.get(kind, kind)


def affected(
    spaces: Sequence[Found],
    changes: Iterable[Change],
    *,
    is_same: Callable[[Change], bool],
    shown: Callable[[str], str],
) -> list[WorkspaceRow]:
    """The workspaces with the reasons why the changes concern them; ``shown`` makes an absolute path one for people."""
    index = _Index(spaces)
    reasons: list[dict[tuple[str, ReasonKind], Reason]] = [{} for _ in spaces]
    for change in changes:
        hits = index.hits(change.path, whole=change.whole)
        earlier = index.hits(change.source, whole=False) if change.source is not None else {}
        if not (hits or earlier) or is_same(change):
            continue
        kind = _CHANGES.get(change.status, "modified")
        source = "" if change.source is None else shown(change.source)
        for number, what in hits.items():
            _note(
                reasons[number], Reason(path=shown(change.path), kind=what, change=kind, source=source or None), change
            )
        for number, what in earlier.items():
            if number not in hits:
                _note(reasons[number], Reason(path=source, kind=what, change="deleted"), change)
    rows = []
    for space, found in zip(spaces, reasons, strict=True):
        kept = [each for each in found.values() if each.kind != "configuration" or space.configured]
        all_reasons = tuple(sorted((*space.row.reasons, *kept)))
        rows.append(replace(space.row, reasons=all_reasons, changed=bool(all_reasons)))
    return rows


def _note(found: dict[tuple[str, ReasonKind], Reason], reason: Reason, change: Change) -> None:
    """Take in a reason; what is committed and what is not yet make one."""
    key = (reason.path, reason.kind)
    reason = replace(reason, uncommitted=change.uncommitted)
    before = found.pop(key, None)
    if before is not None and before.change == "added":
        if reason.change == "deleted":
            return
        reason = replace(reason, change="added")
    elif before is not None and (before.change, reason.change) == ("deleted", "added"):
        reason = replace(reason, change="modified")
    found[key] = reason


def _above(path: str) -> Iterator[str]:
    """The folders that a path is in, the nearest first."""
    while (cut := path.rfind("/")) > 0:
        path = path[:cut]
        yield path
