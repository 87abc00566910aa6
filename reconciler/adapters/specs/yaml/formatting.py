"""The canonical form of a specification file: order of keys, two spaces, quotes where they are needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from reconciler.adapters.specs.validation import shapes
from reconciler.adapters.specs.validation.codes import Code
from reconciler.adapters.specs.validation.shape_types import shape_at
from reconciler.adapters.specs.workspace_files import FileProblem
from reconciler.adapters.specs.yaml.parsing import SLOW_MAX, Path, parse, resolve
from reconciler.adapters.specs.yaml.scalars import scalar
from reconciler.adapters.specs.yaml.syntax_tree import Comment, Document, Entry, Node, Reader, comments

WIDTH: Final = 120
"""A ``{…}`` or ``[…]`` beyond this column becomes a block."""

_FIRST: Final = ("for_each", "brief", "brief_file", "adopt", "import")
_LAST: Final = ("settings", "messages", "deliver", "state", "lifecycle")
_PATHS: Final[dict[str, Path]] = {
    "variable": ("variables", ""),
    "settings": ("projects", "", "settings"),
    "lifecycle": ("projects", "", "lifecycle"),
    "deliver": ("projects", "", "deliver"),
    "share": ("projects", "", "deliver", "share"),
    "reference": ("projects", "", "references", 0),
    "message": ("projects", "", "messages", 0),
    "move": ("moved", 0),
    "removal": ("removed", 0),
}
"""Where mappings of each role stand in a document."""
_ROLES: Final[Mapping[tuple[str, str], str]] = {
    ("document", "variables"): "variable*",
    ("document", "defaults"): "project",
    ("document", "projects"): "project*",
    ("document", "moved"): "move*",
    ("document", "removed"): "removal*",
    ("project", "settings"): "settings",
    ("project", "lifecycle"): "lifecycle",
    ("project", "deliver"): "deliver",
    ("deliver", "share"): "share",
    ("project", "references"): "reference*",
    ("project", "messages"): "message*",
    ("message", "references"): "reference*",
}
"""What stands under a key: one of a kind, or (``*``) several."""


def _orders() -> dict[str, tuple[str, ...]]:
    """The order of keys in a mapping of each role."""
    known = shapes.current()
    middle = (key for key in known.project.names if key not in (*_FIRST, *_LAST))
    orders: dict[str, tuple[str, ...]] = {
        "document": ("variables", "defaults", "projects", "moved", "removed"),
        "project": (*_FIRST, *middle, *_LAST),
    }
    for role, path in _PATHS.items():
        shape = shape_at(known.spec, path)
        assert shape is not None
        orders[role] = tuple(shape.names)
    return orders


def formatted(text: str, file: str) -> str:
    """The canonical form of a specification that is known to be free of errors.

    Raises:
        FileProblem: it would not mean the same, or lose a comment.

    """
    result = rewritten(text, file)
    if _values(result, file) != _values(text, file):
        raise FileProblem(Code.FORMAT, f"{file} would mean something else once formatted", "it was not changed")
    return result


def rewritten(
    text: str, file: str, change: Callable[[list[Document]], None] = lambda _: None, *, reorder: bool = True
) -> str:
    """The canonical form of a text, its documents changed before; in the order of its keys, or in that of the file.

    Raises:
        FileProblem: it can't be read, or would lose a comment.

    """
    if len(text) > SLOW_MAX:
        raise FileProblem(Code.FORMAT, f"{file} has more than {SLOW_MAX:,} characters", "split it")
    try:
        reader = Reader(text)
        documents = reader.documents()
        change(documents)
        result = _Writer(reorder=reorder and not reader.anchors).write(documents)
    except Exception as failure:
        detail = f"it has YAML that fmt does not support ({type(failure).__name__}): it was not changed"
        raise FileProblem(Code.FORMAT, f"{file} can't be formatted", detail) from failure
    if comments(result) != comments(text):
        raise FileProblem(Code.FORMAT, f"{file} would lose a comment once formatted", "it was not changed")
    return result


def _values(text: str, file: str) -> list[Any]:
    parsed = parse(text, file)
    return [(root,) for root, _ in parsed.documents if root is not None] + [found.summary for found in parsed.problems]


class _Writer:
    def __init__(self, *, reorder: bool) -> None:
        self._orders = _orders() if reorder else {}
        self._lines: list[str] = []

    def write(self, documents: list[Document]) -> str:
        for number, document in enumerate(documents):
            if number:
                self._lines.append("---")
            leading = list(document.leading)
            while leading and not leading[0]:
                leading.pop(0)
            self._comments(leading, 0)
            self._root(document.root)
            self._comments(document.trailing, 0)
            while self._lines and not self._lines[-1] and not self._ends_in_kept_text(document):
                self._lines.pop()
        return "\n".join(self._lines) + "\n" if self._lines else ""

    def _ends_in_kept_text(self, document: Document) -> bool:
        """Whether blank lines at the end belong to a block scalar that keeps them."""
        node = document.root
        while node.entries and not node.trailing:
            node = node.entries[-1].value
        return node.kind == "block" and node.lines[0].endswith("+") and not document.trailing

    def _root(self, root: Node) -> None:
        if root.kind in ("map", "list") and (root.entries or root.trailing):
            if root.anchor:
                self._lines.append(f"--- &{root.anchor}")
            self._block(root, 0, "document")
        elif root.text or root.anchor or root.kind in ("map", "list"):
            self._line(self._inline(root) or "", None)

    def _comments(self, lines: list[str], indent: int) -> None:
        for line in lines:
            if line:
                self._lines.append(" " * indent + line)
            elif self._lines and self._lines[-1]:
                self._lines.append("")

    def _line(self, line: str, eol: Comment | None) -> None:
        if eol is not None:
            line += " " * max(1, eol[0]) + eol[1]
        self._lines.append(line)

    def _block(self, node: Node, indent: int, role: str) -> None:
        entries = self._in_order(node, role)
        for number, entry in enumerate(entries):
            leading = entry.leading
            while not number and leading and not leading[0]:
                leading = leading[1:]
            self._comments(leading, indent)
            self._entry(entry, indent, _role(role, entry))
        self._comments(node.trailing, indent)

    def _in_order(self, node: Node, role: str) -> list[Entry]:
        order = self._orders.get(role, ())
        if node.kind != "map" or not order:
            return node.entries
        rank = {key: number for number, key in enumerate(order)}
        return sorted(node.entries, key=lambda entry: rank.get(entry.key.text if entry.key else "", len(rank)))

    def _entry(self, entry: Entry, indent: int, role: str) -> None:
        value = entry.value
        head = " " * indent + ("-" if entry.key is None else self._key(entry.key, flow=False))
        anchor = f" &{value.anchor}" if value.anchor else ""
        inline = self._inline(value, role)
        if value.kind == "block":
            self._line(f"{head}{anchor} {value.lines[0]}", entry.eol)
            deeper = " " * (indent + 2)
            self._lines += [deeper + line if line else "" for line in value.lines[1:]]
        elif inline is not None and (not value.entries or indent + len(head) + len(inline) < WIDTH):
            self._line(f"{head} {inline}".rstrip(), entry.eol)
        elif entry.key is None and not anchor and not entry.eol:
            self._comments(self._hoisted(value, role), indent)
            first = len(self._lines)
            self._block(value, indent + 2, role)
            self._lines[first] = f"{head} {self._lines[first].lstrip()}"
        else:
            self._line(head + anchor, entry.eol)
            self._block(value, indent + 2, role)

    def _hoisted(self, node: Node, role: str) -> list[str]:
        """The comments before a block's first line, taken out: that line goes behind a dash."""
        taken: list[str] = []
        while node.entries:
            first = self._in_order(node, role)[0]
            taken += [line for line in first.leading if line]
            first.leading = []
            if first.key is not None:
                break
            node, role = first.value, _role(role, first)
        return taken

    def _key(self, key: Node, *, flow: bool) -> str:
        text = key.text if key.plain and key.text == "<<" else self._inline(key, flow=flow) or ""
        return f"{text} :" if key.kind == "alias" else f"{text}:"

    def _inline(self, node: Node, role: str = "", *, flow: bool = False) -> str | None:
        """The value on one line; None where it is or has to be a block."""
        anchor = f"&{node.anchor} " if node.anchor else ""
        match node.kind:
            case "alias":
                return f"*{node.text}"
            case "block":
                return None
            case "scalar" if node.plain and resolve(node.text) is not node.text:
                return anchor + (node.text or "null" * flow)
            case "scalar":
                return anchor + scalar(node.text, flow=flow)
            case _:
                return self._flow(node, role, anchor)

    def _flow(self, node: Node, role: str, anchor: str) -> str | None:
        if (node.entries and not (node.flow and node.single_line)) or _commented(node):
            return None
        parts = []
        for entry in self._in_order(node, role):
            value = self._inline(entry.value, _role(role, entry), flow=True) or ""
            parts.append(f"{self._key(entry.key, flow=True)} {value}" if entry.key else value)
        body = ", ".join(parts)
        return anchor + (f"{{{body}}}" if node.kind == "map" else f"[{body}]")


def _role(role: str, entry: Entry) -> str:
    """The role of an entry's value in something of this role."""
    if role.endswith("*"):
        return role[:-1]
    return _ROLES.get((role, entry.key.text), "") if entry.key else ""


def _commented(node: Node) -> bool:
    return any(node.trailing) or any(
        any(entry.leading) or entry.eol is not None or _commented(entry.value) for entry in node.entries
    )
