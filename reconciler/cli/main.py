"""The ``reconciler`` command: global options, lazily loaded commands, and the only catch-all."""

from __future__ import annotations

import functools
import importlib
import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NoReturn

import click

from reconciler.cli.completion import complete_environments
from reconciler.cli.global_options import add_environment_option, add_global_options
from reconciler.cli.reference import DONE, ENVIRONMENT, EXIT_CODES, as_lines
from reconciler.model.version import VERSION

if TYPE_CHECKING:
    from reconciler.cli.console import Console

COMMAND_GROUPS: Final = {
    "Commands": {
        "init": "Create `reconciler.yaml` and a first spec.",
        "validate": "Check configuration and specs without using the network.",
        "plan": "Show the changes that apply would make.",
        "apply": "Make the account match the specs.",
        "destroy": "Stop managing all projects; cancel those still at work.",
        "watch": "Apply continuously: on a schedule and on webhooks.",
        "operator": "Apply what `Workspace` resources of a Kubernetes cluster say.",
    },
    "Inspect": {
        "show": "Show a saved plan.",
        "status": "Show managed projects and their status.",
        "messages": "Show the conversation of a project.",
        "environments": "List the environments, with their states.",
        "workspaces": "List workspaces, and which ones a change affects.",
        "output": "Show IDs, URLs and agent messages; download rendered files.",
        "report": "Write an HTML page about all managed projects.",
    },
    "Specs": {
        "fmt": "Format specs, keeping comments.",
        "export": "Write specs for projects that no spec declares.",
        "schema": "Print the JSON Schema of spec files.",
        "policy": "Test the rules of a policy.",
    },
    "State": {
        "claim": "Show which pull request has claimed the workspace.",
        "unlock": "Release the claim of a pull request.",
        "import": "Bind an existing project to an address.",
        "state": "Inspect, edit, move or recover the state.",
    },
    "Sandbox": {
        "sandbox": "Run and control the emulated API.",
    },
    "Help": {
        "help": "Read the manual, or the help of a command.",
        "explain": "Explain an error code or a field.",
        "completion": "Print a completion script for your shell.",
        "version": "Show the version.",
    },
}
COMMANDS: Final = {name: summary for group in COMMAND_GROUPS.values() for name, summary in group.items()}
WITHOUT_ENVIRONMENT: Final = frozenset(
    {"init", "show", "schema", "policy", "help", "explain", "environments", "completion", "version", "operator"}
)
"""Commands that read no workspace, or all of its environments, so that there is none to choose."""
ELSEWHERE: Final = {
    "taint": "To recreate a project, use `reconciler apply --replace ADDRESS`.",
    "untaint": "To undo a `--replace`, just don't apply its plan.",
    "refresh": "To record what changed outside, use `reconciler apply --refresh-only`.",
    "workspace": "To list the environments, use `reconciler environments`; to choose one, `-e NAME`.",
    "force-unlock": "To remove a lock, use `reconciler state unlock`; to release a pull request's claim, `reconciler unlock`.",
    "preview": "To see the changes, use `reconciler plan`.",
    "diff": "To see the changes, use `reconciler plan`.",
    "up": "To make the changes, use `reconciler apply`.",
    "sync": "To make the changes, use `reconciler apply`.",
    "get": "To see the projects, use `reconciler status`.",
    "list": "To see the projects, use `reconciler status` or `reconciler state list`.",
    "logs": "To see a conversation, use `reconciler messages ADDRESS`.",
    "dump": "To write specs for projects that no spec declares, use `reconciler export`.",
    "delete": "To stop managing projects, use `reconciler destroy --target ADDRESS`.",
    "down": "To stop managing all projects, use `reconciler destroy`.",
    "cancel": "To cancel a project, write `state: cancelled` in its spec.",
    "login": "The key is read from the environment variable EVERSINCE_API_KEY, or printed by `--key-command`.",
    "graph": "`reconciler plan` shows what waits for what.",
}
"""What other tools call a command, and what it is here."""
ALIASES: Final = {"env": "environments"}
EXAMPLES: Final = """\b
Examples:
  reconciler init                        # start a workspace
  reconciler --api-url sandbox plan      # try it for free: no key, no network
  reconciler plan --out saved.plan       # save the plan
  reconciler apply saved.plan            # execute exactly that plan
  reconciler help                        # the manual: getting started, specs, state, CI, ...
  reconciler explain E107                # an error, or a field like projects.settings.craft
"""


EPILOG: Final = (
    f"{EXAMPLES}\n\b\nExit codes:\n{as_lines({str(code): text for code, text in EXIT_CODES.items()})}"
    f"\n\b\nEnvironment:\n{as_lines(ENVIRONMENT)}"
)


