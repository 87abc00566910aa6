"""``reconciler state …``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from reconciler.adapters.state.format import MAX_BYTES, decode_state, encode_entry, encode_state
from reconciler.cli.completion import complete_addresses
from reconciler.cli.console import Console
from reconciler.cli.context import CommandContext, load_context
from reconciler.cli.inputs import load_division, read_specs
from reconciler.cli.interrupts import ask, default_signals, run
from reconciler.cli.options import auto_approve, formats, lock_timeout, variables
from reconciler.cli.other_environments import read_elsewhere
from reconciler.cli.state_backends import open_store
from reconciler.cli.variables import Variables
from reconciler.model.errors import ReconcilerError, UsageError
from reconciler.model.live import LiveProject
from reconciler.model.state import State
from reconciler.model.version import VERSION
from reconciler.operations.recovery.lost_state import Finding
from reconciler.operations.state.division import divide
from reconciler.operations.state.edits import accept_log, decide, recover_state, remove, rename
from reconciler.operations.state.replacement import Exchange, replace_state
from reconciler.planning.message_log import Accepted
from reconciler.report.safe_text import clean
from reconciler.report.tables import state_list_text, table
from reconciler.report.words import plural

CHOICES_MAX: Final = 20
"""Candidates that a question lists at most."""


@click.group("state", epilog="\b\nExamples:\n  reconciler state list\n  reconciler state mv teaser summer-teaser\n")
def command() -> None:
    """Inspect, edit, move or recover the state."""


@command.command("list", epilog="\b\nExamples:\n  reconciler state list\n  reconciler state list --format json\n")
@formats("text", "json")
@click.pass_obj
def list_(console: Console, *, format_: str) -> None:
    """List the addresses in the state."""
    state = load_context(console).state()
    if format_ == "json":
        console.json({a: e.project_id for a, e in sorted(state.projects.items())})
    else:
        console.out(state_list_text(state, style=console.style()))


@command.command("show", epilog="\b\nExample:\n  reconciler state show summer-teaser\n")
@click.argument("address", shell_complete=complete_addresses)
@click.pass_obj
def show(console: Console, *, address: str) -> None:
    """Show the state's entry of an address, as JSON."""
    console.json(encode_entry(load_context(console).entry(address)))


@command.command(
    "mv",
    epilog="\b\nExamples:\n  reconciler state mv teaser summer-teaser\n"
    "  reconciler state mv --to-environment prod   # after adding environments to reconciler.yaml\n",
)
@click.argument("source", required=False)
@click.argument("destination", required=False)
@click.option(
    "--to-environment",
    metavar="NAME",
    help="Move the whole state, from before there were environments, into this one.",
)
@lock_timeout
@click.pass_obj
def mv(
    console: Console, /, *, source: str | None, destination: str | None, to_environment: str | None, lock_timeout: float
) -> None:
    """Rename an address, or move the state into an environment.

    To rename it for everyone who applies the specs, add a `moved` entry to a spec instead.

    With --to-environment, the state that the workspace had without environments becomes that of the environment. Its
    projects keep their generations and are not created again. The old place keeps a note that refuses every use.
    """
    if to_environment is not None:
        if source is not None:
            raise UsageError("--to-environment moves the whole state", "Leave out the addresses.")
        _move_into(console, to_environment, lock_timeout)
        return
    if source is None or destination is None:
        raise UsageError("missing SOURCE and DESTINATION", "Name two addresses, or use `--to-environment NAME`.")
    rename(load_context(console).workspace, source, destination, lock_timeout=lock_timeout)
    console.out(f"`{source}` is now `{destination}`.\n")


def _move_into(console: Console, environment: str, lock_timeout: float) -> None:
    old, new = load_division(console, environment)
    if new.sandboxed:  # an account for each environment: the projects are in the old one
        from reconciler.sandbox.database import copy_account  # noqa: PLC0415

        copy_account(old.sandbox_db, new.sandbox_db)
    moved = divide(
        open_store(console, old),
        open_store(console, new),
        new,
        in_place=old.state_place == new.state_place,
        old_place=old.state_place,
        held={} if new.sandboxed else read_elsewhere(console, new).holders,  # sandboxes have an account each
        lock_timeout=lock_timeout,
    )
    console.out(
        f"{plural(moved, 'project')} of `{clean(old.state_place)}` moved into environment `{environment}`: "
        f"`{clean(new.state_place)}`.\n"
    )


@command.command("rm", epilog="\b\nExample:\n  reconciler state rm old-one\n")
@click.argument("addresses", nargs=-1, required=True, shell_complete=complete_addresses)
@auto_approve
@lock_timeout
@click.pass_obj
def rm(console: Console, *, addresses: tuple[str, ...], auto_approve: bool, lock_timeout: float) -> None:
    """Remove addresses from the state; keep their projects.

    A spec that still declares a removed address creates a new project. On a terminal, asks first.
    """
    if console.interactive and not auto_approve:
        named = ", ".join(f"`{address}`" for address in addresses)
        if not ask(console, f"Remove {named} from the state?", otherwise="nothing was removed"):
            raise UsageError("nothing was removed")
    remove(load_context(console).workspace, addresses, lock_timeout=lock_timeout)
    for address in addresses:
        console.out(f"Removed `{address}` from the state.\n")


