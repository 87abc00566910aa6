"""YAML 1.2 text as plain values that know their places.

Values are built from the parser's events, not by ruamel's loader: that keeps line and column at almost no cost, gives
YAML 1.2's core meaning whatever the file's directives say (``16:9``, ``no`` and ``2024-01-01`` are strings), and bounds
depth and aliases while reading (the C loader overflows its stack on deep nesting). The C parser still has YAML 1.1's
rules within ``{…}`` and ``[…]`` (it refuses ``{url: https://…}``), so what it refuses is read again by the slower one
in Python, whose word counts (unless the file is too large for it).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from msgspec import Struct, field
from ruamel.yaml import YAML
from ruamel.yaml.cyaml import CParser  # type: ignore[attr-defined]  # re-exported, not declared so
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
)

from reconciler.adapters.specs.validation.codes import Code, error
from reconciler.adapters.specs.validation.suggestions import printable, quoted
from reconciler.model.errors import Diagnostic, Location

MAX_BYTES: Final = 5_000_000
SLOW_MAX: Final = 1_000_000
"""Characters of a file that may be read by the slow parser: some 3 to 10 seconds of work."""
MAX_DEPTH: Final = 50
MAX_NODES: Final = 500_000
MAX_PROBLEMS: Final = 1_000
MAX_EXPANSION: Final = 200_000
"""What the aliases of one file may add: one for each node, and one for each hundred characters."""

Mark = tuple[int, int]
"""Line and column, counted from 1."""
Path = tuple[str | int, ...]
"""Keys and indexes from a document's root."""

