"""The page of error codes: every code, with an example that has it and one that doesn't."""

from __future__ import annotations

import re

import pytest

from reconciler.adapters.specs.validation.codes import Code
from tests.cli.cli_support import Space, make_space
from tests.command import command
from tests.docs.pages import Block, code_sections
from tests.project_files import ROOT, shell

SECTIONS = code_sections()
SPEC = "specs/example.yaml"
PACKAGE = ROOT / "reconciler"
SAID = re.compile(r"^(?:! )?(?:error|warning|failed)\[(E\d{3})\]", re.MULTILINE)
CODE = re.compile(r'= "(E\d{3})"')


@pytest.fixture
def space(tmp_path) -> Space:
    """A workspace with the files that examples refer to."""
    made = make_space(tmp_path / "w", None, "workspace: acme-videos\n", HOOK_TOKEN="canary-hook")
    (made.root / "specs").mkdir()
    made.write("briefs/teaser.md", "Upbeat.\n")
    (made.root / "assets").mkdir()
    (made.root / "assets" / "logo.png").write_bytes(bytes.fromhex("89504e470d0a1a0a") + bytes(100))
    return made


def write(space: Space, blocks: list[Block]) -> None:
    for block in blocks:
        if block.language == "sh":
            done = shell(f'set -e\nreconciler() {{ "{command()}" "$@"; }}\n{block.body}', space.root)
            assert done.returncode == 0, done.stderr
        else:
            space.write(block.name or SPEC, block.body)


def test_every_code_is_explained_and_nothing_else():
    """Intent: also the codes that are no error of a spec alone, which are found in the program's text."""
    codes = {code for path in PACKAGE.rglob("*.py") for code in CODE.findall(path.read_text(encoding="utf-8"))}
    assert codes >= {code.value for code in Code}
    assert list(SECTIONS) == sorted(codes)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("code", SECTIONS)
def test_the_wrong_example_has_that_error_only_and_the_right_one_none(space, code):
    wrong, right, command = SECTIONS[code]
    assert wrong and right
    write(space, wrong)
    if command:
        ran = space.run(*command.split(), code=1)
        assert set(SAID.findall(ran.out + ran.err)) == {code}
    else:
        assert {error["code"] for error in space.run("validate", "--format", "json", code=1).errors} == {code}
    write(space, right)
    space.run(*(command or "validate").split())