@command.command("resolve", epilog="\b\nExample:\n  reconciler state resolve summer-teaser --not-sent\n")
@click.argument("address", shell_complete=complete_addresses)
@click.option("--sent/--not-sent", "sent", default=None, help="Whether the call was done. Required.")
@lock_timeout
@click.pass_obj
def resolve(console: Console, *, address: str, sent: bool | None, lock_timeout: float) -> None:
    """Record whether a call of unknown outcome was done.

    Look at the project first, for example with `reconciler messages ADDRESS`. A call recorded as not done is made again.
    A render and its share link are two decisions; the output says which one was made.
    """
    if sent is None:  # a default of the flag would be an answer, and could send the message again
        raise UsageError("missing whether the call was done", "Add `--sent` or `--not-sent`.")
    context = load_context(console)
    renders = _renders(context, address)
    for call in decide(context.workspace, address, sent=sent, lock_timeout=lock_timeout, renders=renders):
        console.out(f"{call} of `{address}` counts as {'done' if sent else 'not done'}.\n")


def _renders(context: CommandContext, address: str) -> bool:
    """Whether the spec asks for a render, as far as it can be read without variables."""
    try:
        project = read_specs(context.config, Variables()).projects.get(address)
    except ReconcilerError:
        return True
    return project is None or project.deliver.render is not None


@command.command("accept", epilog="\b\nExample:\n  reconciler state accept summer-teaser\n")
@click.argument("addresses", nargs=-1, required=True, shell_complete=complete_addresses)
@variables
@lock_timeout
@click.pass_obj
def accept(
    console: Console,
    /,
    *,
    addresses: tuple[str, ...],
    variables: Variables,
    lock_timeout: float,
) -> None:
    """Accept the spec's messages as the ones that were sent.

    Use it after messages that were sent have been edited, reordered or removed in the spec. Every message up to the last
    one that was sent counts as sent; later ones are still to be sent, and `plan` shows them. Accept makes no call.
    """
    context = load_context(console)
    specs = read_specs(context.config, variables)
    changed = accept_log(context.workspace, specs, addresses, lock_timeout=lock_timeout)
    for address in addresses:
        console.out(accepted_text(address, changed.get(address)))


def accepted_text(address: str, accepted: Accepted | None) -> str:
    """What was accepted at an address, a line per message."""
    if accepted is None:
        return f"`{address}`: nothing to accept; the spec has the messages that were sent.\n"
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
@auto_approve
@lock_timeout
@click.pass_obj
def recover(console: Console, /, *, variables: Variables, auto_approve: bool, lock_timeout: float) -> None:
    """Rebuild a lost state from the account.

    Recover looks for each declared project that the state does not have, shows what it found and why, and asks before
    it binds them. If several projects match, or only the brief matches, it asks which one to bind; without a terminal, or
    with --auto-approve, it binds none of them. It only reads the account.
    """
    context = load_context(console)
    specs = read_specs(context.config, variables)

    def choose(finding: Finding) -> LiveProject | None:
        return _choose(console, finding) if console.interactive and not auto_approve else None

    def confirm(findings: list[Finding]) -> bool:
        console.out(findings_text(findings))
        return auto_approve or ask(console, "Bind these?", otherwise="nothing was bound")

    async def work() -> list[Finding]:
        async with context.api() as api:
            return await recover_state(
                context.workspace, api, specs, choose=choose, confirm=confirm, lock_timeout=lock_timeout
            )

    findings = run(work())
    bound = sum(finding.entry is not None for finding in findings)
    if findings and not bound:
        console.out(findings_text(findings))
    console.out(f"{bound} bound. `reconciler plan` shows what differs.\n" if bound else "Nothing to bind.\n")


def _choose(console: Console, finding: Finding) -> LiveProject | None:
    """Ask which candidate to bind."""
    shown = finding.candidates[:CHOICES_MAX]
    console.note(f"`{finding.address}` could be {'this project' if len(shown) == 1 else 'one of these projects'}:")
    redacted = [console.redact.record(project) for project in shown]  # before cells are padded
    rows = (
        (str(number), live.id, str(live.settings.get("title") or ""), live.status, live.created_at)
        for number, live in enumerate(redacted, 1)
    )
    console.note(table(("", "PROJECT", "TITLE", "STATUS", "CREATED"), rows, console.style(err=True), {}))
    if len(shown) < len(finding.candidates):
        console.note(
            f"{len(finding.candidates) - len(shown)} more are not shown; `reconciler import` binds any project."
        )
    numbers = [str(number) for number in range(1, len(shown) + 1)]
    which = "1" if len(shown) == 1 else f"1-{len(shown)}"
    with default_signals():
        answer: str = click.prompt(
            f"Bind `{finding.address}` to which project? {which}, or n for none",
            type=click.Choice([*numbers, "n"]),
            default="n",
            show_choices=False,
            err=True,
        )
    return None if answer == "n" else shown[int(answer) - 1]


