"""Command-line options that several commands share, and how a group of them becomes one struct."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from reconciler.cli.completion import complete_addresses, complete_tags
from reconciler.cli.console import Console
from reconciler.cli.variables import Variables
from reconciler.model import contract

if TYPE_CHECKING:
    from reconciler.planning.selection import Selection

Callback = Callable[..., object]
"""The function behind a command."""
Option = Callable[[Callback], Callback]
"""A decorator that gives a command options."""


def collect(name: str, fields: Collection[str], make: Callback, *options: Option) -> Option:
    """Give a command several options, whose values it gets as one argument.

    Args:
        name: The argument.
        fields: The parameters of the options.
        make: Makes the argument from these parameters.
        options: In the order in which `--help` shows them.

    """

    def decorate(command: Callback) -> Callback:
        @functools.wraps(command)
        def call(*arguments: object, **parameters: object) -> object:
            values = {field: parameters.pop(field) for field in fields}
            return command(*arguments, **parameters, **{name: make(**values)})

        collected: Callback = call
        for option in reversed(options):
            collected = option(collected)
        return collected

    return decorate


def as_struct(name: str, struct: type[Struct], *options: Option) -> Option:
    """Give a command several options, whose values it gets as one struct with a field for each."""
    return collect(name, struct.__struct_fields__, struct, *options)


class Duration(click.ParamType[float]):
    """Seconds as a number, or with a unit: ``90``, ``90s``, ``30m``, ``1h30m``."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, int | float):
            return float(value)
        match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?", str(value).strip())
        if not match or not any(match.groups()):
            self.fail(f"`{value}` is not a valid duration; write `90s`, `30m` or `1h30m`", param, ctx)
        hours, minutes, seconds = match.groups()
        return float(hours or 0) * 3600 + float(minutes or 0) * 60 + float(seconds or 0)


DURATION = Duration()


class Address(click.ParamType[tuple[str, int]]):
    """``HOST:PORT``; an IPv6 host in brackets."""

    name = "address"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        host, _, port = str(value).rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:
            self.fail(f"`{value}` is not a valid address; write `127.0.0.1:9090` or `[::1]:9090`", param, ctx)
        return host.removeprefix("[").removesuffix("]"), int(port)


class Digest(click.ParamType[str]):
    """A whole SHA-256 in hex: another plan could have the same part of one."""

    name = "digest"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not re.fullmatch(r"[0-9a-fA-F]{64}", str(value)):
            self.fail(f"`{value}` is not a digest; `reconciler show PLANFILE` prints its 64 hex digits", param, ctx)
        return str(value).lower()


DIGEST = Digest()


class FormatOption(click.Option):
    """``--format``, whose variable is named after the option, not after its parameter (``format_``)."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        return os.environ.get(f"{ctx.auto_envvar_prefix}_FORMAT") or None


def formats(*names: str) -> Option:
    """``--format``. The console learns it at once, so that failures obey it too."""

    def tell_console(ctx: click.Context, _: click.Parameter, value: str) -> str:
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
        callback=tell_console,
        help="Output format.",
    )


def api_version(help_: str) -> Option:
    """``--api-version``."""
    return click.option("--api-version", type=click.Choice(contract.versions()), help=help_)


variables = as_struct(
    "variables",
    Variables,
    click.option("--var", multiple=True, metavar="NAME=VALUE", help="Set `${var.NAME}`. Repeatable."),
    click.option(
        "--var-file",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Read variables from a YAML file. Repeatable.",
    ),
)


exclude = click.option(
    "--exclude",
    multiple=True,
    metavar="ADDRESS",
    shell_complete=complete_addresses,
    help="Leave out this project and those that depend on it. Takes the same patterns as --target. Repeatable.",
)
exclude_shown = click.option(
    "--exclude",
    multiple=True,
    metavar="ADDRESS",
    shell_complete=complete_addresses,
    help="Leave out this project. Takes the same patterns as ADDRESSES. Repeatable.",
)
tag = click.option(
    "--tag",
    multiple=True,
    metavar="TAG",
    shell_complete=complete_tags,
    help="Only projects with this tag. Repeatable.",
)


def selection_of(targets: Collection[str], exclude: Collection[str], tags: Collection[str]) -> Selection:
    """What the options chose, for the planner; without targets all."""
    from reconciler.planning.selection import Selection  # noqa: PLC0415  few commands select

    return Selection(targets=frozenset(targets) or None, exclude=frozenset(exclude), tags=frozenset(tags))


class Chosen(Struct, frozen=True, kw_only=True):
    """The managed projects that a command shows; without addresses all."""

    addresses: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()

    def selection(self) -> Selection:
        """The same for the planner."""
        return selection_of(self.addresses, self.exclude, self.tag)


addresses = click.argument("addresses", nargs=-1, shell_complete=complete_addresses)
chosen = as_struct("chosen", Chosen, addresses, exclude_shown, tag)


auto_approve = click.option(
    "-y", "--yes", "--auto-approve", "auto_approve", is_flag=True, help="Skip the confirmation prompt."
)
lock_timeout = click.option(
    "--lock-timeout",
    type=DURATION,
    default=0.0,
    metavar="DURATION",
    help="Wait up to this long for the state lock (default: don't wait).",
)