_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")
_BEYOND: Final = "[\ud800-\udfff\ufffe\uffff]"
"""Other characters that can't stand in a file; compiled where they may, which takes as long as reading a small file."""
_SURROGATE: Final = "[\ud800-\udfff]"
_PAIR: Final = "[\ud800-\udbff][\udc00-\udfff]"
_NUMBER: Final = re.compile(
    r"(?P<int>[-+]?[0-9]+)|(?P<oct>0o[0-7]+)|(?P<hex>0x[0-9a-fA-F]+)|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
)
_CONSTANTS: Final[dict[str, bool | float | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **{sign + name: float(sign + "inf") for sign in ("", "+", "-") for name in (".inf", ".Inf", ".INF")},
}
_TAG: Final = "tag:yaml.org,2002:"
_MERGE: Final = object()


class YamlMap(dict[str, Any]):
    """A mapping; ``marks`` holds the places of each key and its value."""

    __slots__ = ("mark", "marks")

    def __init__(self, items: Iterable[tuple[str, Any]] = (), mark: Mark | None = None) -> None:
        super().__init__(items)
        self.mark = mark
        self.marks: dict[str, tuple[Mark, Mark]] = {}


class YamlList(list[Any]):
    """A list; ``marks`` holds the place of each item."""

    __slots__ = ("mark", "marks")

    def __init__(self, items: Iterable[Any] = (), mark: Mark | None = None) -> None:
        super().__init__(items)
        self.mark = mark
        self.marks: list[Mark] = []


class _Anchored(Struct, frozen=True):
    """What an anchor names, with its levels of nesting and what an alias for it adds."""

    value: Any
    height: int
    weight: int


class YamlFile(Struct):
    """The documents of a file with their places, and what is wrong with it as YAML."""

    documents: list[tuple[Any, Mark]] = field(default_factory=list)
    problems: list[Diagnostic] = field(default_factory=list)
    nodes: int = 0
    """How many keys and values it has."""


def parse(text: str, file: str) -> YamlFile:
    """Every document of a text. Where reading can't go on after an error, the documents are those before it."""
    if bad := _CONTROL.search(text) or (None if text.isascii() else re.search(_BEYOND, text)):
        line = text.count("\n", 0, bad.start()) + 1
        at = Location(file, line, bad.start() - text.rfind("\n", 0, bad.start()))
        summary = f"the character U+{ord(bad[0]):04X} can't stand in a YAML file"
        return YamlFile(problems=[error(Code.SYNTAX, summary, "write it as an escape in double quotes", location=at)])
    try:
        return _Builder(text, file, pure=False).build()
    except YAMLError as failure:
        at = _place(failure, file, Location(file))
        if len(text) > SLOW_MAX:
            summary = f"not YAML: {printable(str(getattr(failure, 'problem', failure)))}"
            what = (
                r"write \U0001F600 for \uD83D\uDE00"
                if "escape" in summary
                else "quote URLs and ratios within {…} and […]"
            )
            detail = f"in a file of more than {SLOW_MAX:,} characters, {what}"
            return YamlFile(problems=[error(Code.SYNTAX, summary, detail, location=at)])
    builder = _Builder(text, file, pure=True)
    try:
        return builder.build()
    except Exception as failure:  # noqa: BLE001  the parser has slips of its own on hostile text
        parts = (failure.problem, failure.context) if isinstance(failure, MarkedYAMLError) else (failure,)
        summary = ", ".join(printable(str(part)) for part in parts if part is not None)
        at = _place(failure, file, at)
    builder.file.problems.append(error(Code.SYNTAX, f"not YAML: {summary}", location=at))
    return builder.file


def _place(failure: Exception, file: str, otherwise: Location) -> Location:
    mark = (failure.problem_mark or failure.context_mark) if isinstance(failure, MarkedYAMLError) else None
    return otherwise if mark is None else Location(file, mark.line + 1, mark.column + 1)


def find(root: Any, path: Path, *, key: bool = False) -> tuple[int, Mark | None]:
    """The place of a path: how many of its parts are there, and where the last of these stands.

    The whole path gives the place of its value (of its key with ``key``), a part of it the place of the part's key.
    """
    mark: Mark | None = root.mark if isinstance(root, YamlMap | YamlList) else None
    for depth, part in enumerate(path):
        if isinstance(root, YamlMap) and isinstance(part, str) and part in root.marks:
            mark = root.marks[part][depth + 1 == len(path) and not key]
        elif isinstance(root, YamlList) and isinstance(part, int) and part < len(root.marks):
            mark = root.marks[part]
        else:
            return depth, mark
        root = root[part]
    return len(path), mark


class _Fatal(Exception):  # noqa: N818  not an error of the program
    """Reading can't go on."""


class _Builder:
    """Builds the documents of one file from the parser's events."""

    def __init__(self, text: str, file: str, *, pure: bool) -> None:
        self.file = YamlFile()
        self._name = file
        # ruamel's own way to the C parser looks for plug-ins on the disk, again for each file
        self._events: Iterator[Any] = (
            YAML(typ="safe", pure=True).parse(text) if pure else iter(CParser(text).get_event, None)
        )
        self._anchors: dict[str, _Anchored] = {}
        self._sized: dict[int, _Anchored] = {}
        """Containers with an anchor, by identity: what an anchor names may hold others, and none is walked twice."""
        self._expansion = 0

    def build(self) -> YamlFile:
        try:
            for event in self._events:
                if isinstance(event, DocumentStartEvent):
                    self._document(event)
        except _Fatal:
            pass
        return self.file

    def _document(self, start: Any) -> None:
        self._anchors = {}
        if start.version is not None and tuple(start.version) != (1, 2):
            detail = "specifications are YAML 1.2: drop the %YAML line"
            self._problem(Code.YAML_FEATURE, "another version of YAML", detail, _mark(start))
        event = next(self._events)
        mark = _mark(event)
        self.file.documents.append((self._node(event, 1), mark))

    def _problem(self, code: Code, summary: str, detail: str, mark: Mark) -> None:
        self.file.problems.append(error(code, summary, detail, location=Location(self._name, *mark)))
        if len(self.file.problems) > MAX_PROBLEMS:
            raise _Fatal

    def _fatal(self, code: Code, summary: str, detail: str, mark: Mark) -> _Fatal:
        self._problem(code, summary, detail, mark)
        return _Fatal()

    def _node(self, event: Any, depth: int) -> Any:
        value: Any
        self.file.nodes += 1
        if self.file.nodes > MAX_NODES:
            raise self._fatal(
                Code.TOO_LARGE, f"more than {MAX_NODES:,} keys and values in a file", "split it", _mark(event)
            )
        if isinstance(event, ScalarEvent):
            value = self._scalar(event)
        elif isinstance(event, AliasEvent):
            return self._alias(event, depth)
        else:
            mark = _mark(event)
            if depth > MAX_DEPTH:
                raise self._fatal(Code.TOO_LARGE, f"nested deeper than {MAX_DEPTH} levels", "", mark)
            if event.tag not in (None, "!", _TAG + ("map" if isinstance(event, MappingStartEvent) else "seq")):
                self._tag(event)
            value = self._map(mark, depth) if isinstance(event, MappingStartEvent) else self._list(mark, depth)
        if event.anchor is not None:
            anchored = self._anchors[event.anchor] = _Anchored(value, *self._size(value))
            self._sized[id(value)] = anchored
        return value

    def _list(self, mark: Mark, depth: int) -> YamlList:
        result = YamlList(mark=mark)
        while not isinstance(event := next(self._events), SequenceEndEvent):
            item = self._node(event, depth + 1)
            result.append(item)
            result.marks.append(_mark(event))
        return result

    def _map(self, mark: Mark, depth: int) -> YamlMap:
        result = YamlMap(mark=mark)
        merged: list[YamlMap] = []
        while not isinstance(event := next(self._events), MappingEndEvent):
            at = _mark(event)
            key = self._key(event, depth)
            event = next(self._events)
            value = self._node(event, depth + 1)
            if key is _MERGE:
                merged += self._merged(value, at)
            elif key in result:
                line = result.marks[key][0][0]
                self._problem(Code.DUPLICATE_KEY, f"the key {quoted(key)} appears twice", f"first on line {line}", at)
            else:
                result[key] = value
                result.marks[key] = at, _mark(event)
        for source in merged:
            for key, value in source.items():
                if key not in result:
                    result[key], result.marks[key] = value, source.marks[key]
        return result

    def _key(self, event: Any, depth: int) -> Any:
        if isinstance(event, ScalarEvent) and event.value == "<<" and event.ctag is None and event.implicit[0]:
            return _MERGE
        key = self._node(event, depth + 1)
        if isinstance(key, str):
            return key
        if isinstance(key, dict | list):
            raise self._fatal(Code.YAML_FEATURE, f"{quoted(key)} can't be a key", "keys are strings", _mark(event))
        text = event.value if isinstance(event, ScalarEvent) else str(key)
        detail = f'quote it: "{printable(text)}"'
        self._problem(Code.YAML_FEATURE, f"the key {quoted(key)} is not a string", detail, _mark(event))
        return text

    def _merged(self, value: Any, mark: Mark) -> list[YamlMap]:
        sources = value if isinstance(value, YamlList) else [value]
        if all(isinstance(source, YamlMap) for source in sources):
            return list(sources)
        self._problem(Code.YAML_FEATURE, "<< takes a mapping or a list of mappings", "", mark)
        return []

    def _alias(self, event: Any, depth: int) -> Any:
        mark = _mark(event)
        if event.anchor not in self._anchors:
            summary = f"the alias *{printable(event.anchor)} has no anchor before it"
            raise self._fatal(Code.YAML_FEATURE, summary, "put &name on an earlier value", mark)
        anchored = self._anchors[event.anchor]
        self._expansion += anchored.weight
        if self._expansion > MAX_EXPANSION:
            raise self._fatal(Code.TOO_LARGE, "the aliases of this file expand to too much", "repeat less", mark)
        if depth + anchored.height - 1 > MAX_DEPTH:
            raise self._fatal(Code.TOO_LARGE, f"nested deeper than {MAX_DEPTH} levels", "", mark)
        return anchored.value

    def _size(self, value: Any) -> tuple[int, int]:
        """Height and weight."""
        if isinstance(value, str):
            return 0, 1 + len(value) // 100
        if not isinstance(value, YamlMap | YamlList):
            return 0, 1
        if known := self._sized.get(id(value)):
            return known.height, known.weight
        inner = [self._size(item) for item in (value.values() if isinstance(value, YamlMap) else value)]
        return 1 + max((height for height, _ in inner), default=0), 1 + sum(weight for _, weight in inner)

    def _scalar(self, event: Any) -> Any:
        text: str = event.value if event.value.isascii() else joined(event.value)
        if (not text.isascii() and re.search(_SURROGATE, text)) or "\0" in text:
            detail = r"\uD800 to \uDFFF are halves: only a pair of them is a character; \0 is none"
            raise self._fatal(Code.SYNTAX, "an escape is not a character", detail, _mark(event))
        if event.ctag is None:
            return resolve(text) if event.implicit[0] else text
        if event.tag in ("!", _TAG + "str"):
            return text
        value = resolve(text)
        if event.tag != _TAG + {bool: "bool", int: "int", float: "float", type(None): "null"}.get(type(value), "?"):
            self._tag(event)
        return value

    def _tag(self, event: Any) -> None:
        shown = event.tag.replace(_TAG, "!!")
        self._problem(Code.YAML_FEATURE, f"the tag {printable(shown)} has no meaning here", "drop it", _mark(event))


def joined(text: str) -> str:
    """The text with what JSON escapes as two halves as the character that they are together."""
    return re.sub(_PAIR, lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), text)


def _mark(event: Any) -> Mark:
    mark = event.start_mark
    return mark.line + 1, mark.column + 1


def resolve(text: str) -> bool | float | str | None:
    """A plain scalar by YAML 1.2's core schema."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in "+-.0123456789" or not (number := _NUMBER.fullmatch(text)):
        return text
    try:
        if number["int"]:
            return int(text)
        if number["oct"] or number["hex"]:
            return int(text, 0)
    except ValueError:  # more digits than Python turns into an integer
        return float("inf")
    return float(text)
