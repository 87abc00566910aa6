"""``reconciler help``."""

from __future__ import annotations

import difflib
from pathlib import Path

import click

from reconciler.cli import manual
from reconciler.cli.console import Console
from reconciler.model.errors import UsageError


@click.command(
    epilog="""\b
Examples:
  reconciler help                   # the topics
  reconciler help getting-started
  reconciler help plan              # the topic, and the command's options
  reconciler help state recover     # a command's options
  reconciler help --man ~/.local/share/man && man reconciler-plan
"""
)
@click.argument("topic", nargs=-1, metavar="[TOPIC | COMMAND]")
@click.option(
    "--man",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write the whole manual as man pages to `man1` and `man7` in this folder.",
)
@click.pass_context
def command(ctx: click.Context, *, topic: tuple[str, ...], man: Path | None) -> None:
    """Read the manual: a topic, or the options of a command.

    Without an argument, list the topics. On a terminal, pages go through $PAGER.
    """
    console: Console = ctx.obj
    if man is not None:
        if topic:
            raise UsageError("`--man` writes all pages, so it takes no topic", "Leave out the topic.")
        from reconciler.cli.man_pages import write_man_pages  # noqa: PLC0415  imports every command

        console.note(f"Wrote {write_man_pages(man, ctx.find_root())} man pages to {man}.")
        return
    if not topic:
        manual.show(console, "", _topic_list())
        return
    name = " ".join(topic)
    usage = _command_help(ctx, topic)
    if name in manual.topics():
        manual.show(console, manual.page(name), usage)
    elif usage:
        manual.show(console, "", usage)
    else:
        raise UsageError(f"there is no help topic or command `{name}`", _suggestion(ctx, name))


def _topic_list() -> str:
    topics = manual.topics()
    width = max(map(len, topics))
    lines = (f"  {name:{width}}  {line}" for name, line in topics.items())
    return (
        "Topics of the manual:\n"
        + "\n".join(lines)
        + "\n\n`reconciler help TOPIC` shows one of them, `reconciler help COMMAND` the options of a command.\n"
        "`reconciler explain CODE` explains an error, `reconciler explain FIELD` a field of a file."
    )


def _command_help(ctx: click.Context, path: tuple[str, ...]) -> str:
    """The ``--help`` of the command at this path; empty if there is none."""
    parent = ctx.find_root()
    found: click.Command = parent.command
    for name in path:
        inner = found.get_command(parent, name) if isinstance(found, click.Group) else None
        if inner is None:
            return ""
        found = inner
        parent = click.Context(found, parent=parent, info_name=name)
    return found.get_help(parent)


def _suggestion(ctx: click.Context, name: str) -> str:
    root = ctx.find_root().command
    commands = root.list_commands(ctx) if isinstance(root, click.Group) else []
    near = difflib.get_close_matches(name, {*manual.topics(), *commands}, 1)
    hint = f"Did you mean `reconciler help {near[0]}`? " if near else ""
    return f"{hint}`reconciler help` lists the topics, `reconciler --help` the commands."
