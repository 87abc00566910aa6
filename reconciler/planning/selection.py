"""The user's selectors, and the addresses that they name."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model.desired import Desired, DesiredProject
from reconciler.model.errors import Diagnostic
from reconciler.planning.findings import did_you_mean

_NONE_LEFT: Final = Diagnostic(severity="error", summary="the selectors leave no project", detail="Use fewer of them.")


class Selection(Struct, frozen=True, kw_only=True):
    """What to plan for (decisions/0003). ``targets`` of ``None``: everything."""

    targets: frozenset[str] | None = None
    """Patterns until :func:`resolve` has made addresses of them."""
    exclude: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    """Only projects with one of these; empty: all."""
    replace: frozenset[str] = frozenset()
    destroy: bool = False
    refresh_only: bool = False
    refresh: bool = True
    """Whether managed projects are read (``--no-refresh``: the state is trusted instead)."""
    keep_failed: frozenset[str] = frozenset()
    """Addresses whose failed project is only reported, whatever ``on_failed`` says: ``watch`` recreated it recently."""
    recreate_daily: bool = False
    """Whether a failed project is also only reported if it replaced another one less than a day ago: nobody may be there to
    see a loop spend credits, and each of its processes knows this from the account."""

    @property
    def is_whole(self) -> bool:
        """Whether every project is read and planned for."""
        return self.targets is None and not self.exclude and not self.tags and self.refresh

    def takes(self, address: str) -> bool:
        return self.targets is None or address in self.targets


def matching(pattern: str, addresses: Iterable[str]) -> frozenset[str]:
    """The addresses that a pattern names: itself, all of a ``for_each``, or those that fit its ``*`` and ``?``."""
    known = frozenset(addresses)
    if pattern in known:
        return frozenset((pattern,))
    literal = pattern.replace("[", "[[]")  # brackets belong to addresses; they are no set of characters
    return frozenset(a for a in known if fnmatchcase(a, literal) or fnmatchcase(a.partition("[")[0], literal))


def fitting(patterns: Iterable[str], addresses: Iterable[str]) -> frozenset[str]:
    """The addresses that any of the patterns names."""
    known = frozenset(addresses)
    return frozenset[str]().union(*(matching(pattern, known) for pattern in patterns))


def select(
    addresses: Iterable[str], projects: Mapping[str, DesiredProject], selection: Selection
) -> tuple[frozenset[str], tuple[Diagnostic, ...]]:
    """The addresses that are selected by their names and tags, without dependencies, and the selectors that fit nothing. A
    target that fits nothing stays as it is.
    """
    names, exclude, tags = selection.targets, selection.exclude, selection.tags
    known = frozenset(addresses)
    found = known if names is None else frozenset[str]().union(*(matching(name, known) or {name} for name in names))
    if tags:
        found = frozenset(a for a in found if a not in known or (a in projects and tags & set(projects[a].tags)))
    wrong = _unfitting(selection, known, _tags_of(projects))
    found -= fitting(exclude, known)
    if not found and known and not wrong:
        wrong.append(_NONE_LEFT)
    return found, tuple(wrong)


def _unfitting(selection: Selection, known: frozenset[str], used: frozenset[str]) -> list[Diagnostic]:
    """What is excluded but not known, and the tags that no project has."""
    exclude, tags = selection.exclude, selection.tags
    return [
        *(_unknown(f"`--exclude {n}`", did_you_mean(n, known)) for n in sorted(exclude) if not matching(n, known)),
        *(_unknown_tag(tag, used) for tag in sorted(tags - used)),
    ]


def _tags_of(projects: Mapping[str, DesiredProject]) -> frozenset[str]:
    return frozenset(tag for project in projects.values() for tag in project.tags)


def select_across(
    places: Sequence[tuple[Collection[str], Mapping[str, DesiredProject]]], selection: Selection
) -> tuple[list[frozenset[str]], tuple[Diagnostic, ...]]:
    """As :func:`select` in each of several places, such as environments, and the selectors that fit nothing in any of them."""
    known = frozenset[str]().union(*(addresses for addresses, _ in places))
    wrong = _unfitting(selection, known, frozenset[str]().union(*(_tags_of(projects) for _, projects in places)))
    missing = sorted(name for name in selection.targets or () if not matching(name, known))
    wrong += [_unknown(f"`{name}`", did_you_mean(name, known)) for name in missing]
    chosen = [select(addresses, projects, selection)[0] & frozenset(addresses) for addresses, projects in places]
    if known and not any(chosen) and not wrong:
        wrong.append(_NONE_LEFT)
    return chosen, tuple(wrong)


def resolve(selection: Selection, desired: Desired, managed: Iterable[str]) -> tuple[Selection, tuple[Diagnostic, ...]]:
    """The selection with addresses for patterns, and what to say about it. ``managed`` are the addresses in the state.

    What is selected takes along all that it depends on; what is excluded, all that depends on it. Neither where projects
    are destroyed.
    """
    if selection.targets is None and not selection.exclude and not selection.tags:
        return selection, ()
    projects = desired.projects
    former = {moved.from_address: moved.to_address for moved in desired.moved}
    known = projects.keys() | set(managed) | former.keys()
    excluded = fitting(selection.exclude, known)
    excluded |= {former[address] for address in excluded & former.keys()}  # each name means the project
    chosen, wrong = select(known, projects, selection)
    chosen = frozenset(former.get(address, address) for address in chosen) - excluded
    if selection.destroy:
        return replace(selection, targets=chosen), wrong
    chosen = with_dependencies(chosen, desired)
    out = excluded
    notes: list[Diagnostic] = []
    while lost := sorted(a for a in chosen - out if a in projects and out & set(projects[a].dependencies)):
        for address in lost:
            on = next(name for name in projects[address].dependencies if name in out)
            summary = f"`{address}` is left out, too: it depends on `{on}`, which is excluded"
            notes.append(Diagnostic(severity="note", address=address, summary=summary))
        out |= frozenset(lost)
    return replace(selection, targets=chosen - out), (*wrong, *notes)


def with_dependencies(targets: frozenset[str], desired: Desired) -> frozenset[str]:
    """The targets and all that they depend on, as in Terraform."""
    found: set[str] = set()
    waiting = list(targets)
    while waiting:
        address = waiting.pop()
        if address not in found:
            found.add(address)
            project = desired.projects.get(address)
            waiting += project.dependencies if project else ()
    return frozenset(found)


def _unknown(selector: str, hint: str) -> Diagnostic:
    return Diagnostic(
        severity="error",
        summary=f"{selector} fits no project in the specs or in the state",
        detail=hint or "`reconciler state list` shows the addresses in the state. `*` matches any text.",
    )


def _unknown_tag(tag: str, known: Iterable[str]) -> Diagnostic:
    near = difflib.get_close_matches(tag, known, 1)
    return Diagnostic(
        severity="error",
        summary=f"no project in the specs has the tag `{tag}`",
        detail=f"Did you mean `{near[0]}`?" if near else "`tags: [...]` in the specs gives a project its tags.",
    )
