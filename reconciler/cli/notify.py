"""Notices to people and machines: which receivers the user named, what they were told, and what is under way to them."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, cast, get_args

from msgspec import Struct
from msgspec.structs import replace

from reconciler.adapters.cache import cache_folder
from reconciler.cli.ci import summary_file
from reconciler.cli.inputs import RECEIVERS, explain_errors
from reconciler.model.errors import Diagnostic, ReconcilerError, UsageError
from reconciler.model.facts import KINDS, Fact, FactKind, Facts

if TYPE_CHECKING:
    from reconciler.adapters.api.client import ApiClient
    from reconciler.adapters.hooks.sinks import Delivery, Sink
    from reconciler.adapters.hooks.told import Told
    from reconciler.cli.context import CommandContext
    from reconciler.model.config import Config
    from reconciler.model.events import ApplyResult
    from reconciler.model.plan import Plan
    from reconciler.model.state import Entry, State

SINKS: Final = ("slack", "webhook", "github")
ON: Final = "RECONCILER_NOTIFY_ON"
SECONDS: Final = 10.0
"""How long a command that is done waits for its notices."""
ROUND_SECONDS: Final = 60.0
"""How long a notice of `watch` may take; nothing waits for it."""
SLACK_URL, WEBHOOK_URL, WEBHOOK_SECRET = RECEIVERS
BACKLOG_MAX: Final = 500


class _Receiver(Struct):
    """A receiver, the notice under way to it, and facts that wait for that."""

    name: str
    key: str
    sink: Sink | None
    delivery: Delivery | None = None
    sent: tuple[Fact, ...] = ()
    backlog: dict[str, Fact] = {}


class Notifier:
    """Tells the receivers that the user named what they were not told yet. Nothing here fails or holds up a run."""

    def __init__(
        self, context: CommandContext, receivers: list[_Receiver], kinds: frozenset[FactKind], *, seconds: float
    ) -> None:
        from reconciler.adapters.hooks.told import Told  # noqa: PLC0415  only with receivers

        self._console = context.console
        self._where = context.where(0)
        self._receivers = receivers
        self._kinds = kinds
        self._seconds = seconds
        context.console.finishing.append(self.finish)
        config = context.config
        self.min_credits = config.policy.min_credits
        place = config.state_place if "://" in config.state_place else str(config.root.resolve() / config.state_place)
        folder = cache_folder(os.environ, config.root)
        self._told: Told = Told(folder, (config.workspace, config.environment or "", config.api_url, place))

    def unknown(self, facts: list[Fact]) -> list[Fact]:
        """The facts that are wanted and that some receiver was not told."""
        return [
            fact
            for fact in facts
            if fact.kind in self._kinds
            and not all(self._told.knows(r.key, fact.kind, fact.key) for r in self._receivers)
        ]

    def tell(self, facts: Facts, *, holding: Mapping[FactKind, frozenset[str]] | None = None) -> None:
        """Begin to tell every receiver what is news to it. ``holding``: keys of facts that still hold, of which nothing more
        is known.
        """
        self._collect()
        wanted = [fact for fact in facts.found if fact.kind in self._kinds]
        for receiver in self._receivers:
            for kind in facts.settled:
                keys = {fact.key for fact in facts.found if fact.kind == kind} | (holding or {}).get(kind, frozenset())
                self._told.keep(receiver.key, kind, keys)
                if kind != "apply_failed":  # what happened is told, though it is over
                    receiver.backlog = {k: f for k, f in receiver.backlog.items() if f.kind != kind or k in keys}
            under_way = {fact.key for fact in receiver.sent}
            for fact in wanted:
                if fact.key not in under_way and not self._told.knows(receiver.key, fact.kind, fact.key):
                    receiver.backlog[fact.key] = fact
            for key in [*receiver.backlog][:-BACKLOG_MAX]:
                del receiver.backlog[key]
            if receiver.delivery is None and receiver.backlog:
                self._start(receiver)
        self._told.save()

    def finish(self, seconds: float = SECONDS) -> None:
        """Wait for what is under way, for so long at most, and warn of what was not delivered. Ctrl-C ends the wait."""
        end = time.monotonic() + seconds
        with contextlib.suppress(KeyboardInterrupt):
            for receiver in self._receivers:
                if receiver.delivery is not None:
                    receiver.delivery.wait(end - time.monotonic())
        self._collect(last=True)
        self._told.save()

    def _start(self, receiver: _Receiver) -> None:
        from reconciler.adapters.hooks.sinks import Delivery  # noqa: PLC0415
        from reconciler.operations.workspace import utc_now  # noqa: PLC0415
        from reconciler.report.notices import fact_id, slack_body, summary_markdown, webhook_body  # noqa: PLC0415

        facts, receiver.backlog = tuple(receiver.backlog.values()), {}
        redact = self._console.redact
        if receiver.sink is None:
            self._console.summarize(lambda: summary_markdown([redact.record(fact) for fact in facts], self._where))
            self._told.add(receiver.key, ((fact.kind, fact.key) for fact in facts))
            return
        body = (
            slack_body(facts, self._where, redact=redact)
            if receiver.name == "slack"
            else webhook_body(facts, self._where, at=utc_now(), redact=redact)
        )
        first = fact_id(self._where, facts[0])
        receiver.sent = facts
        receiver.delivery = Delivery(receiver.sink, body, delivery_id=first, seconds=self._seconds)

    def _collect(self, *, last: bool = False) -> None:
        """Remember what was delivered, and put back what was not."""
        for receiver in self._receivers:
            delivery = receiver.delivery
            if delivery is None or (delivery.under_way and not last):
                continue
            failure = delivery.failure()
            if failure is None:
                self._told.add(receiver.key, ((fact.kind, fact.key) for fact in receiver.sent))
            else:
                self._console.note(
                    f"warning: the notice to {receiver.name} was not delivered: {failure}. What still holds is told by the "
                    "next run."
                )
                receiver.backlog = {fact.key: fact for fact in receiver.sent} | receiver.backlog
            receiver.delivery, receiver.sent = None, ()


def notifier(context: CommandContext, *, seconds: float = SECONDS) -> Notifier | None:
    """The receivers that ``--notify``, its variable or the user's own configuration names; ``None`` if there are none.
    ``seconds``: what one notice may take.

    Raises:
        UsageError: there is no such receiver, or no such fact.
        ConfigError: what a receiver needs is missing or wrong.

    """
    names = _named(context)
    if not names:
        return None
    receivers = [receiver for name in names if (receiver := _receiver(name)) is not None]
    given = [word.strip() for word in os.environ.get(ON, "").split(",") if word.strip()]
    if unknown := [word for word in given if word not in KINDS]:
        raise UsageError(f"{ON}: there is no `{unknown[0]}`", f"Facts are {', '.join(KINDS)}.")
    return Notifier(context, receivers, frozenset(cast("list[FactKind]", given) or get_args(FactKind)), seconds=seconds)


def _named(context: CommandContext) -> list[str]:
    console = context.console
    if console.notify is not None:
        names = [word.strip() for word in console.notify.split(",") if word.strip()]
    else:
        from reconciler.adapters.specs.user_file import load_user_config  # noqa: PLC0415

        names = list(load_user_config(os.environ, context.config.root, explain_errors).notify)
    if unknown := [name for name in names if name not in SINKS and name != "none"]:
        raise UsageError(f"--notify: there is no receiver `{unknown[0]}`", f"Receivers are {', '.join(SINKS)}.")
    return [name for name in dict.fromkeys(names) if name != "none"]


def _receiver(name: str) -> _Receiver | None:
    if name == "github":
        return _Receiver(name, name, None) if summary_file() else None  # no job, no summary
    from reconciler.adapters.hooks.sinks import Sink, checked_url  # noqa: PLC0415  httpx, only with receivers

    variable = SLACK_URL if name == "slack" else WEBHOOK_URL
    url = checked_url(_required(variable, name), variable)
    secret = _required(WEBHOOK_SECRET, name) if name == "webhook" else None
    return _Receiver(name, f"{name}\0{url}", Sink(name=name, url=url, secret=secret))


def _required(variable: str, name: str) -> str:
    value = os.environ.get(variable, "").strip()
    if not value:
        raise UsageError(
            f"notices to {name} need {variable}, which is not set",
            "Set it in the environment: a branch can't say where notices go.",
        )
    return value


@contextlib.contextmanager
def telling_failure(told: Notifier | None) -> Iterator[None]:
    """Tell of an error that ends an apply. A question that was answered with no is none."""
    try:
        yield
    except UsageError:
        raise
    except ReconcilerError as error:
        if told is not None:
            from reconciler.operations.facts import of_error  # noqa: PLC0415

            told.tell(of_error(error, min_credits=told.min_credits))
        raise


class Seen(Struct, frozen=True, kw_only=True):
    """What a notifier needs to know of an apply besides its result: the entries before it, the state after it, agents that
    wait, and the questions of those that were not told yet.
    """

    before: Mapping[str, Entry]
    after: State
    waiting: tuple[Fact, ...] = ()
    asked: tuple[Fact, ...] = ()


async def look_around(
    told: Notifier, context: CommandContext, api: ApiClient, result: ApplyResult, before: Mapping[str, Entry]
) -> Seen | None:
    """Read what the agents ask that wait for an answer. ``None``: the state can't be read, which is no failure of the apply."""
    from reconciler.operations.facts import waiting, with_questions  # noqa: PLC0415

    try:
        after = context.state()
    except ReconcilerError:
        return None
    found = [] if result.interrupted else waiting(result, after.projects)
    asked = await with_questions(api, told.unknown(found), context.console.redact)
    return Seen(before=before, after=after, waiting=tuple(found), asked=tuple(asked))


