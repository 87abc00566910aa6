"""Observations of managed projects during an apply: saved in the state, for ``output`` and the next plan."""

from __future__ import annotations

from msgspec.structs import asdict, replace

from reconciler.model.desired import Desired
from reconciler.model.events import Noted
from reconciler.model.journal import Draft, End, Learn, Spend
from reconciler.model.live import LiveProject
from reconciler.model.plan import Create, Plan
from reconciler.model.state import Known
from reconciler.model.values import is_sealed
from reconciler.operations.apply.polling import Monitor
from reconciler.operations.apply.run import Run
from reconciler.planning.findings import normalized
from reconciler.planning.kept_values import seen_first
from reconciler.planning.planner import forgotten_names


def fold_observations(run: Run, monitor: Monitor, *, drift: bool, since: str) -> None:
    """Fold what was seen into the working state; it needs no journal: it can be read again.

    What was asked for stays the knowledge, so that drift can be told; with ``drift`` what was seen replaces it.
    ``since``: when the plan's account was read. A form of its own in which the account keeps what was asked for since
    then is reported: the plan could not report it.
    """
    for address, entry in list(run.draft.projects.items()):
        live = monitor.projects.get(entry.project_id)
        if live is not None:
            _fold(run, address, live, drift=drift, since=since)


def _fold(run: Run, address: str, live: LiveProject, *, drift: bool, since: str) -> None:
    entry = run.draft.projects[address]
    first = run.redact.fields(seen_first(entry, live))
    fresh = {
        name: known
        for name, known in run.as_known(live.settings, live.source).items()
        if name not in entry.settings or (drift and name not in first and _is_other(entry.settings[name], known))
    }
    for name, form in first.items():
        asked = entry.settings[name]
        fresh[name] = replace(asked, kept=form)
        if asked.at >= since and asked.value != form:
            run.emit(Noted(diagnostic=normalized(address, name, asked.value, form)))
    seen = run.as_outputs(live)
    kept = entry.outputs if live.status == entry.outputs.status else replace(entry.outputs, error_message=None)
    outputs = replace(kept, **{k: v for k, v in asdict(seen).items() if v is not None})
    if fresh or outputs != entry.outputs:
        run.draft.fold(End(effects=(Learn(address=address, settings=fresh, outputs=outputs),)))


def _is_other(asked: Known, known: Known) -> bool:
    """Whether the account shows another value than is known, and not just the form that it keeps that in."""
    return not is_sealed(asked.value) and known.value not in (asked.value, asked.kept)


def keep_lifecycles(draft: Draft, plan: Plan) -> None:
    """Keep lifecycles in the state, so that they still count once a project has left the specs."""
    for address, lifecycle in plan.lifecycles.items():
        entry = draft.projects.get(address)
        if entry is not None and entry.lifecycle != lifecycle:
            draft.fold(End(effects=(Learn(address=address, lifecycle=lifecycle),)))


def keep_names(draft: Draft, desired: Desired | None) -> None:
    """Let references name what they mean as the specs do, also where the state has no project of that name to rename."""
    names = {} if desired is None else forgotten_names(desired, draft.projects)
    for address, entry in draft.projects.items() if names else ():
        draft.projects[address] = entry.renamed(lambda name: names.get(name, name))


def keep_unsettled(draft: Draft, plan: Plan) -> None:
    """After this apply the state is no longer new, but to these addresses it still is: their projects may be there."""
    addresses = {d.address for d in plan.unsettled if d.address is not None}
    if draft.new and (draft.projects or addresses):  # also to those that it left out or did not get to
        addresses |= {step.address for step in plan.steps if isinstance(step, Create)}.union(plan.left_out)
    for address in addresses - draft.projects.keys():
        if address not in draft.generations:
            draft.fold(End(effects=(Spend(address=address, generation=0),)))
