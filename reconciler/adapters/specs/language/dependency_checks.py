"""Projects that refer to or wait for others: all of these declared, and no circle among them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final

from msgspec.structs import replace

from reconciler.adapters.specs.validation.codes import Code
from reconciler.adapters.specs.validation.problem import Problem, dotted
from reconciler.adapters.specs.validation.suggestions import KNOWN_MAX, did_you_mean, quoted, sentences
from reconciler.adapters.specs.yaml.parsing import Path
from reconciler.model.desired import DesiredProject

CYCLES_MAX: Final = 20
"""Cycles that are reported at once: to find each, all projects are searched."""
RING_MAX: Final = 20
"""Projects of one circle that are named."""
Families = Mapping[str, list[str]]
"""The addresses that each ``for_each`` made, by the name of its project."""


def with_families_expanded(project: DesiredProject, families: Families) -> DesiredProject:
    """The project with the name of a ``for_each`` in ``depends_on`` replaced by all that it made."""
    if not any(name in families for name in project.depends_on):
        return project
    all_of = (address for name in project.depends_on for address in families.get(name, [name]))
    return replace(project, depends_on=tuple(dict.fromkeys(all_of)))


def unknown_dependencies(
    project: DesiredProject,
    declared: Mapping[str, DesiredProject],
    places: Collection[str],
    families: Families,
    elsewhere: Collection[str],
) -> Iterator[Problem]:
    """What a project asks of others that these can't be. ``places`` are all addresses, those of faulty projects too;
    ``elsewhere`` are the names of projects in other environments.
    """
    for path, name in _needs(project):
        where = dotted(path)
        if name in families:
            if path[0] != "depends_on":
                known = ", ".join(families[name][:3]) + (", …" if len(families[name]) > 3 else "")
                summary = f"{where}: {quoted(name)} is made by for_each, and a reference is to one project"
                yield Problem(Code.DEPENDENCY, path, summary, f"there are {known}" if known else "it makes none")
        elif name.partition("[")[0] in elsewhere:
            detail = "its only or except leaves it out; leave this project out as well, or drop the dependency"
            yield Problem(Code.DEPENDENCY, path, f"{where}: {quoted(name)} is not in this environment", detail)
        elif name not in places:
            names = [*families, *places] if len(places) <= KNOWN_MAX else ()
            detail = sentences(did_you_mean(name, names), "it must be a project that the specs declare")
            yield Problem(Code.DEPENDENCY, path, f"{where}: there is no project {quoted(name)}", detail)
        elif path[0] != "depends_on" and name in declared and _renders_nothing(declared[name]):
            summary = f"{where}: {name} has no rendered video, since its expected_output is assets"
            yield Problem(Code.DEPENDENCY, path, summary, "set it to assembled, or leave it out")


def _renders_nothing(project: DesiredProject) -> bool:
    return project.settings.get("expected_output") == "assets"


def dependency_cycles(projects: Mapping[str, DesiredProject], families: Families) -> Iterator[tuple[str, Problem]]:
    """Each circle of projects that wait for one another, once: the project to report it at, and where in it."""
    graph = {
        address: set(with_families_expanded(project, families).dependencies) for address, project in projects.items()
    }
    positions = {address: position for position, address in enumerate(projects)}
    for _ in range(CYCLES_MAX):
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as found:
            ring: list[str] = found.args[1][::-1]
        else:
            return
        members = ring[:-1]
        start = min(members, key=positions.__getitem__)
        turn = members.index(start)
        ring = [*members[turn:], *members[:turn], start]
        path = next(path for path, name in _needs(projects[start]) if ring[1] in families.get(name, [name]))
        summary = f"projects wait for one another: {' -> '.join(_shortened(ring))}"
        yield start, Problem(Code.CYCLE, path, summary, 'read -> as "waits for"; remove one of them')
        for address in members:
            del graph[address]


def _shortened(ring: list[str]) -> list[str]:
    return (
        ring
        if len(ring) <= RING_MAX
        else [*ring[: RING_MAX // 2], f"({len(ring) - RING_MAX:,} more)", *ring[-RING_MAX // 2 :]]
    )


def _needs(project: DesiredProject) -> Iterator[tuple[Path, str]]:
    """The addresses that a project names, and where."""
    yield from ((("depends_on", index), name) for index, name in enumerate(project.depends_on))
    bodies: list[tuple[Path, Mapping[str, Any]]] = [((), project.creation)]
    bodies += [(("messages", index), message.body) for index, message in enumerate(project.messages)]
    for path, body in bodies:
        for index, reference in enumerate(body.get("references", ())):
            if "project" in reference:
                yield (*path, "references", index, "project"), reference["project"]
