"""Options of the commands that plan and apply: what to plan for, and how to execute it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
from msgspec import Struct
from msgspec.structs import replace

from reconciler.cli.claims import claimant, pull_request
from reconciler.cli.completion import complete_addresses
from reconciler.cli.options import (
    DURATION,
    Option,
    as_struct,
    auto_approve,
    collect,
    exclude,
    formats,
    lock_timeout,
    selection_of,
    tag,
)
from reconciler.model.config import Config
from reconciler.model.errors import UsageError
from reconciler.planning.selection import Selection

if TYPE_CHECKING:
    from reconciler.operations.apply.run import Options, WaitMode

force = click.option(
    "--force",
    is_flag=True,
    help="Allow a plan that loses many projects (`policy.max_share`, emptied specs, changed `for_each` keys), but never those with `on_remove: protect`.",
)
target = click.option(
    "--target",
    multiple=True,
    metavar="ADDRESS",
    shell_complete=complete_addresses,
    help="Only this project and its dependencies (only the project itself if it is destroyed). The name of a `for_each` "
    "selects all of its projects; `*` matches any text. Repeatable.",
)


FailOn = Literal["never", "attention"]
fail_on = click.option(
    "--fail-on",
    type=click.Choice(["never", "attention"]),
    default="never",
    show_default=True,
    help="`attention`: exit with 3 if a project needs a person, such as a failed one.",
)
TARGETS = (target, exclude, tag)


class Targets(Struct, frozen=True, kw_only=True):
    """Which projects to plan for."""

    target: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()

    def chosen(self) -> Selection:
        """For the planner."""
        return selection_of(self.target, self.exclude, self.tag)


class Selectors(Targets, frozen=True, kw_only=True):
    """What to plan for."""

    replace: tuple[str, ...] = ()
    refresh_only: bool = False
    no_refresh: bool = False

    def selection(self, *, destroy: bool = False) -> Selection:
        """For the planner. Raises UsageError for selectors that exclude each other."""
        if destroy and (self.replace or self.refresh_only):
            raise UsageError("`--destroy` can't be combined with `--replace` or `--refresh-only`")
        if self.refresh_only and self.replace:
            raise UsageError("`--refresh-only` can't be combined with `--replace`")
        return replace(
            self.chosen(),
            replace=frozenset(self.replace),
            destroy=destroy,
            refresh_only=self.refresh_only,
            refresh=not self.no_refresh,
        )


targets = as_struct("targets", Targets, *TARGETS)


def _selectors(*, destroys: bool = False) -> Option:
    """``destroys``: what can't be combined with that is refused, and not shown."""
    return as_struct(
        "selectors",
        Selectors,
        *TARGETS,
        click.option(
            "--replace",
            multiple=True,
            metavar="ADDRESS",
            shell_complete=complete_addresses,
            hidden=destroys,
            help="Recreate this project. Repeatable.",
        ),
        click.option(
            "--refresh-only",
            is_flag=True,
            hidden=destroys,
            help="Only record changes made outside; change no project.",
        ),
        click.option("--no-refresh", is_flag=True, help="Trust the state; don't read managed projects."),
    )


selectors = _selectors()
destroy_selectors = _selectors(destroys=True)


class Execution(Struct, frozen=True, kw_only=True):
    """How to execute a plan. Times are in seconds; ``None``: as configured, or as the API advises."""

    wait: WaitMode
    timeout: float | None
    parallelism: int
    poll_interval: float | None
    settle: float | None
    events: Path | None

    def options(self, config: Config, *, poll_scale: float) -> Options:
        """For the engine."""
        from reconciler.operations.apply.run import Options  # noqa: PLC0415  a plan executes nothing

        limits = config.limits
        return Options(
            wait=self.wait,
            parallelism=self.parallelism,
            poll_interval=self.poll_interval,
            poll_scale=poll_scale,
            settle=limits.settle_seconds if self.settle is None else self.settle,
            active_limit=limits.active_projects,
        )


def execution(*, wait: WaitMode, timeout: str | None = None) -> Option:
    """How to execute a plan, with the command's own defaults."""
    return as_struct(
        "execution",
        Execution,
        click.option(
            "--wait",
            type=click.Choice(["none", "steps", "idle"]),
            default=wait,
            show_default=True,
            help="none: defer what can't run now. steps: wait until planned steps can run. "
            "idle: also wait until agents finish.",
        ),
        click.option(
            "--timeout",
            type=DURATION,
            default=timeout,
            show_default=timeout is not None,
            metavar="DURATION",
            help="Defer the remaining steps after this long, such as `30m`.",
        ),
        click.option(
            "--parallelism",
            type=click.IntRange(1, 100),
            default=8,
            show_default=True,
            metavar="N",
            help="Limit concurrent calls.",
        ),
        click.option(
            "--poll-interval", type=click.FloatRange(0.01), metavar="SECONDS", help="Check waiting projects this often."
        ),
        click.option(
            "--settle",
            type=click.FloatRange(0),
            metavar="SECONDS",
            help="If it is unclear whether a create or a message was sent, wait this long for it to appear.",
        ),
        click.option(
            "--events",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="Append events to FILE, one JSON object per line.",
        ),
    )


applicant = collect(
    "claimant",
    ("pull_request", "pull_request_url"),
    claimant,
    pull_request(
        "The pull request that this is for, such as `acme/shop#12`. Its first apply claims the workspace and "
        "environment: all others are refused until `reconciler unlock`."
    ),
    click.option(
        "--pull-request-url",
        envvar="RECONCILER_PULL_REQUEST_URL",
        metavar="URL",
        help="Its page, for those who wait for it.",
    ),
)
"""Whose plan or apply it is: a claimant, or ``None``."""


class Applying(Struct, frozen=True, kw_only=True):
    """How `apply` and `destroy` ask, guard and report."""

    auto_approve: bool
    approved_by: tuple[str, ...]
    force: bool
    lock_timeout: float
    detailed_exitcode: bool
    fail_on: FailOn
    format_: str


applying = as_struct(
    "applying",
    Applying,
    auto_approve,
    click.option(
        "--approved-by",
        multiple=True,
        metavar="GROUP",
        help="This group has approved what a policy lets it approve. It is not checked: see `reconciler help policy`. "
        "Repeatable.",
    ),
    force,
    lock_timeout,
    click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 if steps were deferred."),
    fail_on,
    formats("text", "json"),
)
