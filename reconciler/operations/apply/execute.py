"""Executing a plan: the steps of a project in order, projects side by side; one's failure does not stop the others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from shlex import quote
from typing import Final, assert_never

from reconciler.model.errors import Diagnostic, HaltedError, ReconcilerError, StateError, VersionError
from reconciler.model.events import ApplyStarted, OutcomeKind, StepEnded, StepResult, StepStarted, StepWaiting
from reconciler.model.live import Snapshot
from reconciler.model.plan import (
    Adopt,
    Cancel,
    Create,
    Forget,
    Import,
    Message,
    Move,
    Plan,
    Release,
    Render,
    Replace,
    Share,
    Step,
    Update,
    describe,
    sent_body,
)
from reconciler.model.references import projects_in
from reconciler.operations.apply import steps as do
from reconciler.operations.apply.dependencies import await_others
from reconciler.operations.apply.exactly_once import Done, Overtaken
from reconciler.operations.apply.in_vain import require_possible
from reconciler.operations.apply.polling import Monitor, finished
from reconciler.operations.apply.run import TIME_IS_UP, Deferred, Interrupted, Run, Undecided, diagnostic_of
from reconciler.operations.calls.adopt import adopt
from reconciler.operations.calls.cancel import cancel
from reconciler.operations.calls.create import create
from reconciler.operations.calls.message import send_message
from reconciler.operations.calls.render import render
from reconciler.operations.calls.share import share
from reconciler.operations.calls.upload import forget_refused_uploads, upload_files
from reconciler.operations.concurrency import run_all
from reconciler.planning.findings import ways_to_decide
from reconciler.planning.knowledge import basis, subject
from reconciler.planning.matching import Candidates
from reconciler.planning.ordering import waiting_for
from reconciler.planning.staleness import repeated_reason, stale_reason, strayed_reason


class _Skipped(Exception):  # noqa: N818
    """The step is not done because of another one's outcome; the text says why."""


_OTHER_VERSION: Final = "the API speaks another version"


