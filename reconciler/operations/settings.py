"""PATCHing settings: waiting while the agent blocks it, and what is known afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Literal

from msgspec.structs import replace

from reconciler.model import contract
from reconciler.model.errors import (
    Diagnostic,
    WrongStatusError,
)
from reconciler.model.events import Noted
from reconciler.model.journal import Effect, Learn
from reconciler.model.live import LiveProject
from reconciler.model.plan import (
    Step,
)
from reconciler.model.state import Intent, Known
from reconciler.model.values import Json, Value, has_secret, sealed
from reconciler.operations.calls import commit
from reconciler.operations.run import Deferred, Run
from reconciler.operations.wait import Monitor
from reconciler.planning.knowledge import setting_changes


async def patch(
    run: Run,
    monitor: Monitor,
    step: Step,
    body: Mapping[str, Value],
    number: int,
    *,
    kind: Literal["update", "release"] = "update",
    final: bool = True,
) -> None:
    """PATCH settings, waiting while the agent's work blocks it."""
    project_id = run.draft.projects[step.address].project_id
    wire = run.reveal(body, step.address)

    async def effects(answer: Mapping[str, Json], intent: Intent) -> tuple[Effect, ...]:
        return (Learn(address=intent.address, settings=_patched(run, step, body, wire, answer)),)

    def intent() -> Intent:
        return run.intent(kind, step.address, step=number, body=body, project_id=project_id, final=final)

    for last in (False, False, True):
        live = await monitor.until(project_id, _patchable, "the agent to pause", step)
        try:
            await commit(run, monitor, intent, lambda: run.api.patch_settings(project_id, wire), effects)
        except WrongStatusError:
            if last:
                raise
            await monitor.look(project_id)
        else:
            shown = {name: value for name, value in wire.items() if name in contract.LIST_SETTINGS}
            monitor.note(replace(live, source="list", settings={**live.settings, **shown}))
            return


def _patchable(live: LiveProject) -> bool:
    return not contract.settings_blocked(live.status)


def _patched(
    run: Run, step: Step, body: Mapping[str, Value], wire: Mapping[str, Json], answer: Mapping[str, Json]
) -> dict[str, Known]:
    """What is known after a PATCH. An answer that says something else than was asked counts as read, with a warning, but
    what was asked stays the knowledge: else every plan would ask again.
    """
    at = run.now()
    known: dict[str, Known] = {}
    for name, value in body.items():
        as_asked = name in answer and answer[name] == wire[name]
        known[name] = Known(sealed(value), "patch" if as_asked else "sent", at)
        if name in answer and not as_asked:
            asked, got = ("a secret", "another value") if has_secret(value) else (repr(wire[name]), repr(answer[name]))
            run.emit(
                Noted(
                    diagnostic=Diagnostic(
                        severity="warning",
                        address=step.address,
                        summary=f"settings.{name} was set to {asked}, but the API answered {got}",
                        detail="The plan goes by what was asked. If the API is right, put its value into the spec.",
                    )
                )
            )
    return known


async def converge(
    run: Run, monitor: Monitor, step: Step, settings: Mapping[str, Value], live: LiveProject, number: int
) -> None:
    """Give a project that was there before the settings that the approved step asked for.

    It is part of the step before ``number``, which is over already.
    """
    entry = run.draft.projects[step.address]
    changes = setting_changes(settings, entry, live, lineage=run.draft.lineage, at=run.now())
    if changes:
        with contextlib.suppress(Deferred):  # the next plan shows what is left
            await patch(run, monitor, step, {name: settings[name] for name in changes}, number, final=False)
