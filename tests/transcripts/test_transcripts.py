"""A month of a team's life on terminals of 80 and 200 columns reads as in the files here, so that a review sees new words."""

import re

import pytest

from tests.transcripts.life import HERE, transcripts

NAMES = sorted(path.stem for path in HERE.glob("*.txt"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return transcripts(tmp_path_factory.mktemp("life") / "w")


@pytest.mark.long
def test_each_view_reads_as_written(made):
    assert sorted(made) == NAMES
    for name, text in made.items():
        written = (HERE / f"{name}.txt").read_text(encoding="utf-8")
        assert text == written, f"{name}: look at it, then run `python -m tests.transcripts write`"


@pytest.mark.parametrize("name", NAMES)
def test_no_line_is_wider_than_its_terminal_and_no_secret_or_escape_is_in_it(name):
    text = (HERE / f"{name}.txt").read_text(encoding="utf-8")
    width = int(name.rpartition("-")[2])

    assert [line for line in text.splitlines()[1:] if len(line) > width] == []
    assert not re.search(r"\x1b|es_(live|test)_|Traceback", text)


def test_thirty_projects_are_read_on_one_screen():
    """Intent: a plan of thirty, of which a matrix has 24, is no longer than a screen or two."""
    assert len((HERE / "1-first-plan-80.txt").read_text(encoding="utf-8").splitlines()) <= 90
    assert len((HERE / "1-first-plan-200.txt").read_text(encoding="utf-8").splitlines()) <= 60
