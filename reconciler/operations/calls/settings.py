"""``PATCH /projects/:id/settings``: waiting while the agent blocks it, and what is known afterwards.

A release is this call with ``mode: none``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Literal

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from reconciler.model import contract
from reconciler.model.errors import ApiError, Diagnostic
from reconciler.model.events import Noted
from reconciler.model.journal import Learn
from reconciler.model.likeness import renders
from reconciler.model.live import LiveProject
from reconciler.model.plan import Step
from reconciler.model.state import Intent, Known
from reconciler.model.values import Json, Revealed, Secret, Value, WireBody, has_secret, masked, seal_with, sealed
from reconciler.operations.apply.exactly_once import Resolution, commit, retry_status
from reconciler.operations.apply.polling import Monitor
from reconciler.operations.apply.run import Deferred, Run
from reconciler.planning.knowledge import setting_changes


class SettingsCall(Struct):
    """``final``: the step is over with this call. ``live`` is the project as it was seen last before the call."""

    run: Run
    step: Step
    number: int
    project_id: str
    body: Mapping[str, Value]
    wire: WireBody
    live: LiveProject
    kind: Literal["update", "release"]
    final: bool

    def intent(self) -> Intent:
        return self.run.intent(
            self.kind,
            self.step.address,
            step=self.number,
            body=self.body,
            project_id=self.project_id,
            final=self.final,
        )

    async def send(self) -> dict[str, Json]:
        return await self.run.api.patch_settings(self.project_id, self.wire)

    async def effects(self, answer: Mapping[str, Json], intent: Intent) -> tuple[Learn]:
        known = _known_after(self.run, self.step, self.body, self.live, sent=self.wire.expose(), answer=answer)
        return (Learn(address=intent.address, settings=known),)

    @staticmethod
    async def recover(_run: Run, _monitor: Monitor, intent: Intent, /) -> Resolution:
        """Forget what is known of the settings that it changed, so that they are planned again."""
        learn = Learn(address=intent.address, settings=dict.fromkeys(intent.body))
        return Resolution("not_done", "its settings are planned again", (learn,))


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

    async def attempt() -> None:
        live = await monitor.until(project_id, _is_patchable, "the agent to pause", step)
        call = SettingsCall(run, step, number, project_id, body, wire, live, kind, final)
        try:
            answer = await commit(run, monitor, call)
        except ApiError:  # refused: all is as it was seen
            raise
        except BaseException:  # the answer is lost: what was seen before it, by polls as well, may no longer hold
            monitor.note(_after(monitor.projects[project_id], body, {}))
            raise
        monitor.note(_after(live, body, answer or {}))

    await retry_status(monitor, project_id, attempt)


def _after(live: LiveProject, body: Mapping[str, Value], answer: Mapping[str, Json]) -> LiveProject:
    """What the list shows after a PATCH, as far as its answer tells. How it shows a title is seen later."""
    api = contract.current()
    listed = [name for name in body if name in api.shown_in("list") and api.field(name).kind != "text"]
    answered = {name: answer[name] for name in listed if name in answer}
    rest = {name: value for name, value in live.settings.items() if name not in body}
    return replace(live, source="list", settings={**rest, **answered})


def _is_patchable(live: LiveProject) -> bool:
    return not contract.settings_blocked(live.status)


def _known_after(
    run: Run,
    step: Step,
    body: Mapping[str, Value],
    live: LiveProject,
    *,
    sent: Mapping[str, Json],
    answer: Mapping[str, Json],
) -> dict[str, Known]:
    """What is known after a PATCH. The value that was set is kept as known, so that the next plan does not set it again; an
    answer that shows another value is kept beside it, and reported once. An answer that shows what was there before is
    ignored, unless it is just a form of what was set, or the value was sent before without being seen since.
    """
    at = run.now()
    recorded = run.draft.projects[step.address].settings
    known: dict[str, Known] = {}
    for name, asked in sent.items():
        before = _shown_before(live, recorded, name)
        hidden = UNSET if before is UNSET else run.redact.value(before)
        new = Known(sealed(body[name]), "patch" if name in answer else "sent", at, before=hidden)
        got, old = answer.get(name, asked), recorded.get(name)
        if got != asked:
            form = renders(asked, got)
            again = old is not None and (old.value, old.source, old.kept) == (new.value, "sent", UNSET)
            if form or got != before or again:
                new = replace(new, kept=_kept_form(run, body[name], got))
            else:
                new = replace(new, source="sent")
            if old is None or (old.value, old.kept) != (new.value, new.kept) or new.kept is UNSET:
                values = None if has_secret(body[name]) else (masked(body[name]), got)
                _report(run, step, name, values, form=form, kept=new.kept)
        known[name] = new
    return known


def _shown_before(live: LiveProject, recorded: Mapping[str, Known], name: str) -> Json | UnsetType:
    """What the account showed of a setting, as far as known."""
    if name in live.settings:
        return live.settings[name]
    old = recorded.get(name)
    return UNSET if old is None else old.value if old.kept is UNSET else old.kept


def _kept_form(run: Run, asked: Value, got: Json) -> Json:
    if has_secret(asked) and isinstance(got, str):
        parts = asked.parts if isinstance(asked, Secret) else ()
        return sealed(seal_with(Secret("", "", Revealed(got), parts), run.draft.lineage))
    return run.redact.value(got)


def _report(
    run: Run, step: Step, name: str, values: tuple[Json, Json] | None, *, form: bool, kept: Json | UnsetType
) -> None:
    asked, got = ("a secret", "another value") if values is None else map(repr, values)
    detail = "Plans go by the value that was set. If the API is right, put its value into the spec."
    if kept is not UNSET:
        detail = "Both count as the same until one of them changes; it is not set again."
    run.emit(
        Noted(
            diagnostic=Diagnostic(
                severity="note" if form else "warning",
                address=step.address,
                summary=f"settings.{name} was set to {asked}, and the account keeps it as {got}"
                if form
                else f"settings.{name} was set to {asked}, but the API answered {got}",
                detail=detail,
            )
        )
    )


async def converge(
    run: Run, monitor: Monitor, step: Step, settings: Mapping[str, Value], live: LiveProject, number: int
) -> None:
    """Set what the approved step asked for on a project that was there before.

    It is part of the step before ``number``, which is recorded as done already.
    """
    entry = run.draft.projects[step.address]
    changes = setting_changes(settings, entry, live, lineage=run.draft.lineage, at=run.now())
    if changes:
        with contextlib.suppress(Deferred):  # the next plan shows what is left
            await patch(run, monitor, step, {name: settings[name] for name in changes}, number, final=False)
