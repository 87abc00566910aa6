"""Specifications and defaults in the words of another version of the API: comments stay, and what has no words is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from reconciler.adapters.specs.validation import shapes
from reconciler.adapters.specs.validation.codes import Code
from reconciler.adapters.specs.validation.shape_types import shape_at
from reconciler.adapters.specs.validation.suggestions import quoted
from reconciler.adapters.specs.workspace_files import FileProblem
from reconciler.adapters.specs.yaml.formatting import rewritten
from reconciler.adapters.specs.yaml.parsing import Path, find, parse
from reconciler.adapters.specs.yaml.syntax_tree import Comment, Document, Entry, Node
from reconciler.model import contract
from reconciler.model.contract_conversions import converted, fits, new_name
from reconciler.model.contract_tables import Contract
from reconciler.model.errors import Diagnostic, Location
from reconciler.model.values import Json

_VARIABLE: Final = "${"
_IGNORED: Final = "ignore_changes"
_CHANGED: Final = ("settings", "lifecycle", "api")


class Upgraded(NamedTuple):
    """A file's new text, and what could not be carried over, each at its place in the old one."""

    text: str
    left: list[Diagnostic]


def upgraded_spec(text: str, file: str, to: Contract) -> Upgraded:
    """A specification file. Raises FileProblem: it is not YAML, or can't be rewritten."""
    return _upgraded(text, file, to, config=False)


def upgraded_config(text: str, file: str, to: Contract) -> Upgraded:
    """``reconciler.yaml``: its ``api.version`` and its ``defaults``, those of environments too. Raises FileProblem."""
    return _upgraded(text, file, to, config=True)


def _upgraded(text: str, file: str, to: Contract, *, config: bool) -> Upgraded:
    parsed = parse(text, file)
    if parsed.problems:
        first = parsed.problems[0]
        at = first.location
        raise FileProblem(Code.SYNTAX, first.summary, first.detail, line=at.line if at else None)
    trees = [tree for tree, _ in parsed.documents if tree is not None]
    change = _Upgrade(to, file)

    def all_documents(documents: list[Document]) -> None:
        if not documents and config:
            documents.append(Document([], Node("map"), []))
        for document, tree in zip(documents, trees or [{}] * len(documents), strict=True):
            change.root = tree
            if config and not (document.root.text or document.root.entries):
                document.root.kind = "map"  # a file of comments
            (change.config if config else change.document)(document.root, tree)

    with contract.kept():
        contract.use(to)  # whose fields have their places in it
        result = rewritten(text, file, all_documents, reorder=not config)
        result = result if config else rewritten(result, file)  # by now there may be no anchors
    after = parse(result, file)
    if after.problems or _apart(trees) != _apart([tree for tree, _ in after.documents if tree is not None]):
        raise FileProblem(Code.FORMAT, f"{file} can't be rewritten", "it was not changed")
    return Upgraded(result, change.left)


