"""Recovery of the calls that an earlier run left open, before anything new is planned.

Each intent becomes *done* (with what it did), *not done*, or stays *unknown*. How a call is recovered stands beside how
it is made (``operations/calls``); a lost answer within a run is recovered by the same code.
"""

from __future__ import annotations

import asyncio
from typing import assert_never

from reconciler.model.errors import ApiError, ReconcilerError
from reconciler.model.events import Recovered
from reconciler.model.live import Snapshot
from reconciler.model.state import IntentKind
from reconciler.operations.apply.exactly_once import Recovery, resolve
from reconciler.operations.apply.polling import Monitor
from reconciler.operations.apply.run import Interrupted, Run, summary_of
from reconciler.operations.calls.adopt import AdoptCall
from reconciler.operations.calls.cancel import CancelCall
from reconciler.operations.calls.create import CreateCall
from reconciler.operations.calls.message import MessageCall
from reconciler.operations.calls.render import RenderCall
from reconciler.operations.calls.settings import SettingsCall
from reconciler.operations.calls.share import ShareCall


def recovery_of(kind: IntentKind) -> Recovery:
    """How a call of this kind is recovered."""
    match kind:
        case "create":
            return CreateCall.recover
        case "adopt":
            return AdoptCall.recover
        case "update" | "release":
            return SettingsCall.recover
        case "cancel":
            return CancelCall.recover
        case "message":
            return MessageCall.recover
        case "render":
            return RenderCall.recover
        case "share":
            return ShareCall.recover
        case _:
            assert_never(kind)


async def recover_open_calls(run: Run) -> None:
    """Recover every open call: one after the other at an address, addresses side by side.

    Raises:
        ApiError: the account can't be asked.
        Interrupted: the user asked to stop.

    """
    if not run.draft.pending:
        return
    monitor = Monitor(run, Snapshot())
    by_address: dict[str, list[str]] = {}
    for intent in run.draft.pending.values():
        by_address.setdefault(intent.address, []).append(intent.op)
    try:
        outcomes = await asyncio.gather(
            *(_recover_address(run, monitor, ops) for ops in by_address.values()), return_exceptions=True
        )
    finally:
        await monitor.aclose()
    for outcome in outcomes:  # only once all have ended: nobody may write after the state is saved
        if outcome is not None:
            raise outcome


async def _recover_address(run: Run, monitor: Monitor, ops: list[str]) -> None:
    for op in ops:
        intent = run.draft.pending[op]
        if run.stop.is_set():
            raise Interrupted
        try:
            resolution = await resolve(run, monitor, intent, recovery_of(intent.kind))
        except ApiError:
            raise
        except ReconcilerError as error:
            run.emit(Recovered(address=intent.address, kind=intent.kind, result="unknown", note=summary_of(error)))
        else:
            run.emit(
                Recovered(address=intent.address, kind=intent.kind, result=resolution.result, note=resolution.note)
            )
