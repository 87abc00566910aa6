"""Man pages: Markdown and plain text as roff, in the macros of man(7)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

_ESCAPES: Final = {"\\": "\\e", "-": "\\-", "`": "\\(ga", "~": "\\(ti", "^": "\\(ha", "'": "\\(aq"}
"""In this order: the first one makes no other."""
_FIRST: Final = re.compile(r"^(?=\.)", re.MULTILINE)


def escape(text: str) -> str:
    """The text as roff shows it unchanged: no character of it is a request, and a dash can be copied into a shell."""
    return _FIRST.sub(r"\\&", _plain(text))


def _plain(text: str) -> str:
    """Text that does not begin a line."""
    for character, escaped in _ESCAPES.items():
        text = text.replace(character, escaped)
    return text


def bold(text: str) -> str:
    """Text in bold, for what is typed as it stands."""
    return f"\\fB{_plain(text)}\\fR"


def title(name: str, section: int, *, source: str) -> str:
    """The first line of a page. It has no date, so that the same program writes the same page."""
    return f'.TH "{escape(name.upper())}" "{section}" "" "{escape(source)}" "Reconciler Manual"\n'


def heading(text: str) -> str:
    """The heading of a section."""
    return f'.SH "{escape(text)}"\n'


def paragraph(text: str) -> str:
    """A paragraph of text that has its escapes already."""
    return f".PP\n{text}\n"


def definition(term: str, text: str) -> str:
    """A term, and what it means below it; both with their escapes."""
    return f".TP\n{term}\n{text}\n"


def verbatim(text: str) -> str:
    """Lines as they are."""
    return f".PP\n.RS 4\n.EX\n{escape(text.rstrip())}\n.EE\n.RE\n"


def help_text(text: str, *, title_of: Callable[[str], str] = heading) -> str:
    """The text of ``--help`` as click takes it: paragraphs, and blocks after a line with a backspace, which stay as they are
    below a heading.
    """
    made = []
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        lines = block.strip("\n").splitlines()
        if lines and lines[0].strip() == "\b":
            first, rest = lines[1], "\n".join(lines[2:])
            made.append(
                title_of(first.rstrip(":")) + verbatim(rest) if first.endswith(":") else verbatim("\n".join(lines[1:]))
            )
        elif lines:
            made.append(paragraph(escape(" ".join(line.strip() for line in lines))))
    return "".join(made)


def from_markdown(markdown: str, *, link: Callable[[str, str], str]) -> str:
    """A page's body. ``link`` gets a link's text and target, and gives what is shown, with its escapes.

    The page's own title is left out; its sections are those of the man page.
    """
    return _Page(MarkdownIt("commonmark", {"html": True}).enable("table").parse(markdown), link).text()


class _Page:
    def __init__(self, tokens: Sequence[Token], link: Callable[[str, str], str]) -> None:
        self._tokens = tokens
        self._link = link
        self._made: list[str] = []
        self._numbers: list[int | None] = []
        """The lists that are open: the number of their next item, or ``None`` where it has a bullet."""

    def text(self) -> str:
        at = 0
        while at < len(self._tokens):
            at = self._block(at)
        return "".join(self._made)

    def _block(self, at: int) -> int:
        token = self._tokens[at]
        match token.type:
            case "heading_open":
                text = self._inline(self._tokens[at + 1].children or ())
                if token.tag != "h1":
                    self._made.append(f'.{"SH" if token.tag == "h2" else "SS"} "{_in_quotes(text)}"\n')
                return at + 3
            case "paragraph_open":
                text = self._inline(self._tokens[at + 1].children or ())
                self._made.append(f"{text}\n" if token.hidden else paragraph(text))
                return at + 3
            case "fence" | "code_block":
                self._made.append(verbatim(token.content))
            case "table_open":
                return self._table(at)
            case "bullet_list_open" | "ordered_list_open":
                if self._numbers:
                    self._made.append(".RS 4\n")
                self._numbers.append(1 if token.type == "ordered_list_open" else None)
            case "bullet_list_close" | "ordered_list_close":
                self._numbers.pop()
                self._made.append(".RE\n" if self._numbers else "")
            case "list_item_open":
                number = self._numbers[-1]
                self._made.append('.IP "\\(bu" 2\n' if number is None else f'.IP "{number}." 4\n')
                self._numbers[-1] = None if number is None else number + 1
            case _:
                pass  # comments, and the ends of blocks that need none
        return at + 1

    def _table(self, at: int) -> int:
        """A table as definitions: the first column's cell, and the others below it, with their titles from the third on."""
        rows: list[list[str]] = []
        while self._tokens[at].type != "table_close":
            token = self._tokens[at]
            if token.type == "tr_open":
                rows.append([])
            elif token.type == "inline":
                rows[-1].append(self._inline(token.children or ()))
            at += 1
        titles, *body = rows
        for term, *cells in body:
            named = [f"{titles[n]}: {cell}" if n > 1 else cell for n, cell in enumerate(cells, 1) if cell]
            self._made.append(definition(f"\\fB{term}\\fR", "\n.br\n".join(named)))
        return at + 1

    def _inline(self, tokens: Iterable[Token]) -> str:
        made: list[str] = []
        links: list[tuple[str, int]] = []
        for token in tokens:
            match token.type:
                case "text":
                    made.append(_plain(token.content))
                case "code_inline":
                    made.append(bold(token.content))
                case "strong_open":
                    made.append("\\fB")
                case "em_open":
                    made.append("\\fI")
                case "strong_close" | "em_close":
                    made.append("\\fR")
                case "softbreak" | "hardbreak":
                    made.append(" ")
                case "link_open":
                    links.append((str(token.attrGet("href") or ""), len(made)))
                case "link_close":
                    target, begun = links.pop()
                    text = "".join(made[begun:])
                    made[begun:] = [self._link(text, target)]
                case _:
                    pass
        return _FIRST.sub(r"\\&", "".join(made))


def _in_quotes(text: str) -> str:
    return text.replace('"', "\\(dq")
