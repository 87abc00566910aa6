"""Long texts in a plan are wrapped as the standard library does it, in a fraction of its time."""

import re
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.report.fields import prose
from reconciler.report.safe_text import columns
from reconciler.report.style import Style
from reconciler.report.text import plan_text
from reconciler.report.wrapping import wrapped
from tests.cli.report_samples import PLAN

WORD = st.text("ab-é.", min_size=1, max_size=20)


@given(words=st.lists(WORD, max_size=40), gaps=st.lists(st.sampled_from([" ", " ", "  "]), min_size=40, max_size=40))
def test_words_are_kept_and_wrapped_as_textwrap_does(words, gaps):
    text = "".join(word + gap for word, gap in zip(words, gaps, strict=False))

    assert prose(text, 20) == (textwrap.wrap(text, 20, break_on_hyphens=False) or [""])


def test_a_word_that_is_too_long_stays_whole():
    assert prose("to " + "x" * 25 + " end", 10) == ["to", "x" * 25, "end"]
    assert wrapped("to " + "x" * 25 + " end", 10) == "to\n  " + "x" * 25 + "\n  end"


def test_what_is_no_word_is_cut_and_nothing_of_it_lost():
    assert "".join(prose("x" * 5000, 10)) == "x" * 5000
    assert max(map(len, prose("x" * 5000, 10))) == 1000


def test_scripts_without_spaces_are_broken_anywhere_by_their_width():
    parts = prose("秋の新作コレクションの予告編を作ってください。", 20)

    assert "".join(parts) == "秋の新作コレクションの予告編を作ってください。"
    assert all(columns(part) <= 20 for part in parts) and len(parts) == 3


def test_lines_keep_their_indentation_and_empty_lines_stay():
    assert prose("one\n\n  - two three four\n", 12) == ["one", "", "  - two", "three four"]


@given(words=st.lists(st.text("ab\x1b[1m-秋", min_size=1, max_size=12), max_size=40), width=st.integers(20, 60))
def test_lines_are_broken_between_words_and_nothing_is_lost(words, width):
    text = " ".join(words)
    lines = wrapped(text, width).split("\n")

    assert re.sub(r"\s", "", "".join(lines)) == text.replace(" ", "")
    assert all(line.startswith("  ") for line in lines[1:])


def test_a_line_that_goes_on_is_indented_more_and_colors_take_no_room():
    text = "    \x1b[31mone two three four\x1b[0m five six"

    assert wrapped(text, 22) == "    \x1b[31mone two three four\x1b[0m\n      five six"
    assert wrapped(text, 36) == text
    assert wrapped(text, None) == text


def test_a_command_in_backticks_is_not_broken():
    text = "Follow it with `reconciler status --watch`, or wait."

    assert wrapped(text, 30) == "Follow it with\n  `reconciler status --watch`,\n  or wait."
    assert wrapped(text, 20).split("\n")[1].strip() == "`reconciler status --watch`,"


@pytest.mark.parametrize("width", [50, 80, 200])
def test_a_plan_fits_the_terminal(width):
    text = plan_text(PLAN, style=Style(color=False, width=width, columns=width))

    assert [line for line in text.split("\n") if columns(line) > width and " " in line.strip()] == []
    assert (
        re.sub(r"\s+", " ", plan_text(PLAN, style=Style(color=False, width=1000))).split()[-12:] == text.split()[-12:]
    )
