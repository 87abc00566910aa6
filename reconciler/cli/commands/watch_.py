"""``reconciler watch``."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import click
from msgspec import Struct

from reconciler.adapters.hooks.http_port import WatchServer
from reconciler.cli.console import Console
from reconciler.cli.context import CommandContext, load_context, poll_scale
from reconciler.cli.event_file import open_event_file
from reconciler.cli.interrupts import ask_to_stop, run
from reconciler.cli.notify import ROUND_SECONDS, Notifier, notifier
from reconciler.cli.options import DURATION, Address, as_struct, variables
from reconciler.cli.plan_options import Execution, Targets, execution, targets
from reconciler.cli.reference import DONE
from reconciler.cli.variables import Variables
from reconciler.cli.watch_rounds import RoundOptions, Rounds
from reconciler.model.errors import ReconcilerError, UsageError
from reconciler.model.hosts import is_loopback
from reconciler.model.rounds import Tally
from reconciler.model.version import VERSION
from reconciler.operations.watch_loop import Bell, Pace, watch
from reconciler.operations.workspace import utc_now
from reconciler.report.metrics import metrics_text

SECRET_ENV: Final = "EVERSINCE_WEBHOOK_SECRET"  # noqa: S105  a variable's name


class WatchOptions(Struct, frozen=True, kw_only=True):
    """When to make rounds, of what, and where to listen. Times are in seconds."""

    interval: float
    plan_only: bool
    listen: tuple[str, int] | None
    secret_env: str
    debounce: float


watching = as_struct(
    "watching",
    WatchOptions,
    click.option(
        "--interval",
        type=DURATION,
        default="5m",
        show_default=True,
        metavar="DURATION",
        help="Time between rounds.",
    ),
    click.option("--plan-only", is_flag=True, help="Only plan: print plans that are new, change nothing."),
    click.option(
        "--listen",
        type=Address(),
        metavar="HOST:PORT",
        help="Serve /healthz, /readyz, /metrics and, with a secret, /webhook.",
    ),
    click.option(
        "--secret-env",
        default=SECRET_ENV,
        show_default=True,
        metavar="NAME",
        help="Variable with the secret that signs webhook deliveries.",
    ),
    click.option(
        "--debounce",
        type=DURATION,
        default="5s",
        show_default=True,
        metavar="DURATION",
        help="Wait this long after a delivery, so that others join its round.",
    ),
)


@click.command(
    epilog="""\b
Examples:
  reconciler watch                                  # every 5 minutes, and on SIGHUP
  reconciler watch --interval 1h --plan-only        # report changes, make none
  reconciler watch --listen 127.0.0.1:9090          # serve /healthz and /metrics
  EVERSINCE_WEBHOOK_SECRET=… reconciler watch --listen 0.0.0.0:9090    # and /webhook
