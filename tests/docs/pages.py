"""Markdown pages as tests use them: their blocks of code, and what stands before each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.project_files import ROOT

MANUAL = ROOT / "reconciler" / "manual"
PAGES = sorted(path.stem for path in MANUAL.glob("*.md"))
SPEC_KEYS = {"projects", "moved", "removed"}
_BLOCK = re.compile(
    r"^(?:<!-- (?P<note>[^>]*?) -->\n+)?```(?P<language>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)
_NAME = re.compile(r"# ([\w./-]+\.(?:yaml|md))\n")


@dataclass(frozen=True)
class Block:
    language: str
    body: str
    note: str
    """The comment before it: `exit: 1`, `not run: why`."""

    @property
    def name(self) -> str | None:
        """The file that its first line names."""
        found = _NAME.match(self.body)
        return found[1] if found else None

    @property
    def exit_code(self) -> int:
        return int(self.note.removeprefix("exit: ")) if self.note.startswith("exit: ") else 0

    @property
    def is_run(self) -> bool:
        return not self.note.startswith("not run: ")

    @property
    def is_config(self) -> bool:
        """Whether YAML is the workspace's configuration."""
        keys = set(re.findall(r"^(\w+):", self.body, re.MULTILINE))
        return keys.isdisjoint(SPEC_KEYS) and not keys <= {"defaults", "variables"}


def text_of(page: str) -> str:
    return (MANUAL / f"{page}.md").read_text(encoding="utf-8")


def blocks(text: str) -> Iterator[Block]:
    for match in _BLOCK.finditer(text):
        yield Block(match["language"], match["body"], match["note"] or "")


def code_sections() -> dict[str, tuple[list[Block], list[Block], str]]:
    """The wrong and the right blocks of each error code, and the command that reports it."""
    found = {}
    for section in re.split(r"(?m)^## ", text_of("codes"))[1:]:
        code = section.partition(":")[0]
        command = re.search(r"<!-- command: (.*?) -->", section)
        before, _, after = section.partition("\nRight:\n")
        found[code] = (
            list(blocks(before.partition("\nWrong:\n")[2])),
            list(blocks(after)),
            command[1] if command else "",
        )
    return found


def links(text: str) -> list[str]:
    """Where a page's links lead, web addresses left out."""
    return re.findall(r"\]\((?!https?://)([^)\s]+)\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
