"""The words of the views are as they were last reviewed."""

import asyncio

import pytest

from tests.report.golden import FOLDER, VIEWS


@pytest.mark.parametrize("name", VIEWS)
def test_a_change_of_words_is_seen_in_review(name):
    """If the change is meant: ``python -m tests.report.golden write``, and look at the difference."""
    assert VIEWS[name]() == (FOLDER / name).read_text(encoding="utf-8")


def test_no_browser_is_left_open_for_other_files():
    """Intent: while one is open, its event loop runs in this thread, and no other can: tests of other files would fail."""
    assert asyncio.run(asyncio.sleep(0, "ran")) == "ran"
