"""The planner: computes steps from specs, live projects and state. Pure: the same inputs give the same plan."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from reconciler.model import contract
from reconciler.model.desired import CreateOrigin, Desired, DesiredProject, ImportOrigin, Lifecycle
from reconciler.model.errors import Diagnostic
from reconciler.model.identity import Holder
from reconciler.model.live import Snapshot
from reconciler.model.plan import (
    Adopt,
    Basis,
    Create,
    Declared,
    FileUpload,
    Import,
    Move,
    Plan,
    Replace,
    Step,
    describe,
    sent_body,
)
from reconciler.model.redact import REPLACEMENT
from reconciler.model.references import files_in
from reconciler.model.state import Entry, State
from reconciler.model.values import Json
from reconciler.planning.address_view import Disagreement, ProjectPlan, View
from reconciler.planning.findings import ambiguous, did_you_mean, maybe_lost, other_account, rewritten
from reconciler.planning.knowledge import basis, subject
from reconciler.planning.matching import Candidates, is_new_successor
from reconciler.planning.ordering import order
from reconciler.planning.project_steps import plan_project
from reconciler.planning.removal import removal_steps
from reconciler.planning.renames import rename_findings
from reconciler.planning.resealing import Resealing
from reconciler.planning.selection import Selection


class Header(Struct, frozen=True, kw_only=True):
    """The parts of a plan that planning, being pure, can't make itself."""

    id: str
    version: str
    created_at: str


class _Result(Struct):
    hide: Callable[[Json], Json]
    steps: list[Step] = field(default_factory=list)
    basis: dict[str, Basis] = field(default_factory=dict)
    lifecycles: dict[str, Lifecycle] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    unchanged: int = 0


def make_plan(
    desired: Desired,
    state: State,
    live: Snapshot,
    *,
    selection: Selection,
    header: Header,
    active_limit: int,
    hide: Callable[[Json], Json] = lambda value: value,
) -> Plan:
    """The plan that brings the account to the specs, address by address.

    ``hide`` removes secrets from live values before they are digested.
    """
    result = _Result(hide, diagnostics=list(desired.diagnostics))
    entries, moves = _moved(desired, state, selection, result)
    result.diagnostics += _unknown_selectors(desired, entries, selection)
    projects = {} if selection.destroy else desired.projects
    reseal = Resealing(desired, state.lineage)
    known = {address: reseal(entry) for address, entry in entries.items()}
    new = new_addresses(desired, state, selection)
    others = live.elsewhere.holders.keys() | live.elsewhere.forgotten
    candidates = Candidates.of(live, entries, imported_ids(desired) | others)
    candidates = candidates.claimed_by(new) if state.new or unsettled_addresses(state) else candidates
    elsewhere = other_account(entries, live)
    result.diagnostics += [elsewhere] if elsewhere else []
    if state.new:
        result.diagnostics += maybe_lost(sum(candidates.may_have(project) for project in new), len(new))
    views = {} if elsewhere else _views(desired, projects, known, state, live, selection, candidates, header.created_at)
    planned: dict[str, ProjectPlan] = {}
    for address, view in views.items():
        project = projects.get(address)
        planned[address] = plan_project(project, view) if project else _removal(address, desired, view)
        if project is not None and _saves_lifecycle(project, view.entry, planned[address].steps):
            result.lifecycles[address] = project.lifecycle
    unseen = [address for address, made in planned.items() if made.rewritten]
    if unseen:
        result.diagnostics.append(rewritten(unseen))
    _one_address_each(projects, planned, live)
    order(projects, planned, views)
    for address, view in views.items():
        _add(
            result,
            planned[address],
            moves.get(address),
            view,
            entries.get(address),
            refresh_only=selection.refresh_only,
        )
    result.diagnostics += rename_findings(desired, known, result.steps, state.identity)
    return Plan(
        id=header.id,
        reconciler_version=header.version,
        workspace=state.workspace,
        environment=state.environment,
        api_url=state.api_url,
        api_version=contract.current().version,
        created_at=header.created_at,
        lineage=state.lineage,
        serial=state.serial,
        steps=tuple(_with_slots(result.steps, live, active_limit)),
        basis=result.basis,
        lifecycles=result.lifecycles,
        diagnostics=tuple(result.diagnostics),
        unchanged=result.unchanged,
        managed=len(entries),
        uploads=_uploads(result.steps, state),
        left_out=_left_out(desired, state, selection, result.steps),
        families=_families(views.keys() & projects.keys(), result.steps),
        downloads=_downloads(projects, planned, entries, refresh_only=selection.refresh_only),
        declared=_declared(desired.projects, result.steps),
        requests_used=live.requests,
        destroy=selection.destroy,
        refresh_only=selection.refresh_only,
    )


