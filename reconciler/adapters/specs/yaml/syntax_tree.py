"""A YAML text as a tree that keeps what values don't: comments, blank lines, styles, anchors.

ruamel's round-trip tree ties a comment to the key before it, so that reordering keys would part comments from what they
are about; here a comment belongs to the entry that follows it, or ends the block that it is indented for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct, field
from ruamel.yaml import YAML
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from ruamel.yaml.tokens import ScalarToken

from reconciler.adapters.specs.yaml.parsing import joined

_COMMENT: Final = re.compile(r"""(?<![^\s"'\[\]{},])#.*""")
_REST: Final = re.compile("#.*")
_HEADER: Final = re.compile(r"[|>]([-+0-9]*)[ \t]*(#.*)?$")

Comment = tuple[int, str]
"""A comment at a line's end: how many spaces stand before it, and its text."""


class Node(Struct):
    """A value. ``lines`` are a block scalar's, without their indentation; ``eol`` the comment behind the value."""

    kind: str  # scalar, block, alias, map, list
    text: str = ""
    plain: bool = False
    flow: bool = False
    single_line: bool = True
    anchor: str | None = None
    lines: list[str] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    trailing: list[str] = field(default_factory=list)
    eol: Comment | None = None


class Entry(Struct):
    """An item of a list, or a key and its value. ``leading`` are comments and blank lines (``""``) before it."""

    key: Node | None
    value: Node
    leading: list[str]
    eol: Comment | None = None


class Document(Struct):
    leading: list[str]
    root: Node
    trailing: list[str]


class Reader:
    """Reads the documents of a text that is known to be good YAML."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._events = list(YAML(typ="safe", pure=True).parse(text))[1:]
        self._next = 0
        self._pos = 0
        self.anchors = False

    def documents(self) -> list[Document]:
        result: list[Document] = []
        while not isinstance(self._peek(), StreamEndEvent):
            start = self._take()
            assert isinstance(start, DocumentStartEvent)
            leading = self._lines(start.start_mark.index)
            if getattr(self._peek(), "flow_style", False):
                leading += self._lines(self._limit(self._peek()))
            root = self._node(-1)
            if root.entries:
                leading += self._first_lines(root)
            end = self._take()
            assert isinstance(end, DocumentEndEvent)
            if root.eol is not None:
                leading.append(root.eol[1])
            result.append(Document(leading, root, self._lines(self._limit(end))))
        rest = self._lines(len(self._text))
        return _without_empty([*result, Document(rest, Node("scalar", plain=True), [])])

    def _first_lines(self, root: Node) -> list[str]:
        """What stands before a document's first entry is about the document: it stays at its top."""
        lines, root.entries[0].leading = root.entries[0].leading, []
        return lines

    def _peek(self) -> Any:
        return self._events[self._next]

    def _take(self) -> Any:
        self._next += 1
        return self._events[self._next - 1]

    def _limit(self, event: Any) -> int:
        index: int = event.start_mark.index
        return max(index, self._pos)

    def _node(self, column: int) -> Node:
        """The next value; ``column`` is that of the block around it."""
        event = self._take()
        if getattr(event, "anchor", None) is not None:
            self.anchors = True
        if isinstance(event, AliasEvent):
            node = Node("alias", event.anchor)
            self._pos = event.end_mark.index
        elif isinstance(event, ScalarEvent):
            node = self._scalar(event)
        else:
            return self._collection(event, column)
        if node.kind != "block":
            node.eol = node.eol or self._eol(self._limit(self._peek()))
        return node

    def _scalar(self, event: Any) -> Node:
        if event.style is None and not event.value and not event.anchor:
            return Node("scalar", plain=event.tag is None)  # nothing is written there, so it has no place
        written = self._text[event.start_mark.index : event.end_mark.index]
        if (event.anchor or event.tag) and _COMMENT.search(written):
            raise ValueError("a comment between an anchor and its value")
        if event.style not in ("|", ">"):
            self._pos = max(self._pos, event.end_mark.index)
            plain = event.style is None and event.tag not in ("!", "tag:yaml.org,2002:str")
            return Node("scalar", joined(event.value), plain=plain, anchor=event.anchor)
        value: str = event.value
        start = self._text.find("\n", event.start_mark.index) + 1 or len(self._text)
        match = _HEADER.search(self._text[event.start_mark.index : start].rstrip())
        assert match is not None
        node = Node("block", value, anchor=event.anchor)
        if match[2]:
            node.eol = match.start(2) - match.end(1), match[2]
        if not value.strip(" \n"):
            node.kind, self._pos = "scalar", start
            return node
        keep = len(value) - len(value.rstrip("\n")) - 1 if "+" in match[1] else 0
        lines, self._pos = self._block_lines(value, start, max(keep, 0))
        chomp = "-" if not value.endswith("\n") else "+" if "+" in match[1] else ""
        first = next(line for line in value.split("\n") if line)
        node.lines = [event.style + ("2" if first[0] in " \t" else "") + chomp, *lines]
        return node

    def _block_lines(self, value: str, start: int, keep: int) -> tuple[list[str], int]:
        """A block scalar's lines without their indentation, with ``keep`` blank ones at its end, and where they end."""
        content = next(line for line in value.split("\n") if line.strip(" "))
        indent = -1
        taken: list[str] = []
        for line in self._lines_from(start):
            if line.strip(" \r"):
                if indent < 0:
                    indent = _indent(line) - _indent(content)
                if _indent(line) < indent:
                    break
            taken.append(line)
        blank = len(taken)
        while blank and not taken[blank - 1].strip(" \r"):
            blank -= 1
        blank += keep
        end = start + sum(len(line) + 1 for line in taken[:blank])
        return [line[indent:].rstrip("\r") for line in taken[:blank]], min(end, len(self._text))

    def _lines_from(self, start: int) -> Iterator[str]:
        while start <= len(self._text):
            stop = self._text.find("\n", start)
            stop = len(self._text) if stop < 0 else stop
            yield self._text[start:stop]
            start = stop + 1

    def _collection(self, event: Any, column: int) -> Node:
        mapping = isinstance(event, MappingStartEvent)
        node = Node("map" if mapping else "list", flow=bool(event.flow_style), anchor=event.anchor)
        own = event.start_mark.column if not event.anchor and event.tag is None else -1
        if node.flow:
            self._pos = max(self._pos, event.end_mark.index)
        while not isinstance(self._peek(), MappingEndEvent | SequenceEndEvent):
            if own < 0:
                own = self._peek().start_mark.column
            node.entries.append(self._entry(mapping=mapping, column=own))
        end = self._take()
        if node.flow:
            node.single_line = event.start_mark.line == end.end_mark.line
            node.trailing = self._lines(end.start_mark.index)
            self._pos = end.end_mark.index
            node.eol = self._eol(self._limit(self._peek()))
        else:
            node.trailing = self._lines(self._limit(end), at_least=max(own, column + 1))
        return node

    def _entry(self, *, mapping: bool, column: int) -> Entry:
        leading = self._lines(self._limit(self._peek()))
        if not mapping:
            return _with_eol(Entry(None, self._node(column), leading))
        key = self._node(column)
        value = self._peek()
        eol, key.eol = key.eol, None
        nothing = isinstance(value, ScalarEvent) and value.style is None and not value.value
        block = isinstance(value, MappingStartEvent | SequenceStartEvent) and not value.flow_style
        if not nothing and not block:
            leading += self._lines(self._limit(value))
        return _with_eol(Entry(key, self._node(column), leading, eol))

    def _eol(self, limit: int) -> Comment | None:
        """The comment on the rest of the line, if there is one before ``limit``."""
        stop = self._text.find("\n", self._pos, limit)
        stop = limit if stop < 0 else stop
        match = _COMMENT.search(self._text, self._pos, stop)
        self._pos = stop
        if match is None:
            return None
        before = self._text[max(0, match.start() - 200) : match.start()]
        return len(before) - len(before.rstrip(" ")), match[0].rstrip()

    def _lines(self, limit: int, *, at_least: int = 0) -> list[str]:
        """Comments and blank lines up to ``limit``, or to the first comment that is indented less."""
        found: list[str] = []
        blank_at: int | None = None
        while self._pos < limit:
            stop = self._text.find("\n", self._pos, limit)
            line = self._text[self._pos : limit if stop < 0 else stop]
            whole = self._pos == 0 or self._text[self._pos - 1] == "\n"
            if match := _COMMENT.search(line):
                if whole and match.start() < at_least:
                    break
                found.append(match[0].rstrip())
                blank_at = None
            elif whole and stop >= 0 and not line.strip() and blank_at is None:
                blank_at = self._pos
                found.append("")
            self._pos = limit if stop < 0 else stop + 1
        if at_least and found and not found[-1] and blank_at is not None:  # belongs to what follows
            found.pop()
            self._pos = blank_at
        return found


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def comments(text: str) -> list[str]:
    """Every comment of a text, sorted; whatever stands between two tokens is one."""
    found: list[str] = []
    end = 0
    for token in YAML(typ="safe", pure=True).scan(text):
        start: int = token.start_mark.index
        found += _REST.findall(text[end:start])
        end = max(end, token.end_mark.index)
        if isinstance(token, ScalarToken) and token.style in ("|", ">"):
            header = _HEADER.search(text[start : text.find("\n", start) + 1 or len(text)].rstrip())
            found += [header[2]] if header and header[2] else []
    return sorted(comment.rstrip() for comment in (*found, *_REST.findall(text[end:])))


def _without_empty(documents: list[Document]) -> list[Document]:
    """The documents that hold something; the comments of others go to the next one, or the one before."""
    kept: list[Document] = []
    waiting: list[str] = []
    for document in documents:
        if document.root.kind == "scalar" and not document.root.text and not document.root.anchor:
            waiting += [*document.leading, *document.trailing]
        else:
            document.leading = [*waiting, *document.leading]
            kept.append(document)
            waiting = []
    if kept:
        kept[-1].trailing += waiting
    elif any(waiting):
        kept = [Document(waiting, Node("scalar", plain=True), [])]
    return kept


def _with_eol(entry: Entry) -> Entry:
    """The entry with the comment behind its value; a second one, behind its key, goes before it."""
    if entry.value.eol is not None:
        entry.leading += [entry.eol[1]] if entry.eol else []
        entry.eol, entry.value.eol = entry.value.eol, None
    return entry
