"""Man pages: one for each command (section 1) and one for each topic of the manual (section 7)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from reconciler import files
from reconciler.cli import manual
from reconciler.cli.main import COMMAND_GROUPS
from reconciler.model.errors import UsageError
from reconciler.model.version import VERSION
from reconciler.report import roff

SOURCE = f"reconciler {VERSION}"


def write_man_pages(folder: Path, root: click.Context) -> int:
    """Write all pages to ``man1`` and ``man7`` below a folder; how many. Raises UsageError if that can't be."""
    pages = {**dict(_command_pages(root)), **dict(_topic_pages())}
    try:
        for name, text in pages.items():
            path = folder / f"man{name[-1]}" / name
            files.make_folder(path.parent)
            files.replace(path, text.encode(), mode=None)
    except OSError as error:
        raise UsageError(f"can't write man pages to {folder}: {error}", "Name another folder.") from error
    return len(pages)


# ── commands ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _command_pages(root: click.Context) -> Iterator[tuple[str, str]]:
    contexts = list(_contexts(root))
    for ctx in contexts:
        name = ctx.command_path.replace(" ", "-")
        yield f"{name}.1", _command_page(ctx, name)


def _contexts(ctx: click.Context) -> Iterator[click.Context]:
    yield ctx
    if isinstance(ctx.command, click.Group):
        for name in ctx.command.list_commands(ctx):
            inner = ctx.command.get_command(ctx, name)
            if inner is not None and not inner.hidden:
                yield from _contexts(click.Context(inner, info_name=name, parent=ctx))


def _command_page(ctx: click.Context, name: str) -> str:
    command = ctx.command
    summary, _, rest = (command.help or "").partition("\n\n")
    usage = " ".join((roff.bold(ctx.command_path), *map(roff.escape, command.collect_usage_pieces(ctx))))
    options = [found for each in command.get_params(ctx) if (found := each.get_help_record(ctx))]
    return "".join(
        (
            roff.title(name, 1, source=SOURCE),
            _name(name, summary),
            roff.heading("SYNOPSIS"),
            roff.paragraph(usage),
            roff.heading("DESCRIPTION"),
            roff.help_text(rest or summary),
            _commands(ctx),
            roff.heading("OPTIONS"),
            *(roff.definition(roff.bold(option), roff.escape(text)) for option, text in options),
            roff.help_text(command.epilog or ""),
            _see_also(_related(ctx)),
        )
    )


def _name(name: str, summary: str) -> str:
    line = " ".join(summary.split()).rstrip(".")
    return roff.heading("NAME") + f"{roff.escape(name)} \\- {roff.escape(line)}\n"


def _commands(ctx: click.Context) -> str:
    if not isinstance(ctx.command, click.Group):
        return ""
    if ctx.parent is None:
        groups = {title: tuple(commands) for title, commands in COMMAND_GROUPS.items()}
    else:
        groups = {"Commands": tuple(ctx.command.list_commands(ctx))}
    made = []
    for title, names in groups.items():
        made.append(roff.heading(title))
        for name in names:
            inner = ctx.command.get_command(ctx, name)
            text = " ".join((inner.help or "").split("\n\n")[0].split()) if inner is not None else ""
            page = f"{ctx.command_path} {name}".replace(" ", "-")
            made.append(roff.definition(_reference(page, 1), roff.escape(text)))
    return "".join(made)


def _related(ctx: click.Context) -> list[str]:
    topic = ctx.command_path.split(" ")[1] if ctx.parent is not None else ""
    above = [_reference(ctx.parent.command_path.replace(" ", "-"), 1)] if ctx.parent is not None else []
    return [*above, *(_reference(f"reconciler-{name}", 7) for name in manual.topics() if not topic or name == topic)]


# ── topics ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _topic_pages() -> Iterator[tuple[str, str]]:
    for topic, summary in manual.topics().items():
        name = f"reconciler-{topic}"
        body = roff.from_markdown(manual.page(topic), link=_link)
        first = "" if body.startswith(".SH") else roff.heading("DESCRIPTION")
        yield (
            f"{name}.7",
            "".join(
                (
                    roff.title(name, 7, source=SOURCE),
                    _name(name, summary),
                    first,
                    body,
                    _see_also([_reference("reconciler", 1)]),
                )
            ),
        )


def _link(text: str, target: str) -> str:
    topic = re.match(r"([a-z-]+)\.md", target)
    if topic is not None:
        page = _reference(f"reconciler-{topic[1]}", 7)
        return page if re.sub(r"\\f.|\\", "", text) == topic[1] else f"{text} ({page})"
    return text if target.startswith("#") else f"{text} ({roff.escape(target)})"


def _reference(page: str, section: int) -> str:
    return f"{roff.bold(page)}({section})"


def _see_also(references: list[str]) -> str:
    return roff.heading("SEE ALSO") + roff.paragraph(",\n".join(references))