class LazyGroup(click.Group):
    """Knows its commands' names and help without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        cmd_name = ALIASES.get(cmd_name, cmd_name)
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"reconciler.cli.commands.{cmd_name}_")
        command: click.Command = module.command
        if cmd_name not in WITHOUT_ENVIRONMENT:
            add_environment_option(command)
        add_global_options(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib  # noqa: PLC0415  only a typo needs it

            if args[0] in ELSEWHERE:
                raise click.UsageError(f"{error.message} {ELSEWHERE[args[0]]}", ctx) from error
            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            if not near:
                raise
            raise click.UsageError(f"{error.message} Did you mean `{near[0]}`?", ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        width = max(map(len, COMMANDS))
        for title, commands in COMMAND_GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), summary) for name, summary in commands.items()])


def _print_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"reconciler {VERSION}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "RECONCILER"},
)
@click.option(
    "-C",
    "--chdir",
    type=click.Path(),
    default=".",
    help="Use the workspace in this directory or, if there is none, in the nearest directory above it.",
    metavar="DIR",
)
@click.option(
    "-e",
    "--environment",
    metavar="NAME",
    shell_complete=complete_environments,
    help="The environment of `reconciler.yaml` to work in.",
)
@click.option("--state", "state", metavar="PATH|URL", help="Where the state is stored. Overrides `reconciler.yaml`.")
@click.option(
    "--api-url", metavar="URL|sandbox", envvar=None, help="API to use: a URL, or `sandbox` for the embedded one."
)
@click.option(
    "--key-command",
    metavar="COMMAND",
    help="Command that prints the API key, such as `op read op://vault/eversince/key`; runs without a shell.",
)
@click.option(
    "--policy",
    multiple=True,
    type=click.Path(),
    metavar="DIR",
    help="A folder of rules that plans must obey, from a place that the branch can't change. Repeatable.",
)
@click.option(
    "--notify",
    metavar="RECEIVERS",
    help="Send notices to slack, webhook or github, comma-separated; `reconciler help notifications` says of what.",
)
@click.option("--no-color", is_flag=True, help="Disable color output (also: NO_COLOR).")
@click.option("-v", "--verbose", count=True, help="Show more: -v for full texts, -vv for every request as well.")
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show the version."
)
@click.pass_context
def cli(
    ctx: click.Context,
    *,
    chdir: str,
    environment: str | None,
    state: str | None,
    api_url: str | None,
    key_command: str | None,
    policy: tuple[str, ...],
    notify: str | None,
    no_color: bool,
    verbose: int,
) -> None:
    """Manage Eversince creative-agent projects from specs in git.

    Plan first, then apply. Nothing is created or sent twice. The options below may also stand after the command.
    """
    make: Callable[[], Console] = ctx.obj
    ctx.obj = console = make()
    console.start(chdir)
    console.environment = environment
    console.environment_flag = ctx.get_parameter_source("environment") is click.core.ParameterSource.COMMANDLINE
    console.state = state
    console.state_flag = ctx.get_parameter_source("state") is click.core.ParameterSource.COMMANDLINE
    console.api_url = api_url
    console.key_command = key_command
    console.key_command_flag = ctx.get_parameter_source("key_command") is click.core.ParameterSource.COMMANDLINE
    console.policy = policy
    console.notify = notify
    console.verbose = verbose
    if no_color or os.environ.get("NO_COLOR"):
        console.disable_color()


def main() -> NoReturn:
    """Run the command line. Exit codes: 0 done, 1 error (usage errors too), 2 as documented, 130 interrupted."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # plugins would see the values of secrets
    # None makes an import fail. httpx can do without its own command, whose rich and pygments take a seventh of a plan's start
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
    _prepare_streams()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = functools.cache(_make_console)
    try:
        code = cli.main(prog_name="reconciler", standalone_mode=False, obj=console)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  the only catch-all: no traceback reaches a user
        from reconciler.cli.failure import report_failure  # noqa: PLC0415  only a failure needs it

        code = report_failure(error, console())
    if console.cache_info().currsize:
        console().finish()
    sys.exit(code if isinstance(code, int) else DONE)


def _make_console() -> Console:
    from reconciler.cli.console import Console  # noqa: PLC0415  as long as all of click: `--version` and `--help` need none

    return Console(sys.argv[1:])


def _prepare_streams() -> None:
    """Open a closed standard stream on nothing: otherwise a file that is opened later would get its number. And let the
    output take any text, whatever its encoding.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115  stays open
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
