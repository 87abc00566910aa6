"""The manual's pages, `reconciler/manual/*.md`, and how a terminal shows them."""

from __future__ import annotations

import io
import os
import re
import sys
from pathlib import Path
from typing import Final

import click

from reconciler.cli.console import Console

FOLDER: Final = Path(__file__).parents[1] / "manual"
INDEX: Final = "README"
CODES: Final = "codes"
"""The topic with every error code, a section each."""
_ENTRY: Final = re.compile(r"^\* \[([a-z-]+)\]\(\1\.md\): (.+)$", re.MULTILINE)
_LINK: Final = re.compile(r"\[([^]]+)\]\(([a-z-]+)\.md(?:#[^)]*)?\)")
_COMMENT: Final = re.compile(r"^<!--.*?-->\n+", re.MULTILINE | re.DOTALL)
_SECTION: Final = r"^## {}:.*?(?=^## |\Z)"
_WIDEST: Final = 100


def topics() -> dict[str, str]:
    """The manual's topics in the order of its index, each with one line about it."""
    return dict(_ENTRY.findall(_text(INDEX)))


def page(topic: str) -> str:
    """A topic's page in Markdown."""
    return _COMMENT.sub("", _text(topic))


def code_section(code: str) -> str | None:
    """What the manual says about an error code, in Markdown; nothing if there is no such code."""
    found = re.search(_SECTION.format(re.escape(code)), page(CODES), re.MULTILINE | re.DOTALL)
    return found[0] if found else None


def show(console: Console, markdown: str, plain: str = "") -> None:
    """Print Markdown, then text as it is: rendered and through a pager on a terminal, unchanged elsewhere."""
    if markdown and console.style().color:
        markdown = _rendered(markdown)
    text = "\n".join(f"{part.rstrip()}\n" for part in (markdown, plain) if part)
    if not sys.stdout.isatty():
        console.out(text)
        return
    os.environ.setdefault("LESS", "-FRX")  # as git does: leave a page that fits on the screen there
    click.echo_via_pager(text, color=True)


def _text(name: str) -> str:
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8")


def _rendered(markdown: str) -> str:
    from rich.console import Console as Terminal  # noqa: PLC0415  only a terminal needs it
    from rich.markdown import Markdown  # noqa: PLC0415

    size = os.get_terminal_size(sys.stdout.fileno()).columns or 80
    terminal = Terminal(file=io.StringIO(), force_terminal=True, width=min(size, _WIDEST), highlight=False)
    terminal.print(Markdown(_LINK.sub(_as_topic, markdown), hyperlinks=False))
    written = terminal.file
    assert isinstance(written, io.StringIO)
    return written.getvalue()


def _as_topic(link: re.Match[str]) -> str:
    text, topic = link.groups()
    return f"`reconciler help {topic}`" if text.strip("`") == topic else f"{text} (`reconciler help {topic}`)"
