"""Safety steps of the product, each with a way to take it away inside a run, so that the tests can show they miss it."""

import contextlib

from msgspec.structs import replace

from reconciler.adapters.state import lease, local, objects, remote, spill
from reconciler.model.journal import Begin, Draft, End
from reconciler.operations.apply import exactly_once, execute
from reconciler.operations.calls import create, message
from reconciler.operations.read import refresh
from reconciler.operations.read.conversation import Window


def _records(kept):
    """The journal takes only what ``kept`` makes of a record."""
    append = local.LocalStateStore.append

    async def filtered(self, record):
        record = kept(record)
        if record is not None:
            await append(self, record)

    local.LocalStateStore.append = filtered


def _no_intent():
    _records(lambda record: None if isinstance(record, Begin) else record)


def _no_outcome():
    _records(lambda record: None if isinstance(record, End) and record.op else record)


def _no_fsync():
    local.os.fsync = lambda fd: None


def _no_truncation():
    local.os.ftruncate = lambda fd, size: None


def _no_settling():
    async def settle(run, intent):
        pass

    message.settle = settle


def _no_look_before_sending():
    look = message.look_before_sending

    async def nothing(*arguments):
        window, _ = await look(*arguments)
        return Window((), window.newest), message.Claims((), None)

    message.look_before_sending = nothing


def _no_look_when_recovering():
    async def nothing(*_):
        return message.Found()

    message.find_message = nothing


def _no_recovery_of_lost_answers():
    async def not_done(run, monitor, intent, recover):
        await run.record(End(op=intent.op, result="not_done"))
        return exactly_once.Resolution("not_done", "")

    exactly_once.resolve = not_done


def _no_staleness():
    execute.stale_reason = lambda *_: None


def _unread_is_absent():
    async def none(api, ids, titles):
        return {}, set(ids)

    refresh._one_by_one = none


def _no_check_for_failed():
    matches = create._matches

    async def all_alive(run, intent, body):
        found, elsewhere = await matches(run, intent, body)
        return [replace(project, status="idle") for project in found], elsewhere

    create._matches = all_alive


def _no_check_for_rivals():
    create._has_rival = lambda *_: False


def _no_progress():
    fold = Draft.fold

    def without(self, record):
        fold(self, replace(record, plan=None) if isinstance(record, End) else record)

    Draft.fold = without


def _no_lock():
    @contextlib.contextmanager
    def nothing(*_, **__):
        yield

    local.hold_lock = nothing


def _no_generations():
    create._is_predecessor = lambda *_: False


def _no_knowledge_of_the_brief():
    message.brief_of = lambda *_: None


TAKEN_AWAY = {
    "intent": _no_intent,
    "outcome": _no_outcome,
    "fsync": _no_fsync,
    "truncation of a torn line": _no_truncation,
    "settling": _no_settling,
    "look before sending": _no_look_before_sending,
    "look when recovering": _no_look_when_recovering,
    "recovery of lost answers": _no_recovery_of_lost_answers,
    "staleness": _no_staleness,
    "unread is not absent": _unread_is_absent,
    "check for failed": _no_check_for_failed,
    "check for rivals": _no_check_for_rivals,
    "progress": _no_progress,
    "lock": _no_lock,
    "generations": _no_generations,
    "knowledge of the brief": _no_knowledge_of_the_brief,
}


def _no_look_at_the_lease():
    remote.RemoteStateStore.check = lambda self: None


def _no_fence():
    lease.Lease.seized = property(lambda self: False, lambda self, value: None)


def _no_fence_after_the_fold():
    clear = remote.RemoteStateStore._clear
    remote.RemoteStateStore._clear = lambda self, folded, fences: clear(self, folded, frozenset())


def _no_create_if_absent():
    def create(self, name, data):
        objects.obstore.put(self._store, name, data, use_multipart=False)
        return True

    objects.Objects.create = create
    objects.Objects.is_strict = lambda self, name, data: True


def _no_test_of_the_store():
    objects.Objects.is_strict = lambda self, name, data: True


def _no_renewal():
    lease.Lease.renew = lambda self: None


def _no_spill():
    spill.Spill.keep = lambda self, header, writer, records: None


TAKEN_AWAY_FROM_REMOTE = {
    "look at the lease": _no_look_at_the_lease,
    "fence": _no_fence,
    "fence after the fold": _no_fence_after_the_fold,
    "create only if absent": _no_create_if_absent,
    "test of the store": _no_test_of_the_store,
    "renewal": _no_renewal,
    "spill": _no_spill,
}
