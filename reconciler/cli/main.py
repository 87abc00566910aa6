"""The ``reconciler`` command: global options, lazily loaded commands, and the only catch-all."""

from __future__ import annotations

import gc
import importlib
import os
import signal
import sys
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from reconciler.cli.console import Console, discard
from reconciler.model.errors import Diagnostic, ReconcilerError
from reconciler.model.version import VERSION

COMMANDS: Final = {
    "init": "Write `reconciler.yaml` and a first spec.",
    "validate": "Check configuration, specs and sent messages; needs no network.",
    "fmt": "Rewrite specs in canonical form; comments stay.",
    "plan": "Show what apply would do; changes nothing.",
    "apply": "Make the account as the specs say.",
    "destroy": "Part with everything that is managed.",
    "show": "Print a saved plan.",
    "status": "Show managed projects as they are now.",
    "messages": "Show the conversation of one project.",
    "output": "Print ids, URLs and last agent messages; fetch files.",
    "watch": "Apply again and again: every few minutes, and when called.",
    "report": "Write a page that shows every managed project.",
    "import": "Bind an existing project to an address.",
    "export": "Write specs for projects that no spec declares.",
    "state": "Look at the state, or mend it.",
    "schema": "Print the JSON Schema of spec files.",
    "sandbox": "The emulated API: serve it, let it misbehave, or start afresh.",
}
COLLECTOR: Final = (100_000, 20, 20)
"""Thresholds: next to nothing here is in cycles, and looking for them took a seventh of a plan."""
EXAMPLES: Final = """\b
Examples:
  reconciler init                            # a workspace to start from
  reconciler --api-url sandbox plan          # try for nothing: embedded, no key
  reconciler plan --out saved.plan           # what apply would do, saved
  reconciler apply saved.plan                # exactly that, or refused

\b
Environment:
  EVERSINCE_API_KEY          the key (api.key_env may name another EVERSINCE_ variable)
  EVERSINCE_API_URL          the API, instead of api.url in `reconciler.yaml`
  RECONCILER_ALLOWED_HOSTS   hosts, by commas, that api.url may name besides the vendor's
                             and this machine: api.example.com (any port) or host:port
  RECONCILER_STATE           like --state: a place for the state, also outside the workspace
  RECONCILER_MAX_PROJECTS    projects that specs may declare (20,000)
  RECONCILER_MAX_TEXT_MIB    MiB of text that they may expand to (64)
"""


class LazyGroup(click.Group):
    """Knows its commands' names and help without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"reconciler.cli.commands.{cmd_name}_")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib  # noqa: PLC0415  only a slip of the finger needs it

            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            if not near:
                raise
            raise click.UsageError(f"{error.message} Did you mean `{near[0]}`?", ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"reconciler {VERSION}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "RECONCILER"},
)
@click.option(
    "-C",
    "--chdir",
    type=click.Path(path_type=Path),
    default=".",
    help="Work in this directory; the workspace is it, or the nearest above.",
    metavar="DIR",
)
@click.option("--state", "state", metavar="PATH|URL", help="Where the state lies, instead of `reconciler.yaml`'s.")
@click.option("--api-url", metavar="URL|sandbox", envvar=None, help="The API, or the embedded sandbox.")
@click.option("--no-color", is_flag=True, help="No colours (also: NO_COLOR).")
@click.option("-v", "--verbose", count=True, help="Say more: -v long texts in full, -vv every request.")
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
@click.pass_context
def cli(
    ctx: click.Context, *, chdir: Path, state: str | None, api_url: str | None, no_color: bool, verbose: int
) -> None:
    """Plan and apply for Eversince creative-agent projects: specs in git, a plan you can trust, nothing paid twice."""
    console: Console = ctx.obj
    console.root = chdir
    console.state = state
    console.state_flag = ctx.get_parameter_source("state") is click.core.ParameterSource.COMMANDLINE
    console.api_url = api_url
    console.verbose = verbose
    if no_color or os.environ.get("NO_COLOR"):
        console.no_color()


def main() -> NoReturn:
    """Run the command line. Exit codes: 0 done, 1 error (usage errors too), 2 as documented, 130 interrupted."""
    gc.set_threshold(*COLLECTOR)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # they would see the values of secrets
    _open_streams()
    console = Console(sys.argv[1:])
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = cli.main(prog_name="reconciler", standalone_mode=False, obj=console)
    except ReconcilerError as error:
        console.fail(error.diagnostics)
        code = 1
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        code = 1
    except click.ClickException as error:
        ctx = error.ctx if isinstance(error, click.UsageError) else None
        usage = f"See `{ctx.command_path} --help`." if ctx else ""
        console.fail((Diagnostic(severity="error", summary=error.format_message(), detail=usage),))
        code = 1
    except (click.Abort, KeyboardInterrupt):
        console.note("Interrupted.")
        code = 130
    except BrokenPipeError:
        discard(sys.stdout)
        code = 1
    except Exception as error:  # noqa: BLE001  the only catch-all: no traceback reaches a user
        console.bug(error)
        code = 1
    gc.freeze()  # nor are cycles looked for at the end, which took a seventh of a plan once more
    sys.exit(_code(code))


def _open_streams() -> None:
    """Where a standard stream is closed, put nothing in its place: else a file of ours would get its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115  open to the end


def _code(result: Any) -> int:
    return result if isinstance(result, int) else 0