class _Upgrade:
    """Changes syntax trees, beside the values that they stand for."""

    def __init__(self, to: Contract, file: str) -> None:
        self._to = to
        self._file = file
        self._others = [contract.named(v) for v in reversed(contract.versions()) if v != to.version]
        self.root: Any = None
        self.left: list[Diagnostic] = []

    def config(self, node: Node, tree: Any) -> None:
        """The whole of ``reconciler.yaml``."""
        self._set_version(node)
        for name, entry, path in _entries(node, tree):
            if name == "defaults":
                self._project(entry.value, tree[name], path)
            if name == "environments":
                for own, block, place in _entries(entry.value, tree[name], path):
                    for key, inner, at in _entries(block.value, tree[name][own], place):
                        if key == "defaults":
                            self._project(inner.value, tree[name][own][key], at)
                        elif key == "api":
                            _put(inner.value, "version", self._to.version, new=False)

    def _set_version(self, node: Node) -> None:
        for entry in node.entries:
            if entry.key is not None and entry.key.text == "api" and entry.value.kind == "map":
                _put(entry.value, "version", self._to.version)
                return
        version = Entry(_scalar("version"), _scalar(self._to.version), [])
        api = Node("map", flow=True, entries=[version])
        named = [i for i, entry in enumerate(node.entries) if entry.key is not None and entry.key.text == "workspace"]
        node.entries.insert(named[0] + 1 if named else 0, Entry(_scalar("api"), api, []))

    def document(self, node: Node, tree: Any) -> None:
        """A document of a specification file."""
        for name, entry, path in _entries(node, tree):
            if name == "defaults":
                self._project(entry.value, tree[name], path)
            if name == "projects":
                for address, project, place in _entries(entry.value, tree[name], path):
                    self._project(project.value, tree[name][address], place)

    def _project(self, node: Node, tree: Any, path: Path) -> None:
        for name, entry, place in _entries(node, tree, path):
            if name == "settings":
                self._mapping(entry.value, tree[name], place, self._setting)
            if name == "lifecycle":
                self._mapping(entry.value, tree[name], place, self._rule)

    def _mapping(self, node: Node, tree: Any, path: Path, said: Any) -> None:
        """Each entry as it is now, or not at all: then its comments go to what follows."""
        if node.kind != "map" or not isinstance(tree, Mapping):
            return
        kept: list[Entry] = []
        waiting: list[str] = []
        for entry in node.entries:
            name = entry.key.text if entry.key is not None else ""
            now = said(name, tree[name], (*path, name), tree) if name in tree else entry
            if now is None:
                waiting += [*filter(None, entry.leading), *_comments(entry)]
                continue
            if isinstance(now, tuple):
                inner = _comments(Entry(None, entry.value, []))
                key, value = now
                entry = Entry(_scalar(key), _node(value), [*entry.leading, *inner], entry.eol)  # noqa: PLW2901
            entry.leading = [*waiting, *entry.leading]
            waiting = []
            kept.append(entry)
        node.entries = kept
        node.trailing = [*waiting, *node.trailing]

    def _setting(self, name: str, value: Json, path: Path, tree: Mapping[str, Json]) -> Any:
        """``True`` for a setting that stays, a name and a value for one that is said in another way, or none."""
        to, stays = self._to, name in self._to.settings
        having = [api for api in self._others if name in api.settings]
        template = isinstance(value, str) and _VARIABLE in value
        if (stays and (template or fits(to.field(name), value))) or not having:
            return True
        later = next((new for api in having if (new := new_name(name, of=api, to=to))), None)
        if template and later is not None and later not in tree:
            self._tell(path, f"{quoted(value)} is filled later: check that {later} takes it")
            return later, [value] if to.field(later).kind == "set" else value
        known = (converted(name, value, of=api, to=to) for api in having if fits(api.field(name), value))
        found = next(filter(None, known), None)
        if found is not None and (found[0] == name or found[0] not in tree):
            return found
        if stays and not any(fits(api.field(name), value) for api in having):
            return True  # no version has it: the check of the new text says so
        why = f"{later} is there already" if found else f"version {to.version} has nothing for it"
        self._tell(path, f"{_shown(value)} was not carried over: {why}")
        return None

    def _rule(self, name: str, value: Json, path: Path, _: Mapping[str, Json]) -> Any:
        """The same for a key of the lifecycle."""
        if name not in _lifecycle(self._to):
            if not any(name in _lifecycle(api) for api in self._others):
                return True
            self._tell(path, f"{_shown(value)} was not carried over: version {self._to.version} has nothing for it")
            return None
        if name != _IGNORED or not isinstance(value, list):
            return True
        names: list[Json] = []
        for index, field in enumerate(value):
            known = (field in api.settings and new_name(field, of=api, to=self._to) for api in self._others)
            new: Any = field if self._to.has(str(field)) else next(filter(None, known), None)
            if new is None and not any(api.has(str(field)) for api in self._others):
                new = field
            if new is None:
                what = f"{quoted(field)} was not carried over: version {self._to.version} has nothing for it"
                self._tell((*path, index), what)
            elif new not in names:
                names.append(new)
        return True if names == value else (name, names)

    def _tell(self, path: Path, what: str) -> None:
        _, mark = find(self.root, path, key=True)
        at = Location(self._file, *mark) if mark is not None else Location(self._file)
        where = ".".join(str(part) for part in path if not isinstance(part, int))
        self.left.append(
            Diagnostic(severity="warning", summary=f"{where}: {what}", location=at, code=Code.API_VERSION.value)
        )


def _apart(trees: list[Any]) -> list[Any]:
    """The documents without what an upgrade may change."""
    return [part for part in map(_unchanged, trees) if part != {}]


def _unchanged(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _unchanged(item) for key, item in value.items() if key not in _CHANGED}
    return [_unchanged(item) for item in value] if isinstance(value, list) else value


def _lifecycle(api: Contract) -> list[str]:
    shape = shape_at(shapes.shapes_of(api).project, ("lifecycle",))
    assert shape is not None
    return shape.names


def _entries(node: Node, tree: Any, path: Path = ()) -> Iterator[tuple[str, Entry, Path]]:
    """The entries of a mapping that are written there, with their keys and paths; none of anything else."""
    if node.kind == "map" and isinstance(tree, Mapping):
        for entry in list(node.entries):
            if entry.key is not None and entry.key.text in tree:
                yield entry.key.text, entry, (*path, entry.key.text)


def _put(node: Node, name: str, value: str, *, new: bool = True) -> None:
    """Set a key of a mapping; one that is not there only if it may be ``new``."""
    for entry in node.entries:
        if entry.key is not None and entry.key.text == name:
            entry.leading += _comments(Entry(None, entry.value, []))
            entry.value = _scalar(value)
            return
    if new and node.kind == "map":
        node.entries.append(Entry(_scalar(name), _scalar(value), []))


def _comments(entry: Entry) -> list[str]:
    """The comments behind an entry and in its value."""
    found = [_text(entry.eol)] if entry.eol else []
    value = entry.value
    found += [_text(value.eol)] if value.eol else []
    for item in value.entries:
        found += [*filter(None, item.leading), *_comments(item)]
    return [*found, *filter(None, value.trailing)]


def _text(comment: Comment) -> str:
    return comment[1]


def _scalar(text: str) -> Node:
    return Node("scalar", text)


def _node(value: Json) -> Node:
    if isinstance(value, list | tuple):
        return Node("list", flow=True, entries=[Entry(None, _node(item), []) for item in value])
    return _scalar(str(value))


def _shown(value: Json) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(quoted(item) for item in value)}]"
    return quoted(value)
