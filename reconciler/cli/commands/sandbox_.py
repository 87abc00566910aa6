"""``reconciler sandbox …``."""

from __future__ import annotations

import json
import shlex
from contextlib import closing
from pathlib import Path
from typing import Any

import click
from msgspec.structs import asdict

from reconciler import files
from reconciler.cli.console import Console
from reconciler.cli.context import sandbox_db
from reconciler.cli.inputs import load
from reconciler.cli.sandbox_options import CONTROLS, FAULTS, FaultType, account_options, given
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
    """The emulated API, where everything can be tried for nothing."""


@command.command("serve", epilog=FAULTS + "\n" + CONTROLS)
@click.option("--host", default="127.0.0.1", show_default=True, help="A loopback address.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0: any free port.")
@click.option("--db", type=click.Path(path_type=Path, dir_okay=False), help="The account's file.")
@account_options()
@click.option("--fault", "faults", type=FaultType(), multiple=True, help="A fault, as described below; repeatable.")
@click.pass_obj
def serve(
    console: Console, /, *, host: str, port: int, db: Path | None, faults: tuple[Fault, ...], **options: object
) -> None:
    """Serve the emulated API over HTTP on loopback until interrupted.

    What is chosen stays with the account's file, until it is chosen otherwise here or by `sandbox faults`, or the
    sandbox is reset.
    """
    config = load(console)
    account, token = db or sandbox_db(config), new_token()
    changes = {"speed": config.sandbox_speed} | given(options)
    _check(changes)

    def ready(url: str) -> None:
        console.out(f"{url}\n")
        root = url.removesuffix(PREFIX)
        console.note("Any key will do. Stop with Ctrl-C.")
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


@command.command("faults", epilog=FAULTS)
@click.option("--db", type=click.Path(path_type=Path, dir_okay=False), help="The account's file.")
@account_options("speed", "log_requests")
@click.option("--fault", "faults", type=FaultType(), multiple=True, help="A fault, as described below; repeatable.")
@click.option("--clear", is_flag=True, help="No faults first, and every option as usual.")
@click.option("--finish", is_flag=True, help="Every agent at work is done now.")
@click.option("--forget-keys", is_flag=True, help="Idempotency keys given so far are unknown.")
@click.option("--forget-cursors", is_flag=True, help="Message ids given so far are unknown: 404.")
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
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
    **options: object,
) -> None:
    """Show or change how the sandbox misbehaves, the embedded one or one that is being served."""
    config = load(console)
    usual = {name: value for name, value in asdict(Options()).items() if name not in _NO_HABITS}
    changes = (usual if clear else {}) | given(options)
    _check(changes)
    with closing(Store(db or sandbox_db(config), changes=changes)) as store:
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
    lines += [f"fault {_written(fault)}" for fault in queued]
    console.out("\n".join(lines) + "\n")


_NO_HABITS = ("speed", "credits", "log_requests")


def _written(fault: Fault) -> str:
    usual = asdict(Fault(kind=fault.kind))
    more = [f"{name}={shlex.quote(str(value))}" for name, value in asdict(fault).items() if value != usual[name]]
    return " ".join([fault.kind, *more])


def _check(changes: dict[str, Any]) -> None:
    try:
        Options().changed(changes)
    except ValueError as error:
        raise UsageError(str(error)) from error


@command.command("reset")
@click.option("--db", type=click.Path(path_type=Path, dir_okay=False), help="The account's file.")
@click.pass_obj
def reset(console: Console, *, db: Path | None) -> None:
    """Start afresh: remove the sandbox's account, and the state that goes with it."""
    config = load(console)
    path = db or sandbox_db(config)
    targets = [path.with_name(path.name + end) for end in ("", *ENDS)]
    if db is None:
        state = config.sandbox_dir / "reconciler.state.json"
        targets += [state, state.with_name(state.name + ".journal")]
    try:
        found = [files.remove(target) for target in targets]
    except OSError as error:
        raise UsageError(f"can't remove `{error.filename}`: {error.strerror}") from error
    console.out("The sandbox is empty again.\n" if any(found) else "The sandbox was empty.\n")
