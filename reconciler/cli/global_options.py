"""The global options where they stand after the command's name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.completion import complete_environments

if TYPE_CHECKING:
    from reconciler.cli.console import Console


def add_global_options(command: click.Command) -> None:
    """Give a command, or all commands of a group, the options that stand before it, after its name too. Its own win."""
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            add_global_options(inner)
        return
    taken = {name for param in command.params for name in param.opts}
    for option in _global_options():
        if option.name not in (param.name for param in command.params) and not taken.intersection(option.opts):
            command.params.append(option)


def add_environment_option(command: click.Command) -> None:
    """The same for `--environment`, which `--help` shows there."""
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            add_environment_option(inner)
    elif not any(option.name == "environment" for option in command.params):
        command.params.append(
            click.Option(
                ["-e", "--environment"],
                metavar="NAME",
                expose_value=False,
                callback=_choose_environment,
                shell_complete=complete_environments,
                help="The environment of `reconciler.yaml` to work in.",
            )
        )


def _choose_environment(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    console: Console = ctx.obj
    flag = ctx.get_parameter_source(param.name or "") is click.core.ParameterSource.COMMANDLINE
    if value is None or (console.environment_flag and not flag):
        return
    if console.environment_flag and console.environment != value:
        raise click.UsageError(f"--environment is given twice: {console.environment} and {value}", ctx)
    console.environment, console.environment_flag = value, flag


def _global_options() -> tuple[click.Option, ...]:
    """Without variables: those were read before the command."""

    def option(*names: str, **how: Any) -> click.Option:
        return click.Option(
            names, expose_value=False, hidden=True, allow_from_autoenv=False, callback=_tell_console, **how
        )

    return (
        option("-C", "--chdir", type=click.Path()),
        option("--state"),
        option("--api-url"),
        option("--key-command"),
        option("--policy", multiple=True, type=click.Path()),
        option("--notify"),
        option("--no-color", is_flag=True),
        option("-v", "--verbose", count=True),
    )


def _tell_console(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    console: Console = ctx.obj
    if not value:
        return
    match param.name:
        case "chdir":
            console.start(value)
        case "state":
            console.state, console.state_flag = value, True
        case "api_url":
            console.api_url = value
        case "key_command":
            console.key_command, console.key_command_flag = value, True
        case "policy":
            console.policy += value
        case "notify":
            console.notify = value
        case "no_color":
            console.disable_color()
        case "verbose":
            console.verbose += value
        case _:
            raise AssertionError(param.name)
