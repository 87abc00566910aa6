"""``reconciler state …``."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from reconciler.adapters.state.format import MAX_BYTES, decode_state, encode_entry, encode_state
from reconciler.cli.console import Console
from reconciler.cli.context import wire
from reconciler.cli.inputs import desired
from reconciler.cli.managed import chosen, state_of
from reconciler.cli.options import DURATION, formats, variables
from reconciler.model.errors import UsageError
from reconciler.model.state import State
from reconciler.model.version import VERSION
from reconciler.operations.recovery.lost_state import Finding
from reconciler.operations.state.edits import accept_log, decide, recover_state, remove, rename
from reconciler.operations.state.replacement import Exchange, replace_state
from reconciler.planning.message_log import Accepted
from reconciler.report.safe_text import clean
from reconciler.report.tables import state_list_text, table
from reconciler.report.words import plural

_lock_timeout = click.option(
    "--lock-timeout", type=DURATION, default=0.0, metavar="DURATION", help="Wait this long for the lock."
)
_auto_approve = click.option("--auto-approve", is_flag=True, help="Do not ask.")


@click.group("state", epilog="\b\nExamples:\n  reconciler state list\n  reconciler state mv teaser summer-teaser\n")
def command() -> None:
    """Look at the state, or mend it."""


@command.command("list")
@formats("text", "json")
@click.pass_obj
def list_(console: Console, *, format_: str) -> None:
    """List the addresses in the state."""
    state = state_of(wire(console))
    if format_ == "json":
        console.json({a: e.project_id for a, e in sorted(state.projects.items())})
    else:
        console.out(state_list_text(state, style=console.style()))


@command.command("show", epilog="\b\nExample:\n  reconciler state show summer-teaser\n")
@click.argument("address")
@click.pass_obj
def show(console: Console, *, address: str) -> None:
    """Print all that the state knows of one address, as JSON."""
    console.json(encode_entry(chosen(state_of(wire(console)), (address,))[address]))


@command.command("mv", epilog="\b\nExample:\n  reconciler state mv teaser summer-teaser\n")
@click.argument("source")
@click.argument("destination")
@_lock_timeout
@click.pass_obj
def mv(console: Console, *, source: str, destination: str, lock_timeout: float) -> None:
    """Rename an address. In git, a `moved` entry does the same for everybody."""
    rename(wire(console).workspace, source, destination, lock_timeout=lock_timeout)
    console.out(f"`{source}` is now `{destination}`.\n")


@command.command("rm", epilog="\b\nExample:\n  reconciler state rm old-one\n")
@click.argument("addresses", nargs=-1, required=True)
@_lock_timeout
@click.pass_obj
def rm(console: Console, *, addresses: tuple[str, ...], lock_timeout: float) -> None:
    """Forget addresses. Their projects stay as they are; a spec that still declares one makes a new project."""
    remove(wire(console).workspace, addresses, lock_timeout=lock_timeout)
    for address in addresses:
        console.out(f"`{address}` is forgotten.\n")


@command.command("resolve", epilog="\b\nExample:\n  reconciler state resolve summer-teaser --not-sent\n")
@click.argument("address")
@click.option("--sent/--not-sent", "sent", default=None, help="Whether it was done; has to be said.")
@_lock_timeout
@click.pass_obj
def resolve(console: Console, *, address: str, sent: bool | None, lock_timeout: float) -> None:
    """Say whether a call of unknown fate was done, after looking for yourself (`reconciler messages A`)."""
    if sent is None:  # click takes a flag's default for an answer, and silence would send the message again
        raise UsageError("say whether it was done", "Give `--sent` or `--not-sent`.")
    for what in decide(wire(console).workspace, address, sent=sent, lock_timeout=lock_timeout):
        console.out(f"{what} of `{address}` counts as {'done' if sent else 'not done'}.\n")


@command.command("accept", epilog="\b\nExample:\n  reconciler state accept summer-teaser\n")
@click.argument("addresses", nargs=-1, required=True)
@variables
@_lock_timeout
@click.pass_obj
def accept(
    console: Console,
    *,
    addresses: tuple[str, ...],
    var: tuple[str, ...],
    var_file: tuple[Path, ...],
    lock_timeout: float,
) -> None:
    """Take the spec's messages, as they stand now, for what was sent. Makes no call, and nothing is sent again.

    For a log that was edited, reordered or cut: every message up to the last that was sent counts as sent. What stands
    behind it is still to be sent, and `plan` shows it.
    """
    wired = wire(console)
    wanted = desired(wired.config, var, var_file)
    changed = accept_log(wired.workspace, wanted, addresses, lock_timeout=lock_timeout)
    for address in addresses:
        console.out(accepted_text(address, changed.get(address)))


def accepted_text(address: str, accepted: Accepted | None) -> str:
    """What was accepted at one address, a line for each message that it is about."""
    if accepted is None:
        return f"`{address}`: the spec's messages are those that were sent; nothing to accept.\n"
    lines = [
        *(f"`{i}`: edited; the agent has the old text" for i in accepted.edited),
        *(f"`{i}`: counts as sent; the agent never got it" for i in accepted.counted),
        *(f"`{i}`: was sent and left the log" for i in accepted.dropped),
        *(f"`{i}`: still to be sent" for i in accepted.to_send),
    ]
    return f"`{address}`: the log is accepted as the spec has it.\n" + "".join(f"  message {line}\n" for line in lines)


@command.command(
    "recover", epilog="\b\nExample:\n  rm reconciler.state.json && reconciler state recover && reconciler plan\n"
)
@variables
@_auto_approve
@_lock_timeout
@click.pass_obj
def recover(
    console: Console, *, var: tuple[str, ...], var_file: tuple[Path, ...], auto_approve: bool, lock_timeout: float
) -> None:
    """Rebuild a lost state from the account: find each declared project, show why, ask, bind. Makes only GETs."""
    wired = wire(console)
    wanted = desired(wired.config, var, var_file)

    def confirm(findings: list[Finding]) -> bool:
        console.out(findings_text(findings))
        return auto_approve or _asked(console, "Bind these?", otherwise="nothing was bound")

    async def work() -> list[Finding]:
        async with wired.api() as api:
            return await recover_state(wired.workspace, api, wanted, confirm=confirm, lock_timeout=lock_timeout)

    findings = asyncio.run(work())
    bound = sum(finding.entry is not None for finding in findings)
    if findings and not bound:
        console.out(findings_text(findings))
    console.out(f"{bound} bound. `reconciler plan` shows what differs.\n" if bound else "Nothing to bind.\n")


def findings_text(findings: list[Finding]) -> str:
    """One line for each address: what it is bound to and why, or why not."""
    return "".join(
        f"= {f.address} -> {clean(f.entry.project_id)} ({clean(f.status or 'unknown')}): {clean(f.why)}\n"
        if f.entry
        else f"? {f.address}: {clean(f.why)}\n"
        for f in findings
    )


@command.command("pull", epilog="\b\nExample:\n  reconciler state pull > copy.json\n")
@click.pass_obj
def pull(console: Console) -> None:
    """Print the whole state as JSON, wherever it lies; `state push` takes it back."""
    state = state_of(wire(console))
    if not state.serial and not state.projects and not state.pending:
        raise UsageError("there is no state yet", "`reconciler apply` makes one.")
    console.out(encode_state(state, VERSION).decode())


@command.command("push", epilog="\b\nExample:\n  reconciler state push copy.json\n")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Also an older one, or one of another lineage.")
@_auto_approve
@_lock_timeout
@click.pass_obj
def push(console: Console, *, file: Path, force: bool, auto_approve: bool, lock_timeout: float) -> None:
    """Put a state that was pulled in place of the present one, as a new serial. To move it to another place, too."""
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"can't read `{file}`: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise UsageError(f"`{file}` is larger than {MAX_BYTES >> 20} MiB", "That is no state of this program.")
    given = decode_state(data, str(file))
    done = replace_state(
        wire(console).workspace,
        lambda: given,
        force=force,
        confirm=lambda exchange: _exchange(console, exchange, f"`{file}`", auto_approve=auto_approve),
        command="reconciler state push",
        lock_timeout=lock_timeout,
    )
    console.out(f"The state is serial {done.new.serial} now. `reconciler plan` shows what differs.\n")


@command.command(
    "history", epilog="\b\nExamples:\n  reconciler state history\n  reconciler state history --restore 41\n"
)
@click.option("--restore", type=click.IntRange(min=1), metavar="SERIAL", help="Put this one back, as a new serial.")
@_auto_approve
@_lock_timeout
@formats("text", "json")
@click.pass_obj
def history(console: Console, *, restore: int | None, auto_approve: bool, lock_timeout: float, format_: str) -> None:
    """List the serials that a remote state keeps (the last 50), or put one of them back."""
    wired = wire(console)
    if restore is None:
        versions = wired.store.versions()
        if format_ == "json":
            console.json([{"serial": v.serial, "at": v.at, "size": v.size} for v in versions])
        else:
            rows = ((str(v.serial), v.at, f"{v.size:,}") for v in versions)
            console.out(table(("SERIAL", "WRITTEN", "BYTES"), rows, console.style(), {}))
        return
    done = replace_state(
        wired.workspace,
        lambda: wired.store.version(restore),
        force=True,
        confirm=lambda exchange: _exchange(console, exchange, f"serial {restore}", auto_approve=auto_approve),
        command="reconciler state history --restore",
        lock_timeout=lock_timeout,
    )
    if format_ == "json":
        console.json({"serial": done.new.serial, "restored": restore})
    else:
        console.out(f"Serial {restore} is back, as serial {done.new.serial}. `reconciler plan` shows what differs.\n")


def _exchange(console: Console, exchange: Exchange, name: str, *, auto_approve: bool) -> None:
    old, new = exchange.old, exchange.new
    console.note(
        f"Serial {old.serial} ({_projects(old)}) would be replaced by {name} ({_projects(new)}), as serial {new.serial}."
    )
    if exchange.gone:
        console.note(f"Not managed any more: {', '.join(exchange.gone)}. A spec that declares one finds it by its key.")
    if not auto_approve and not _asked(console, "Replace it?", otherwise="the state stays as it is"):
        raise UsageError("not approved: the state stays as it is")


def _projects(state: State) -> str:
    return plural(len(state.projects), "project")


def _asked(console: Console, question: str, *, otherwise: str) -> bool:
    if not console.interactive:
        raise UsageError(f"there is no terminal to ask at: {otherwise}", "Use `--auto-approve`.")
    return click.confirm(question, err=True)


@command.command("unlock")
@_auto_approve
@click.pass_obj
def unlock(console: Console, *, auto_approve: bool) -> None:
    """Take the lock from a holder that is dead. On this machine a living holder keeps its lock.

    In an object store nobody can tell whether a holder lives: it is named, and the lock is taken if you say so.
    """

    def confirm(holder: str) -> bool:
        console.note(clean(holder))
        return auto_approve or _asked(console, "Is it dead? Take the lock from it?", otherwise="the lock stays")

    found = wire(console).store.unlock(confirm)
    console.out("Unlocked.\n" if found else "It was not locked.\n")
