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
# Environment variables override this file, and flags override both (see `reconciler --help`).
workspace: {name}            # keep it: part of every idempotency key
api:
  url: https://eversince.ai/api/v1     # or: sandbox (embedded, no key, no network)
specs: specs
policy:
  max_creates: 20            # refuse an apply that would create more
  max_messages: 50
"""
SPEC = """\
# Everything under `settings` can be changed later; the keys beside it are fixed at creation.
projects:
  first-teaser:
    brief: |
      Fifteen seconds, upbeat, product in the last shot.
    aspect_ratio: "16:9"
    settings:
      title: First teaser
    # messages:              # append-only: sent messages can't be edited
    #   - Make the music softer.
"""
_LONGEST = 1024**2
IGNORED = (
    "/.reconciler/",
    "/reconciler.state.json*",
    "/reconciler.*.state.json*",
    "/reconciler.claim.json",
    "/reconciler.*.claim.json",
    "*.plan",
    "/plan.html",
    "/comment.md",
    "/renders/",
    "/public/",
)
"""State, plans, reports and renders, where the manual's commands write them."""


@click.command(
    epilog="""\b
Example:
  mkdir acme-videos && cd acme-videos && reconciler init
"""
)
@click.option("--name", metavar="NAME", help="Name of the workspace [default: the directory's name].")
@click.pass_obj
def command(console: Console, *, name: str | None) -> None:
    """Create `reconciler.yaml`, a first spec and `.gitignore` entries.

    Existing files are never overwritten.
    """
    root = console.root
    chosen = name or re.sub(r"[^A-Za-z0-9._-]+", "-", root.resolve().name).strip("-._") or "workspace"
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", chosen):
        raise UsageError(
            f"`{chosen}` is not a valid workspace name", "Letters, digits, `.`, `_` and `-`; at most 64 characters."
        )
    try:
        files.make_folder(root)
        _write_new(console, root / "reconciler.yaml", CONFIG.format(name=chosen))
        files.make_folder(root / "specs")
        if any((root / "specs").rglob("*.y*ml")):
            console.note("kept     specs (it already has specs)")
        else:
            _write_new(console, root / "specs" / "first.yaml", SPEC)
        _extend_gitignore(console, root / ".gitignore")
    except OSError as error:
        raise UsageError(f"can't write `{error.filename or root / '.gitignore'}`: {error.strerror}") from error
    console.out("Next: `reconciler --api-url sandbox apply` tries it for free.\n")


def _write_new(console: Console, path: Path, text: str) -> None:
    try:
        files.create(path, text.encode())
    except FileExistsError:
        console.note(f"kept     {path} (it already exists)")
    else:
        console.note(f"wrote    {path}")


def _extend_gitignore(console: Console, path: Path) -> None:
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
