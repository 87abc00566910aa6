"""``reconciler sandbox …``."""

from __future__ import annotations

import json
import shlex
from contextlib import closing
from pathlib import Path

import click
from msgspec.structs import asdict

from reconciler import files
from reconciler.adapters.state.claims import claim_path
from reconciler.cli.console import Console
from reconciler.cli.inputs import load_configuration
from reconciler.cli.options import api_version, formats
from reconciler.cli.sandbox_options import CONTROLS, FAULTS, Changes, account_file, account_options, fault_option
from reconciler.model import contract
from reconciler.model.errors import UsageError
from reconciler.sandbox.access import CONTROL, new_token, token_file
from reconciler.sandbox.app import PREFIX
from reconciler.sandbox.database import ENDS
from reconciler.sandbox.server import serve as serve_forever
from reconciler.sandbox.store import Fault, Options, Store


@click.group(
    "sandbox",
    epilog="""\b
Examples:
  reconciler sandbox serve --port 8080 --speed 60 --strict
  reconciler sandbox faults --title-habits trim,lower --fault "status status=503 times=2"
  EVERSINCE_API_URL=http://127.0.0.1:8080/api/v1 reconciler plan
  reconciler sandbox reset
""",
)
def command() -> None:
    """Run and control the emulated API, where everything is free."""


SERVE_EXAMPLES = """\b
Examples:
  reconciler sandbox serve --speed 60
  reconciler sandbox serve --port 0 --strict --fault "status status=503 times=2"
  reconciler sandbox serve --api-version 2026-04

"""
FAULTS_EXAMPLES = """\b
Examples:
  reconciler sandbox faults                                    # show options and faults
  reconciler sandbox faults --fault "reset method=POST when=after"
  reconciler sandbox faults --clear

"""


@command.command("serve", epilog=SERVE_EXAMPLES + FAULTS + "\n" + CONTROLS)
@click.option(
    "--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Loopback address to listen on."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    metavar="N",
    help="Port to listen on; 0 for any free port.",
)
@api_version("Version of the API to speak [default: the workspace's].")
@account_file
@account_options()
@fault_option
@click.pass_obj
def serve(
    console: Console,
    /,
    *,
    host: str,
    port: int,
    api_version: str | None,
    db: Path | None,
    faults: tuple[Fault, ...],
    changes: Changes,
) -> None:
    """Serve the emulated API over HTTP on loopback.

    Options are stored in the account's file. They stay until you change them here or with `sandbox faults`, or reset
    the sandbox.
    """
    config = load_configuration(console)
    contract.choose(api_version or config.sandbox_version)
    account, token = db or config.sandbox_db, new_token()
    changes = {"speed": config.sandbox_speed, **changes}
    _check_options(changes)

    def ready(url: str) -> None:
        console.out(f"{url}\n")
        root = url.removesuffix(PREFIX)
        console.note("Any API key works. Press Ctrl-C to stop.")
        console.note(f'Controls: curl -H "Authorization: Bearer {token}" {root}{CONTROL}/ledger')
        console.note(f"The token is also in {token_file(account)}")

    try:
        serve_forever(
            account,
            host=host,
            port=port,
            changes=changes,
            faults=faults,
            token=token,
            secret_values=console.secret_values,
            on_ready=ready,
        )
    except (ValueError, OSError) as error:
        raise UsageError(f"can't serve on {host}:{port}: {error}", "Choose another `--port` or `--host`.") from error
    except KeyboardInterrupt:
        console.note("Stopped.")


@command.command("faults", epilog=FAULTS_EXAMPLES + FAULTS)
@account_file
@account_options(but=("speed", "log_requests"))
@fault_option
@click.option("--clear", is_flag=True, help="First clear all faults and reset the options.")
@click.option("--finish", is_flag=True, help="Finish the work of all agents.")
@click.option("--forget-keys", is_flag=True, help="Forget all idempotency keys used so far.")
@click.option("--forget-cursors", is_flag=True, help="Forget all message IDs given so far: they answer 404.")
@formats("text", "json")
@click.pass_obj
def faults_(
    console: Console,
    /,
    *,
    db: Path | None,
    faults: tuple[Fault, ...],
    clear: bool,
    finish: bool,
    forget_keys: bool,
    forget_cursors: bool,
    format_: str,
    changes: Changes,
) -> None:
    """Show or change how the sandbox misbehaves.

    Works on the embedded sandbox and on one that is being served.
    """
    config = load_configuration(console)
    defaults = {name: value for name, value in asdict(Options()).items() if name not in _KEPT}
    changes = {**(defaults if clear else {}), **changes}
    _check_options(changes)
    with closing(Store(db or config.sandbox_db, changes=changes)) as store:
        if "credits" in changes:
            store.set_credits(store.options.credits)
        for wanted, act in (
            (clear, store.clear_faults),
            (finish, store.finish_all),
            (forget_keys, store.forget_keys),
            (forget_cursors, store.forget_cursors),
        ):
            if wanted:
                act()
        for fault in faults:
            store.add_fault(fault)
        chosen, queued = asdict(store.options) | {"credits": store.credits()}, store.faults()
    if format_ == "json":
        console.json({"options": chosen, "faults": [asdict(fault) for fault in queued]})
        return
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in chosen.items()]
    lines += [f"fault {_describe_fault(fault)}" for fault in queued]
    console.out("\n".join(lines) + "\n")


_KEPT = ("speed", "credits", "log_requests")
"""Options that `--clear` does not reset."""


def _describe_fault(fault: Fault) -> str:
    usual = asdict(Fault(kind=fault.kind))
    more = [f"{name}={shlex.quote(str(value))}" for name, value in asdict(fault).items() if value != usual[name]]
    return " ".join([fault.kind, *more])


def _check_options(changes: Changes) -> None:
    try:
        Options().changed(changes)
    except ValueError as error:
        raise UsageError(str(error)) from error


@command.command("reset", epilog="\b\nExample:\n  reconciler sandbox reset\n")
@account_file
@click.pass_obj
def reset(console: Console, *, db: Path | None) -> None:
    """Delete the sandbox's account and its state."""
    config = load_configuration(console)
    path = db or config.sandbox_db
    targets = [path.with_name(path.name + end) for end in ("", *ENDS)]
    if db is None:
        state = config.sandbox_state
        targets += [state, state.with_name(state.name + ".journal"), claim_path(state)]
    try:
        found = [files.remove(target) for target in targets]
    except OSError as error:
        raise UsageError(f"can't remove `{error.filename}`: {error.strerror}") from error
    console.out("The sandbox is empty again.\n" if any(found) else "The sandbox was empty.\n")