def _views(
    desired: Desired,
    projects: Mapping[str, DesiredProject],
    entries: Mapping[str, Entry],
    state: State,
    live: Snapshot,
    selection: Selection,
    candidates: Candidates,
    at: str,
) -> dict[str, View]:
    """What planning knows about each selected address: first the declared ones in their order, then those that are gone."""
    unsettled = unsettled_addresses(state)
    names = names_of([*projects, *(entries.keys() - projects.keys())], desired, state)
    bound = live.elsewhere.taken
    bound |= {entry.studio_id: Holder(address) for address, entry in entries.items() if entry.studio_id}
    bound |= {entry.project_id: Holder(address) for address, entry in entries.items()}
    renamed = {moved.to_address for moved in desired.moved}
    return {
        address: View(
            address=address,
            entry=entries.get(address),
            live=live,
            lineage=state.lineage,
            identity=state.identity,
            next_generation=state.generations.get(address, 0) + 1,
            pending=tuple(i for i in state.pending.values() if i.address in names[address]),
            replace=address in selection.replace,
            keep_failed=address in selection.keep_failed
            or (selection.recreate_daily and is_new_successor(entries.get(address), live, at)),
            candidates=candidates,
            bound=bound,
            fresh=state.new or not unsettled.isdisjoint(names[address]),
            disagreement=_disagreement(names[address], state),
            renamed=address in renamed,
            former=tuple(name for name in names[address][1:] if name not in state.projects),
        )
        for address in [*projects, *sorted(entries.keys() - projects.keys())]
        if selection.takes(address)
    }


def names_of(addresses: Iterable[str], desired: Desired, state: State) -> dict[str, list[str]]:
    """Each address, and the earlier names of it under which something may still be open: a call whose outcome is unknown, a
    project that may exist. A name that the specs have given away again counts until its project has moved.
    """
    names = {address: [address] for address in addresses}
    heirs = defaultdict(set, {address: {address} for address in names if address not in state.projects})
    for moved in reversed(desired.moved):
        old = moved.from_address
        if old in state.projects or old not in desired.projects:
            for address in heirs[moved.to_address] - heirs[old]:
                names[address].append(old)
            heirs[old] |= heirs[moved.to_address]
    return names


def _disagreement(names: Iterable[str], state: State) -> Disagreement | None:
    return next((Disagreement(name, state.disputes[name]) for name in names if name in state.disputes), None)


def _add(
    result: _Result, planned: ProjectPlan, move: Move | None, view: View, entry: Entry | None, *, refresh_only: bool
) -> None:
    """Add one address to the result. ``entry`` is as in the state, without new digests: a saved plan is checked against it."""
    steps: list[Step] = [*([move] if move else []), *planned.steps]
    result.diagnostics += planned.diagnostics
    if refresh_only:
        result.diagnostics += planned.drift
        steps = []
    if not steps:
        result.unchanged += not any(d.attention for d in planned.diagnostics)
        return
    result.steps += steps
    fields = tuple(
        change.path.removeprefix("settings.")
        for step in steps
        for change in step.changes
        if not (change.sensitive or change.before == REPLACEMENT)
    )
    result.basis[view.address] = basis(
        entry,
        view.project or subject(steps, view.live),
        missing=view.missing,
        fields=fields,
        former=view.former,
        hide=result.hide,
    )


def _downloads(
    projects: Mapping[str, DesiredProject],
    planned: Mapping[str, ProjectPlan],
    entries: Mapping[str, Entry],
    *,
    refresh_only: bool,
) -> dict[str, str]:
    """Where the videos of the planned projects are downloaded to: of those that there are, or will be."""
    return {
        address: folder
        for address, made in planned.items()
        if (project := projects.get(address)) is not None and (folder := project.deliver.download) is not None
        if not refresh_only and (address in entries or made.steps) and not project.cancelled
    }


