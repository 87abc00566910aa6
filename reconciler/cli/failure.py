"""What a command that fails says, and the exit code it ends with."""

from __future__ import annotations

import sys

import click

from reconciler.cli.console import Console, discard
from reconciler.cli.reference import ERROR, INTERRUPTED
from reconciler.model.errors import Diagnostic, ReconcilerError


def report_failure(error: BaseException, console: Console) -> int:
    """Tell the user why the command ended; the exit code for it."""
    match error:
        case ReconcilerError():
            console.fail(error.diagnostics)
        case click.exceptions.NoArgsIsHelpError():
            click.echo(error.format_message(), err=True)
        case click.ClickException():
            ctx = error.ctx if isinstance(error, click.UsageError) else None
            usage = f"{_two_dashes(error)}See `{ctx.command_path} --help`." if ctx else ""
            console.fail((Diagnostic(severity="error", summary=error.format_message(), detail=usage),))
        case click.Abort() | KeyboardInterrupt():
            console.note("Interrupted.")
            return INTERRUPTED
        case BrokenPipeError():
            discard(sys.stdout)
        case _:
            console.report_bug(error)
    return ERROR


def _two_dashes(error: click.ClickException) -> str:
    """What to say to an option with one dash, as Terraform takes it."""
    if not isinstance(error, click.NoSuchOption) or error.ctx is None:
        return ""
    words = (word.partition("=")[0] for word in sys.argv[1:] if word.startswith("-") and not word.startswith("--"))
    known = {name for param in error.ctx.command.params for name in param.opts}
    meant = next((f"-{word}" for word in words if f"-{word}" in known and len(word) > len("-x")), None)
    return f"Options have two dashes: `{meant}`. " if meant else ""