def findings_text(findings: list[Finding]) -> str:
    """A line per address: the project that it is bound to and why, or why there is none."""
    return "".join(
        f"= {f.address} -> {clean(f.entry.project_id)} ({clean(f.status or 'unknown')}): {clean(f.why)}\n"
        if f.entry
        else f"? {f.address}: {clean(f.why)}\n"
        for f in findings
    )


@command.command("pull", epilog="\b\nExample:\n  reconciler state pull > copy.json\n")
@click.pass_obj
def pull(console: Console) -> None:
    """Print the whole state as JSON.

    `reconciler state push` writes it back.
    """
    state = load_context(console).state()
    if not state.serial and not state.projects and not state.pending:
        raise UsageError("there is no state yet", "`reconciler apply` creates one.")
    console.out(encode_state(state, VERSION).decode())


@command.command("push", epilog="\b\nExample:\n  reconciler state push copy.json\n")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--force",
    is_flag=True,
    help="Allow an older state, one from before a run that was cut short, or one of another lineage.",
)
@auto_approve
@lock_timeout
@click.pass_obj
def push(console: Console, *, file: Path, force: bool, auto_approve: bool, lock_timeout: float) -> None:
    """Replace the state with one from `state pull`.

    The new state gets a new serial. Use pull and push to move a state to another place.
    """
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"can't read `{file}`: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise UsageError(f"`{file}` is larger than {MAX_BYTES >> 20} MiB", "A state of this program is smaller.")
    given = decode_state(data, str(file))
    done = replace_state(
        load_context(console).workspace,
        lambda: given,
        force=force,
        confirm=lambda exchange: _confirm_exchange(console, exchange, f"`{file}`", auto_approve=auto_approve),
        command="reconciler state push",
        lock_timeout=lock_timeout,
    )
    console.out(f"The state is now serial {done.new.serial}. `reconciler plan` shows what differs.\n")


@command.command(
    "history", epilog="\b\nExamples:\n  reconciler state history\n  reconciler state history --restore 41\n"
)
@click.option("--restore", type=click.IntRange(min=1), metavar="SERIAL", help="Restore this serial, as a new serial.")
@auto_approve
@lock_timeout
@formats("text", "json")
@click.pass_obj
def history(console: Console, *, restore: int | None, auto_approve: bool, lock_timeout: float, format_: str) -> None:
    """List or restore earlier serials of a remote state.

    A remote state keeps its last 50 serials.
    """
    context = load_context(console)
    if restore is None:
        versions = context.store.versions()
        if format_ == "json":
            console.json([{"serial": v.serial, "at": v.at, "size": v.size} for v in versions])
        else:
            rows = ((str(v.serial), v.at, f"{v.size:,}") for v in versions)
            console.out(table(("SERIAL", "WRITTEN", "BYTES"), rows, console.style(), {}))
        return
    done = replace_state(
        context.workspace,
        lambda: context.store.version(restore),
        force=True,
        confirm=lambda exchange: _confirm_exchange(console, exchange, f"serial {restore}", auto_approve=auto_approve),
        command="reconciler state history --restore",
        lock_timeout=lock_timeout,
    )
    if format_ == "json":
        console.json({"serial": done.new.serial, "restored": restore})
    else:
        console.out(f"Restored serial {restore} as serial {done.new.serial}. `reconciler plan` shows what differs.\n")


def _confirm_exchange(console: Console, exchange: Exchange, name: str, *, auto_approve: bool) -> None:
    old, new = exchange.old, exchange.new
    console.note(
        f"This replaces serial {old.serial} ({_count_projects(old)}) with {name} ({_count_projects(new)}), "
        f"as serial {new.serial}."
    )
    if exchange.gone:
        console.note(
            f"Not managed any more: {', '.join(exchange.gone)}. If a spec declares one, apply finds it by its key."
        )
    if not auto_approve and not ask(console, "Replace it?", otherwise="the state is unchanged"):
        raise UsageError("not approved: the state is unchanged")


def _count_projects(state: State) -> str:
    return plural(len(state.projects), "project")


@command.command("unlock", epilog="\b\nExample:\n  reconciler state unlock\n")
@auto_approve
@click.pass_obj
def unlock(console: Console, *, auto_approve: bool) -> None:
    """Release a lock that a dead process left behind.

    A live process on this machine keeps its lock. For a state in an object store, unlock shows who holds the lock and
    asks, since it can't tell whether that process is still alive.
    """

    def confirm(holder: str) -> bool:
        console.note(clean(holder))
        return auto_approve or ask(
            console, "Is that process dead? Release its lock?", otherwise="the lock is unchanged"
        )

    found = load_context(console).store.unlock(confirm)
    console.out("Unlocked.\n" if found else "It was not locked.\n")