class Executor:
    """Executes one plan. ``live`` is what was just read; a saved plan is checked against it first."""

    def __init__(self, run: Run, plan: Plan, live: Snapshot, monitor: Monitor, *, saved: bool) -> None:
        self._run = run
        self._plan = plan
        self._live = live
        self._monitor = monitor
        self._saved = saved
        self._unmanaged = Candidates.of(live, run.draft.projects) if saved and run.draft.new else None
        """Where the state is new or lost: what an earlier run of the saved plan may have created."""
        self._results: dict[int, StepResult] = {}
        self._number = {id(step): number for number, step in enumerate(plan.steps)}
        self._steps = plan.by_address()
        self._told = False
        """Whether a step has failed because the API speaks another version: the others say no more than that."""
        self._ended = {address: asyncio.Event() for address in self._steps}
        """Set once nothing more will be done at an address."""
        self._started: set[int] = set()
        run.begun = self._begin

    async def execute(self) -> tuple[StepResult, ...]:
        """Execute the plan; the results are in its order. Raises nothing that one project's failure causes.

        Raises:
            StateError: the journal can't be written: nothing more is done.

        """
        self._run.emit(ApplyStarted(steps=len(self._plan.steps), addresses=len(self._steps)))
        for address, entry in self._run.draft.projects.items():
            self._monitor.names[entry.project_id] = address
        await run_all(self._project(address, steps) for address, steps in self._steps.items())
        return tuple(self._results[number] for number in range(len(self._plan.steps)))

    # ── one project ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _project(self, address: str, steps: Sequence[Step]) -> None:
        try:
            done = await self._in_order(address, steps)
        finally:
            self._ended[address].set()
        wait = self._run.options.wait
        if done and (wait == "idle" or (wait == "steps" and address in self._plan.downloads)):
            await self._await_agent(address)

    async def _in_order(self, address: str, steps: Sequence[Step]) -> bool:
        """Do an address's steps one after the other. Returns whether all are done."""
        progress = self._run.draft.progress.get(address)
        resumed = progress is not None and progress.plan == self._run.plan_id
        done = progress.done if progress is not None and resumed else 0
        for step in steps[:done]:
            self._end(step, "done", note="done by an earlier run of this plan", already=True)
        blocked = self._blocked(address, done, resumed=resumed)
        if blocked is not None:
            self._refuse(steps[done:], blocked)
            return False
        for number in range(done, len(steps)):
            other = self._other_project(steps[number])
            if other is not None:
                self._refuse(steps[number:], other)
                return False
            if not await self._step(steps[number], number):
                ended = self._results[self._number[id(steps[number])]]
                if self._saved and ended.outcome == "done":  # overtaken: what was approved can no longer be done
                    self._refuse(steps[number + 1 :], _stale(address, ended.note))
                    return False
                for later in steps[number + 1 :]:
                    self._end(later, "deferred" if ended.outcome == "deferred" else "skipped")
                return False
        return True

    def _blocked(self, address: str, done: int, *, resumed: bool) -> Diagnostic | None:
        """Why nothing may be done at this address: a call of unknown fate, or a saved plan that no longer fits."""
        planned = self._plan.basis.get(address) if self._saved else None
        former = planned.former if planned is not None and not done else ()
        for intent in self._run.draft.pending.values():
            if intent.address in (address, *former):
                return Diagnostic(
                    severity="error",
                    address=address,
                    summary=f"it is unknown whether the {intent.kind} of `{intent.address}` was done; nothing else is done "
                    "here",
                    detail="Apply again later; or check the account and "
                    f"{ways_to_decide(intent.kind, intent.address)}.",
                )
        if not self._saved:
            return None
        renamed = next((name for name in former if name in self._run.draft.projects), None)
        if renamed is not None:
            return _stale(address, f"the state has `{renamed}` now, which the specs rename to `{address}`")
        entry = self._run.draft.projects.get(address)
        steps = self._steps[address]
        moved = next((step.from_address for step in steps if isinstance(step, Move)), None)
        if entry is None and moved is not None:
            entry = self._run.draft.projects.get(moved)
        strayed = strayed_reason(entry, steps, done)
        if resumed or strayed is not None:
            return None if strayed is None else _stale(address, strayed)
        live = self._live.projects.get(entry.project_id) if entry else subject(steps, self._live)
        now = basis(
            entry,
            live,
            missing=entry is not None and entry.project_id in self._live.missing,
            fields=tuple(planned.observed) if planned else (),
            hide=self._run.redact.value,
        )
        why = stale_reason(planned, now, steps)
        if why is None and self._unmanaged is not None:
            why = repeated_reason(self._plan, steps, self._unmanaged)
        return None if why is None else _stale(address, why)

    def _other_project(self, step: Step) -> Diagnostic | None:
        """Why a step would act on another project than the plan showed."""
        entry = self._run.draft.projects.get(step.address)
        if entry is None or isinstance(step, Import) or step.project_id in (None, entry.project_id):
            return None
        return _stale(step.address, f"it is now bound to `{entry.project_id}`, not to `{step.project_id}`")

    async def _step(self, step: Step, number: int) -> bool:
        if self._run.stop.is_set():
            self._end(step, "deferred", note="interrupted before it started")
            return False
        try:
            done = await self._do(step, number)
        except _Skipped as why:
            self._end(step, "skipped", note=str(why))
        except Deferred as why:
            self._end(step, "deferred", note=f"waits for {why}" if str(why) else TIME_IS_UP)
        except (Interrupted, HaltedError):
            self._end(step, "deferred", note="interrupted" if self._run.stop.is_set() else TIME_IS_UP)
        except Overtaken as why:
            self._end(step, "done", note=str(why), already=True)
            return False
        except Undecided as why:
            self._end(step, "unknown", error=why.finding or _unknown(step, str(why)))
        except StateError:
            raise
        except ReconcilerError as error:
            await forget_refused_uploads(self._run, step, error)
            self._fail(step, error)
        else:
            self._end(step, "done", note=done.note, already=done.already)
            return True
        return False

    async def _do(self, step: Step, number: int) -> Done:
        """Do a step once what it waits for is there. Raises VersionError: the API speaks another version; if this step's
        answer told so, it is done all the same.
        """
        require_possible(self._run, step)
        await self._await_others(step)
        require_possible(self._run, step)
        await upload_files(self._run, step)
        done = await self._act(step, number)
        if not self._told:
            self._run.api.check_version()
        return done

    def _begin(self, step: Step) -> None:
        """Tell of a step once its first call is about to be sent."""
        number = self._number[id(step)]
        if number not in self._started:
            self._started.add(number)
            self._run.emit(StepStarted(step=step))

    async def _await_others(self, step: Step) -> None:
        """Wait for the projects that a step depends on: for their steps, then for their agents."""
        planned = [address for address in step.after if address in self._ended]
        first = next((address for address in planned if not self._ended[address].is_set()), None)
        reported = first is not None and self._run.options.wait != "none"
        if first is not None and reported:
            seconds = self._monitor.interval("running")
            self._run.emit(StepWaiting(step=step, waits_for=_waiting_for(step, first), seconds=seconds))
        await run_all(self._await_steps(step, address) for address in planned)
        await await_others(self._run, self._monitor, step, reported=reported)

    async def _await_steps(self, step: Step, address: str) -> None:
        """Wait until all that is planned at an address is done. Raises Deferred, or _Skipped: it will not be."""
        await self._ended[address].wait()
        results = [self._results.get(self._number[id(other)]) for other in self._steps[address]]
        outcomes = {result.outcome if result else "failed" for result in results}
        if outcomes <= {"done"}:
            return
        if outcomes <= {"done", "deferred"}:
            raise Deferred(_waiting_for(step, address))
        raise _Skipped(f"it waits for `{address}`, and not all steps of that were done")

    async def _act(self, step: Step, number: int) -> Done:  # noqa: C901, PLR0911, PLR0912  one line for each kind of step
        """Do one step."""
        if not describe(step).calls:
            self._run.emit(StepStarted(step=step))
        run, monitor = self._run, self._monitor
        match step:
            case Create():
                return await create(run, monitor, step, number)
            case Replace():
                return await do.replace_project(run, monitor, step, number)
            case Adopt():
                return await adopt(run, monitor, step, number)
            case Import():
                return await do.import_project(run, monitor, step, number)
            case Update():
                return await do.update(run, monitor, step, number)
            case Message():
                return await send_message(run, monitor, step, number)
            case Render():
                return await render(run, monitor, step, number)
            case Share():
                return await share(run, monitor, step, number)
            case Cancel():
                return await cancel(run, monitor, step, number)
            case Release():
                return await do.release(run, monitor, step, number)
            case Forget():
                return await do.forget(run, monitor, step, number)
            case Move():
                return await do.move(run, step, number)
            case _:
                assert_never(step)

    async def _await_agent(self, address: str) -> None:
        """``--wait idle``: wait until the agent has stopped, then read its outputs once."""
        entry = self._run.draft.projects.get(address)
        if entry is None:
            return
        try:
            live = await self._monitor.until(entry.project_id, finished, "the agent to finish")
            if live.agent_message is None or live.assembled_url is None:
                await self._monitor.look(entry.project_id)
        except (Deferred, Interrupted):
            return
        except StateError:
            raise
        except ReconcilerError:
            return  # every step is done; only its outputs could not be read

    # ── outcomes ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _refuse(self, steps: Iterable[Step], why: Diagnostic) -> None:
        first = True
        for step in steps:
            self._end(step, "failed" if first else "skipped", error=why if first else None)
            first = False

    def _fail(self, step: Step, error: ReconcilerError) -> None:
        """End a step with its error; the same one is told once."""
        if isinstance(error, VersionError) and self._told:
            self._end(step, "skipped", note=_OTHER_VERSION)
            return
        self._told = self._told or isinstance(error, VersionError)
        self._end(step, "failed", error=diagnostic_of(error, step.address))
        self._monitor.stir()

    def _end(
        self,
        step: Step,
        outcome: OutcomeKind,
        *,
        note: str = "",
        already: bool = False,
        error: Diagnostic | None = None,
    ) -> None:
        entry = self._run.draft.projects.get(step.address)
        project_id = entry.project_id if entry else step.project_id
        if outcome != "done" and isinstance(step, Replace) and entry is not None and entry.replacing:
            other = error is not None and error.kind == "identity"  # its key is another project's
            way = f"`--replace {quote(step.address)}`" if other else "the next apply"
            begun = f"`{entry.project_id}` is cancelled, and {way} creates its replacement"
            note = f"{note}; {begun}" if note else begun
        self._results[self._number[id(step)]] = StepResult(
            step=step,
            outcome=outcome,
            project_id=project_id,
            note=note,
            error=error,
            already=already,
        )
        self._run.emit(StepEnded(step=step, outcome=outcome, project_id=project_id, note=note, error=error))


def _waiting_for(step: Step, address: str) -> str:
    return waiting_for(address, video=address in projects_in(sent_body(step)))


def _stale(address: str, why: str) -> Diagnostic:
    return Diagnostic(
        severity="error",
        address=address,
        kind="stale",
        summary=f"stale: {why}",
        detail="That changed after the plan was made. The remaining steps of this project were not done; make a new plan.",
    )


def _unknown(step: Step, why: str) -> Diagnostic:
    return Diagnostic(
        severity="error",
        address=step.address,
        summary=f"it is unknown whether the {step.action} was done: {why}",
        detail="It is not repeated on a guess. The next apply looks again; or check the account and "
        f"{ways_to_decide(step.action, step.address)}.",
        attention=True,
    )
