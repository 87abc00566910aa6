"""Long texts in a plan are wrapped as the standard library does it, in a fraction of its time."""

import textwrap

from hypothesis import given
from hypothesis import strategies as st

from reconciler.report.fields import prose

WORD = st.text("ab-é.", min_size=1, max_size=20)


@given(words=st.lists(WORD, max_size=40), gaps=st.lists(st.sampled_from([" ", " ", "  "]), min_size=40, max_size=40))
def test_words_are_kept_and_wrapped_as_textwrap_does(words, gaps):
    text = "".join(word + gap for word, gap in zip(words, gaps, strict=False))

    assert prose(text, 20) == (textwrap.wrap(text, 20, break_on_hyphens=False) or [""])


def test_a_word_that_is_too_long_is_cut_and_nothing_of_it_lost():
    assert prose("to " + "x" * 25 + " end", 10) == ["to", "x" * 10, "x" * 10, "xxxxx end"]


def test_lines_keep_their_indentation_and_empty_lines_stay():
    assert prose("one\n\n  - two three four\n", 12) == ["one", "", "  - two", "three four"]
