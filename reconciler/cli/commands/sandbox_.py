"""``reconciler sandbox …``."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler import files
from reconciler.cli.console import Console
from reconciler.cli.inputs import load
from reconciler.cli.wiring import sandbox_db
from reconciler.model.errors import UsageError
from reconciler.sandbox.app import PREFIX
from reconciler.sandbox.guard import CONTROL, new_token, token_file
from reconciler.sandbox.schema import ENDS
from reconciler.sandbox.server import serve as serve_forever
from reconciler.sandbox.store import Options


@click.group(
    "sandbox",
    epilog="""\b
Examples:
  reconciler sandbox serve --port 8080 --speed 60
  EVERSINCE_API_URL=http://127.0.0.1:8080/api/v1 reconciler plan
  reconciler sandbox reset
""",
)
def command() -> None:
    """The emulated API, where everything can be tried for nothing."""


@command.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="A loopback address.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0: any free port.")
@click.option("--db", type=click.Path(path_type=Path, dir_okay=False), help="The account's file.")
@click.option("--speed", type=click.FloatRange(0, min_open=True), help="How many times faster agents work.")
@click.pass_obj
def serve(console: Console, *, host: str, port: int, db: Path | None, speed: float | None) -> None:
    """Serve the emulated API over HTTP on loopback until interrupted."""
    config = load(console)
    options = Options(speed=config.sandbox_speed if speed is None else speed)
    account, token = db or sandbox_db(config), new_token()

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
            options=options,
            token=token,
            secret_values=console.secret_values,
            on_ready=ready,
        )
    except (ValueError, OSError) as error:
        raise UsageError(f"can't serve on {host}:{port}: {error}", "Choose another `--port` or `--host`.") from error
    except KeyboardInterrupt:
        console.note("Stopped.")


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