def _declared(projects: Mapping[str, DesiredProject], steps: Iterable[Step]) -> dict[str, Declared]:
    """Where the projects of the steps are declared, in the order of the steps."""
    return {
        address: Declared(file=project.location.file, line=project.location.line or 0, tags=project.tags)
        for address in dict.fromkeys(step.address for step in steps)
        if (project := projects.get(address)) is not None and project.location is not None
    }


def _left_out(desired: Desired, state: State, selection: Selection, steps: Iterable[Step]) -> tuple[str, ...]:
    if not state.new or selection.destroy:
        return ()
    planned = {step.address for step in steps}
    return tuple(p.address for p in new_addresses(desired, state, Selection()) if p.address not in planned)


def _families(declared: Iterable[str], steps: Iterable[Step]) -> tuple[str, ...]:
    """The base names of ``for_each`` projects of which these steps do not create all."""
    created = {step.address for step in steps if isinstance(step, Create)}
    return tuple(
        sorted({address.partition("[")[0] for address in declared if "[" in address and address not in created})
    )


def _saves_lifecycle(project: DesiredProject, entry: Entry | None, steps: Iterable[Step]) -> bool:
    """Whether apply saves the lifecycle: the state has another one, or gets a new entry with the default one."""
    begins = any(describe(step).begins != "nothing" for step in steps)
    kept = entry.lifecycle if entry is not None and not begins else Lifecycle()
    return project.lifecycle != kept and (entry is not None or begins)


def _one_address_each(projects: Mapping[str, DesiredProject], planned: dict[str, ProjectPlan], live: Snapshot) -> None:
    """Two addresses must not be bound to one project: neither is changed, and both get an error."""
    adopted = {p.source_project_id: p.id for p in live.projects.values() if p.source_project_id is not None}
    binders: dict[str, list[str]] = {}
    for address, made in planned.items():
        for step in made.steps:
            bound = step.project_id if isinstance(step, Import) else None
            if isinstance(step, Adopt):
                bound = adopted.get(str(step.body["project_id"]))
            if bound is not None:
                binders.setdefault(bound, []).append(address)
    for project_id, addresses in binders.items():
        for address in addresses if len(addresses) > 1 else ():
            planned[address] = ProjectPlan(diagnostics=[ambiguous(projects[address], project_id, addresses)])


def _removal(address: str, desired: Desired, view: View) -> ProjectPlan:
    entry = view.entry
    assert entry is not None, address
    if view.blocked:
        return ProjectPlan(diagnostics=[view.blocked])
    override = next((r.action for r in desired.removed if r.address == address), None)
    declared = desired.projects.get(address)
    lifecycle = declared.lifecycle if declared else entry.lifecycle
    action = "protect" if lifecycle.on_remove == "protect" and declared else override or lifecycle.on_remove
    reason = "destroy was requested" if declared else "it left the specs"
    if override:
        reason = f"`removed` says {override}"
    steps, diagnostics = removal_steps(address, entry, view.project, action, reason)
    return ProjectPlan(steps=steps, diagnostics=diagnostics)


def _moved(
    desired: Desired, state: State, selection: Selection, result: _Result
) -> tuple[dict[str, Entry], dict[str, Move]]:
    """The entries by the addresses of the specs, and the steps that rename them."""
    entries = dict(state.projects)
    moves: dict[str, Move] = {}
    for moved in desired.moved:
        selected = selection.takes(moved.to_address) or selection.takes(moved.from_address)
        if moved.from_address not in entries or not selected:  # the old name by itself must not look removed
            continue
        if moved.to_address in entries:
            too = moves.get(moved.to_address)
            why = (
                "the state has both"
                if too is None
                else f"the state has `{too.from_address}`, too, which is moved there"
            )
            result.diagnostics.append(
                Diagnostic(
                    severity="error",
                    address=moved.to_address,
                    summary=f"can't move `{moved.from_address}` to `{moved.to_address}`: {why}",
                    detail="Remove the `moved` entry, or forget one of the two with `reconciler state rm`.",
                    location=moved.location,
                )
            )
            continue
        entry = entries[moved.to_address] = entries.pop(moved.from_address)
        moves[moved.to_address] = Move(
            address=moved.to_address,
            project_id=entry.project_id,
            from_address=moved.from_address,
            reason=f"renamed from `{moved.from_address}`",
        )
    names = {
        **forgotten_names(desired, state.projects),
        **{move.from_address: address for address, move in moves.items()},
    }
    return {a: e.renamed(lambda name: names.get(name, name)) if names else e for a, e in entries.items()}, moves


