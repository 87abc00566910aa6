"""Options that several commands share."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from reconciler.cli.console import Console

F = TypeVar("F", bound=Callable[..., Any])


class Duration(click.ParamType[float]):
    """Seconds as a number, or with a unit: ``90``, ``90s``, ``30m``, ``1h30m``."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, int | float):
            return float(value)
        match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?", value.strip())
        if not match or not any(match.groups()):
            self.fail(f"`{value}` is not a duration; write `90s`, `30m` or `1h30m`", param, ctx)
        hours, minutes, seconds = match.groups()
        return float(hours or 0) * 3600 + float(minutes or 0) * 60 + float(seconds or 0)


DURATION = Duration()


class Digest(click.ParamType[str]):
    """A SHA-256 in hex, whole: a part of one could be met by another plan."""

    name = "digest"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not re.fullmatch(r"[0-9a-fA-F]{64}", value):
            self.fail(f"`{value}` is not a digest; `reconciler show PLANFILE` prints its 64 hex digits", param, ctx)
        return str(value).lower()


DIGEST = Digest()


class FormatOption(click.Option):
    """``--format``, whose variable is named as it is, not as its parameter (``format_``)."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        return os.environ.get(f"{ctx.auto_envvar_prefix}_FORMAT") or None


def formats(*names: str) -> Callable[[F], F]:
    """``--format``, which the console learns at once, so that failures obey it too."""

    def learn(ctx: click.Context, _: click.Parameter, value: str) -> str:
        console: Console = ctx.obj
        console.format = value
        return value

    return click.option(
        "--format",
        "format_",
        cls=FormatOption,
        type=click.Choice(names),
        default=names[0],
        show_default=True,
        is_eager=True,
        callback=learn,
        help="How to print the result.",
    )


def variables(command: F) -> F:
    """``--var`` and ``--var-file``."""
    command = click.option(
        "--var-file",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Values of `${var.…}`, as YAML.",
    )(command)
    return click.option("--var", multiple=True, metavar="NAME=VALUE", help="The value of `${var.NAME}`.")(command)


def targets(command: F) -> F:
    """``--target``."""
    help_ = "Only this project and, unless it is destroyed, what it depends on (may be repeated)."
    option = click.option("--target", multiple=True, metavar="ADDRESS", help=help_)
    return option(command)


def selectors(command: F) -> F:
    """What to plan for."""
    for option in (
        targets,
        click.option("--replace", multiple=True, metavar="ADDRESS", help="Make this project anew (may be repeated)."),
        click.option("--no-refresh", is_flag=True, help="Take what the state says of managed projects for true."),
        click.option("--refresh-only", is_flag=True, help="Only take note of what changed outside."),
    ):
        command = option(command)
    return variables(command)


def running(*, wait: str, timeout: str | None = None) -> Callable[[F], F]:
    """How to go about executing a plan, with the command's own defaults."""
    options = (
        click.option(
            "--wait",
            type=click.Choice(["none", "steps", "idle"]),
            default=wait,
            show_default=True,
            help="none: do what can be done now. steps: wait as planned steps need. idle: until agents finish.",
        ),
        click.option(
            "--timeout",
            type=DURATION,
            default=timeout,
            show_default=timeout is not None,
            metavar="DURATION",
            help="Defer the rest after this long, like `30m`.",
        ),
        click.option(
            "--parallelism", type=click.IntRange(1, 100), default=8, show_default=True, help="Calls under way at once."
        ),
        click.option(
            "--poll-interval", type=click.FloatRange(0.01), metavar="SECONDS", help="Look this often while waiting."
        ),
        click.option(
            "--settle",
            type=click.FloatRange(0),
            metavar="SECONDS",
            help="How long a message of unknown fate may still show up.",
        ),
        click.option(
            "--events",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="Append what happens to FILE, one JSON object a line.",
        ),
    )

    def decorate(command: F) -> F:
        for option in options:
            command = option(command)
        return command

    return decorate


def applying(command: F) -> F:
    """How to apply."""
    for option in (
        click.option("--auto-approve", is_flag=True, help="Do not ask."),
        running(wait="steps"),
        click.option(
            "--lock-timeout", type=DURATION, default=0.0, metavar="DURATION", help="Wait this long for the lock."
        ),
        click.option(
            "--force",
            is_flag=True,
            help="Lift the guards against losing projects: the share, emptied specs, changed keys (never `protect`).",
        ),
        click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 where steps were deferred."),
        formats("text", "json"),
    ):
        command = option(command)
    return command