"""
)
@watching
@targets
@execution(wait="none", timeout="30m")
@variables
@click.pass_obj
def command(
    console: Console, /, *, watching: WatchOptions, targets: Targets, variables: Variables, execution: Execution
) -> int:
    """Apply continuously: every --interval, on SIGHUP, and on webhook deliveries.

    Each round reads configuration and specs again, applies them without asking, and downloads what `deliver` says.
    Policies and guards hold, and the state is locked only during a round. Steps that wait for an agent are checked
    again after --poll-interval. A project with `on_failed: recreate` is recreated at most once a day. After a failed
    round the next one follows in 5 to 10 seconds, then at growing intervals, up to 10 minutes or --interval. Only what
    is new is reported.

    --listen serves /healthz (503 after 3 failed rounds in a row, or after too long without a good one), /readyz (also
    503 before the first round has ended well; `standby` while another run holds the state), /metrics for Prometheus, and
    /webhook. A signed delivery of the last 5 minutes only brings the next round forward; its content is not used. A
    request must arrive whole within 15 seconds. Above 128 connections, the one that has waited longest is closed, so
    that the probe always gets an answer.

    Several watches may share a state: only one makes a round at a time, and the others stand by. They must read the
    same specs.

    SIGINT and SIGTERM end watch with exit code 0, after calls under way are finished and recorded. A second signal ends
    it at once, with 130.
    """
    if watching.interval < 1:
        raise UsageError(
            "`--interval` is less than a second", "Each round reads the account, and requests are rationed."
        )
    console.secret_env = (watching.secret_env,)
    context = load_context(console)
    secret = os.environ.get(watching.secret_env) or None
    if watching.listen is not None and secret is None and not is_loopback(watching.listen[0]):
        raise UsageError(
            f"`--listen` on an address that others can reach needs a secret, and {watching.secret_env} is not set",
            "Set it to the secret that signs the deliveries, or listen on 127.0.0.1.",
        )
    told = notifier(context, seconds=ROUND_SECONDS)
    console.clock = utc_now
    rounds = RoundOptions(
        plan_only=watching.plan_only,
        selection=targets.chosen(),
        variables=variables,
        execution=execution,
    )
    stop = asyncio.Event()
    run(_watch(context, watching, rounds, secret, told, stop), on_signal=ask_to_stop(console, stop))
    console.note("Stopped.")
    return DONE


async def _watch(
    context: CommandContext,
    watching: WatchOptions,
    options: RoundOptions,
    secret: str | None,
    told: Notifier | None,
    stop: asyncio.Event,
) -> None:
    console, loop = context.console, asyncio.get_running_loop()
    async with context.api():
        pass  # without a key, for example, no round could succeed
    execution = options.execution
    advised = Pace(interval=watching.interval).poll * poll_scale(context.config)
    pace = Pace(
        interval=watching.interval,
        debounce=watching.debounce,
        poll=advised if execution.poll_interval is None else execution.poll_interval,
    )
    silence = pace.silence(execution.timeout or 0.0)
    board = _Board(Tally(started=time.time()), silence=silence, version=VERSION)
    with open_event_file(console, execution.events) as write:
        bell = Bell(stop)
        loop.add_signal_handler(signal.SIGHUP, bell.ask)
        rounds = Rounds(console, options, write=write, stop=stop, told=told)
        with contextlib.suppress(ReconcilerError):  # the first round says it, and whether the next ones meet it too
            rounds.report_place(context)
        with _serve(console, watching.listen, secret, board, lambda: loop.call_soon_threadsafe(bell.hear)):
            await watch(rounds.run_round, pace, bell, tell=board.update)


class _Board:
    """The latest tally, for the thread that serves the port."""

    def __init__(self, tally: Tally, *, silence: float, version: str) -> None:
        self._tally = tally
        self._silence = silence
        self._version = version

    def update(self, tally: Tally) -> None:
        self._tally = tally

    def unhealthy_because(self) -> str | None:
        return self._tally.unhealthy_because(time.time(), silence=self._silence)

    def readiness(self) -> tuple[bool, str]:
        tally = self._tally
        why = tally.unready_because(time.time(), silence=self._silence)
        return why is None, why or tally.role

    def metrics(self, deliveries: Mapping[str, int]) -> str:
        return metrics_text(
            self._tally, deliveries=deliveries, healthy=self.unhealthy_because() is None, version=self._version
        )


@contextlib.contextmanager
def _serve(
    console: Console,
    listen: tuple[str, int] | None,
    secret: str | None,
    board: _Board,
    on_delivery: Callable[[], object],
) -> Iterator[None]:
    if listen is None:
        yield
        return
    server = WatchServer(
        *listen,
        secret=secret,
        health=board.unhealthy_because,
        readiness=board.readiness,
        metrics=board.metrics,
        on_delivery=on_delivery,
        on_refusal=lambda why: console.note(f"a delivery is refused (reported once, counted in /metrics): {why}"),
    )
    with server.serving() as url:
        console.note(f"Listening on {url}.")
        yield
