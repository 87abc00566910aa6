"""``reconciler watch``."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import click
from msgspec.structs import replace

from reconciler.adapters.hooks.http_port import WatchServer
from reconciler.cli.console import Console
from reconciler.cli.context import Wired, poll_scale, wire
from reconciler.cli.event_file import event_file
from reconciler.cli.interrupts import stopping
from reconciler.cli.options import DURATION, running, targets, variables
from reconciler.cli.watch_rounds import Rounds
from reconciler.model.errors import UsageError
from reconciler.model.loopback import is_loopback
from reconciler.model.rounds import Tally
from reconciler.model.version import VERSION
from reconciler.operations.apply.run import utc_now
from reconciler.operations.watch_loop import Bell, Pace, watch
from reconciler.report.metrics import metrics_text

SECRET_ENV: Final = "EVERSINCE_WEBHOOK_SECRET"  # noqa: S105  a variable's name


class Address(click.ParamType[tuple[str, int]]):
    """``HOST:PORT``; an IPv6 host in brackets."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        host, _, port = str(value).rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:
            self.fail(f"`{value}` is no address; write `127.0.0.1:9090` or `[::1]:9090`", param, ctx)
        return host.removeprefix("[").removesuffix("]"), int(port)


@click.command(
    epilog="""\b
Examples:
  reconciler watch                                  # every 5 minutes, and on SIGHUP
  reconciler watch --interval 1h --plan-only        # say what differs, change nothing
  reconciler watch --listen 127.0.0.1:9090          # /healthz and /metrics, too
  EVERSINCE_WEBHOOK_SECRET=… reconciler watch --listen 0.0.0.0:9090    # and POST /webhook
"""
)
@click.option(
    "--interval", type=DURATION, default="5m", show_default=True, metavar="DURATION", help="From round to round."
)
@click.option("--plan-only", is_flag=True, help="Make plans, print those that are new, change nothing.")
@click.option(
    "--listen", type=Address(), metavar="HOST:PORT", help="Serve /healthz, /metrics and, with a secret, /webhook."
)
@click.option(
    "--secret-env",
    default=SECRET_ENV,
    show_default=True,
    metavar="NAME",
    help="The variable with the secret that signs webhook deliveries.",
)
@click.option(
    "--debounce",
    type=DURATION,
    default="5s",
    show_default=True,
    metavar="DURATION",
    help="From a delivery to its round; others join it.",
)
@targets
@variables
@running(wait="none", timeout="30m")
@click.pass_obj
def command(console: Console, /, **given: Any) -> int:
    """Apply again and again, without asking: every --interval, on SIGHUP, and when a webhook delivery comes.

    Each round reads configuration and specs anew and is an apply like any other: policy and guards hold, and the lock
    is held only meanwhile. Steps that wait for an agent are looked at again after --poll-interval, and a project with
    `on_failed: recreate` is made anew once a day at most. A round that fails ends nothing: the next one comes after 5 to
    10 seconds, then later and later, up to 10 minutes or --interval. What stays as it is is said once.

    --listen serves /healthz (503 after 3 failed rounds in a row, or when none was good for long), /metrics for
    Prometheus, and /webhook, where a signed delivery of the last 5 minutes brings the next round forward; nothing else
    is believed of it. A request has 15 seconds to come whole; of more than 128 connections the one that waits longest is
    closed, so that the probe is always answered.

    SIGINT and SIGTERM end it with exit code 0 once calls under way are finished and written down; a second one at once,
    with 130.
    """
    if given["interval"] < 1:
        raise UsageError(
            "`--interval` is less than a second", "Each round reads the account, and requests are rationed."
        )
    console.secret_env = (given["secret_env"],)
    wired = wire(console)
    secret = os.environ.get(given["secret_env"]) or None
    if given["listen"] is not None and secret is None and not is_loopback(given["listen"][0]):
        raise UsageError(
            f"`--listen` on an address that others reach needs a secret, and {given['secret_env']} is not set",
            "Set it to the secret that signs the deliveries, or listen on 127.0.0.1.",
        )
    console.clock = utc_now
    asyncio.run(_watch(wired, given, secret))
    console.note("Stopped.")
    return 0


async def _watch(wired: Wired, given: dict[str, Any], secret: str | None) -> None:
    console, loop = wired.console, asyncio.get_running_loop()
    async with wired.api():
        pass  # without a key, say, no round could ever be good
    poll = given["poll_interval"]
    pace = Pace(interval=given["interval"], debounce=given["debounce"])
    pace = replace(pace, poll=pace.poll * poll_scale(wired.config) if poll is None else poll)
    board = _Board(Tally(started=time.time()), silence=pace.silence(given["timeout"]), version=VERSION)
    with stopping(console) as stop, event_file(console, given["events"]) as write:
        bell = Bell(stop)
        loop.add_signal_handler(signal.SIGHUP, bell.ask)
        with _served(console, given["listen"], secret, board, lambda: loop.call_soon_threadsafe(bell.hear)):
            rounds = Rounds(console, given, write=write, stop=stop)
            await watch(rounds.round, pace, bell, tell=board.update)


class _Board:
    """What the port's thread reads: a whole tally at a time."""

    def __init__(self, tally: Tally, *, silence: float, version: str) -> None:
        self._tally = tally
        self._silence = silence
        self._version = version

    def update(self, tally: Tally) -> None:
        self._tally = tally

    def ailing(self) -> str | None:
        return self._tally.ailing(time.time(), silence=self._silence)

    def metrics(self, deliveries: Mapping[str, int]) -> str:
        return metrics_text(self._tally, deliveries=deliveries, healthy=self.ailing() is None, version=self._version)


@contextlib.contextmanager
def _served(
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
        health=board.ailing,
        metrics=board.metrics,
        on_delivery=on_delivery,
        on_refusal=lambda why: console.note(f"a delivery is refused (said once, counted in /metrics): {why}"),
    )
    with server.serving() as url:
        console.note(f"Listening on {url}.")
        yield
