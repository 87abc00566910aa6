"""The map of the code and the decisions name only what is there."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import anchors, links
from tests.project_files import ROOT

PACKAGE = ROOT / "reconciler"
MAP = (PACKAGE / "README.md").read_text(encoding="utf-8")
DECISIONS = sorted((PACKAGE / "decisions").glob("[0-9]*.md"))
REFERENCE = re.compile(r"decisions/(\d{4})")


def test_every_path_of_the_map_exists():
    named = re.findall(r"`((?:[\w-]+/)+[\w.-]*)`|`([\w-]+\.(?:py|md))`", MAP)
    paths = {first or second for first, second in named}
    assert len(paths) > 25
    for path in paths:
        if "NAME" not in path:
            assert (PACKAGE / path).exists() or (ROOT / path).exists(), path


def test_the_walk_follows_twelve_files():
    walk = MAP.partition("twelve files")[2].partition("\n## ")[0]
    steps = re.findall(r"^(\d+)\. `([\w/]+\.py)`", walk, re.MULTILINE)
    assert [int(number) for number, _ in steps] == [*range(1, 13)]
    assert len({path for _, path in steps}) == 12


@pytest.mark.parametrize("heading", ["a field", "a kind of step", "a command", "a report"])
def test_the_map_says_where_to_add(heading):
    assert re.search(rf"^### {heading}", MAP, re.MULTILINE | re.IGNORECASE)


def test_names_in_the_map_are_defined_where_it_says():
    """Intent: `COMMAND_GROUPS` in `cli/main.py` is a name of that file."""
    pairs = re.findall(r"`(\w+)(?:\(\))?`[^`.]*? (?:in|to|of) `([\w/]+\.py)`", MAP)
    assert len(pairs) >= 3
    for name, path in pairs:
        text = (PACKAGE / path).read_text(encoding="utf-8")
        assert re.search(rf"^\s*(?:def |class |async def )?{name}\b", text, re.MULTILINE), f"{name} in {path}"


def test_decisions_are_numbered_dated_and_listed():
    index = (PACKAGE / "decisions" / "README.md").read_text(encoding="utf-8")
    assert [path.name[:4] for path in DECISIONS] == [f"{number:04}" for number in range(1, len(DECISIONS) + 1)]
    for number, path in enumerate(DECISIONS, 1):
        text = path.read_text(encoding="utf-8")
        assert re.match(rf"# {number}\. .+\n\n\d{{4}}-\d\d-\d\d\n\n## Decision\n\n.+", text), path.name
        assert "\n## Why\n" in text and len(text.splitlines()) < 40
        assert f"({path.name})" in index


def test_every_reference_to_a_decision_leads_to_one():
    """Intent: no comment points to a document that a reader of the repository doesn't have."""
    known = {path.name[:4] for path in DECISIONS}
    found = set()
    for path in (*PACKAGE.rglob("*.py"), *(ROOT / "tests").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        found |= set(REFERENCE.findall(text))
        if path.name != "test_map.py":
            assert not re.search(r"settled reading|interfaces\.md|architecture\.md", text), path
    assert found and found <= known


@pytest.mark.parametrize("page", ["README.md", "decisions/README.md"])
def test_links_of_the_map_lead_somewhere(page):
    for target in links((PACKAGE / page).read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        file = (PACKAGE / page).parent / path
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target