def tell_of_apply(
    told: Notifier,
    config: Config,
    result: ApplyResult,
    seen: Seen,
    *,
    lost: Sequence[Diagnostic],
    failed: bool,
    whole: bool,
) -> None:
    """Tell of an apply that ended. ``lost``: downloads that failed; ``whole``: it was about all projects."""
    from reconciler.operations.facts import of_apply  # noqa: PLC0415
    from reconciler.report.summary import apply_line  # noqa: PLC0415

    line = apply_line(result, lost_downloads=len(lost))
    errors = [
        *(r.error for r in result.results if r.error),
        *result.plan.errors,
        *result.plan.unsettled,
        *result.undecided,
        *lost,
    ]
    why = dict.fromkeys(errors) if errors else [Diagnostic(severity="error", summary=line)]
    facts = of_apply(
        result,
        seen.before,
        seen.after,
        line=line,
        failed=why if failed else (),
        whole=whole,
        min_credits=config.policy.min_credits,
    )
    held = frozenset(fact.key for fact in seen.waiting)
    told.tell(replace(facts, found=(*facts.found, *seen.asked)), holding={"waits": held})


def tell_of_plan(
    told: Notifier, context: CommandContext, made: Plan, refused: Sequence[Diagnostic], *, whole: bool
) -> None:
    """Tell what a plan shows: drift, failed projects, low credits."""
    from reconciler.operations.facts import of_plan  # noqa: PLC0415

    entries = context.state().projects
    told.tell(of_plan(made, refused, entries, whole=whole, min_credits=context.config.policy.min_credits))