def forgotten_names(desired: Desired, entries: Mapping[str, Entry]) -> dict[str, str]:
    """Former names of projects that the state does not have, by which its references may still know them: there is nothing
    to move, and yet the reference means the same as before.
    """
    return {
        moved.from_address: moved.to_address
        for moved in desired.moved
        if moved.from_address not in entries and moved.from_address not in desired.projects
    }


def _unknown_selectors(desired: Desired, entries: Mapping[str, Entry], selection: Selection) -> Iterable[Diagnostic]:
    known = desired.projects.keys() | entries.keys()
    for address in sorted((selection.targets or frozenset()) | selection.replace):
        if address not in known:
            yield Diagnostic(
                severity="error",
                address=address,
                summary=f"`{address}` is neither in the specs nor in the state",
                detail=did_you_mean(address, known)
                or "`reconciler state list` shows the addresses in the state. In `--target`, `*` matches any text.",
            )
        elif not selection.takes(address):
            yield Diagnostic(
                severity="error",
                address=address,
                summary=f"`--replace {address}` names a project that `--target` leaves out",
                detail=f"It would not be replaced. Add `--target {address}`, or omit `--target`.",
            )


def _uploads(steps: Iterable[Step], state: State) -> tuple[FileUpload, ...]:
    """The files that the account does not have yet, one for each content."""
    new: dict[str, str] = {}
    for step in steps:
        for digest, file in files_in(sent_body(step)).items():
            if digest not in state.uploads:
                new.setdefault(digest, file)
    return tuple(FileUpload(file, digest) for digest, file in new.items())


def _with_slots(steps: list[Step], live: Snapshot, active_limit: int) -> Iterable[Step]:
    """Mark the steps that have to wait for a slot; an agent at work takes one (decisions/0009)."""
    active = (
        live.active
        if live.active is not None
        else sum(contract.is_active(project.status) for project in live.projects.values())
    )
    free = active_limit - active
    taken: set[str] = set()
    for step in steps:
        if not describe(step).slot or not step.ready or step.address in taken:
            yield step
            continue
        taken.add(step.address)
        old = live.projects.get(step.project_id or "") if isinstance(step, Replace) else None
        free -= old is None or not contract.is_active(old.status)  # its cancel frees the slot that the new one takes
        if free >= 0:
            yield step
        else:
            yield replace(step, waits_for=f"a free slot ({active_limit} projects may be active at once)")


def unsettled_addresses(state: State) -> frozenset[str]:
    """Addresses for which nothing was done, as it could not be told whether the account has their projects already, or
    their key told of another one.
    """
    return frozenset(address for address, generation in state.generations.items() if not generation) | (
        state.disputes.keys() - state.projects.keys()
    )


def imported_ids(desired: Desired) -> frozenset[str]:
    """The projects that the specs take over by their ids."""
    origins = (project.origin for project in desired.projects.values())
    return frozenset(origin.project_id for origin in origins if isinstance(origin, ImportOrigin))


def binds_new(desired: Desired, state: State, selection: Selection) -> bool:
    """Whether a project may be created, adopted or imported that the state does not have yet."""
    return bool(new_addresses(desired, state, selection)) or any(
        a not in state.projects and not isinstance(p.origin, CreateOrigin) for a, p in desired.projects.items()
    )


def wanted_ids(desired: Desired, state: State) -> frozenset[str]:
    """The ids of the projects to read: those managed and those to import."""
    return imported_ids(desired) | {entry.project_id for entry in state.projects.values()}


def new_addresses(desired: Desired, state: State, selection: Selection) -> list[DesiredProject]:
    """Projects that would be created and were never in the state."""
    if selection.destroy:
        return []
    moved = {moved.to_address for moved in desired.moved if moved.from_address in state.projects}
    return [
        project
        for address, project in desired.projects.items()
        if isinstance(project.origin, CreateOrigin)
        and not project.cancelled
        and selection.takes(address)
        and address not in state.projects
        and not state.generations.get(address)
        and address not in moved
    ]
