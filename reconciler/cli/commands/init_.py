"""``reconciler init``."""

from __future__ import annotations

import os
import re
from pathlib import Path

import click

from reconciler import files
from reconciler.cli.console import Console
from reconciler.model.errors import UsageError

CONFIG = """\
# What stands here can be overridden: environment, then flags (see `reconciler --help`).
workspace: {name}            # stable: part of every idempotency key
api:
  url: https://eversince.ai/api/v1     # or: sandbox (embedded, no key, no network)
specs: specs
policy:
  max_creates: 20            # refuse an apply that would create more
  max_messages: 50
"""
SPEC = """\
# Everything under `settings` can change for ever; what stands beside it is fixed at creation.
projects:
  first-teaser:
    brief: |
      Fifteen seconds, upbeat, product in the last shot.
    aspect_ratio: "16:9"
    settings:
      title: First teaser
    # messages:              # append-only: what was sent can't be edited
    #   - Make the music softer.
"""
_LONGEST = 1024**2
IGNORED = ("/.reconciler/", "/reconciler.state.json*", "*.plan")


@click.command(
    epilog="""\b
Example:
  mkdir acme-videos && cd acme-videos && reconciler init
"""
)
@click.option("--name", metavar="NAME", help="The workspace's name, instead of the directory's.")
@click.pass_obj
def command(console: Console, *, name: str | None) -> None:
    """Write `reconciler.yaml`, a first spec and `.gitignore` lines. Never overwrites."""
    root = console.root
    chosen = name or re.sub(r"[^A-Za-z0-9._-]+", "-", root.resolve().name).strip("-._") or "workspace"
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", chosen):
        raise UsageError(f"`{chosen}` can't name a workspace", "Letters, digits, `.`, `_` and `-`; at most 64.")
    try:
        files.make_folder(root)
        _write(console, root / "reconciler.yaml", CONFIG.format(name=chosen))
        files.make_folder(root / "specs")
        if any((root / "specs").rglob("*.y*ml")):
            console.note("kept     specs (has specs already)")
        else:
            _write(console, root / "specs" / "first.yaml", SPEC)
        _ignore(console, root / ".gitignore")
    except OSError as error:
        raise UsageError(f"can't write `{error.filename}`: {error.strerror}") from error
    console.out("Next: `reconciler --api-url sandbox apply` tries it for nothing.\n")


def _write(console: Console, path: Path, text: str) -> None:
    try:
        files.create(path, text.encode())
    except FileExistsError:
        console.note(f"kept     {path} (it is there already)")
    else:
        console.note(f"wrote    {path}")


def _ignore(console: Console, path: Path) -> None:
    try:
        before = files.read(path, _LONGEST).decode(errors="replace")
    except FileNotFoundError:
        before = ""
    missing = [line for line in IGNORED if line not in before.splitlines()]
    if missing:
        glue = "" if not before or before.endswith("\n") else "\n"
        with os.fdopen(files.open_to_append(path, mode=0o666), "a", encoding="utf-8") as file:
            file.write(glue + "\n".join(missing) + "\n")
        console.note(f"extended {path}")
