"""Lives that once broke, each with what it found, and what the harness makes of such a life."""

import json

import pytest

from tests.simulation.campaign import lived
from tests.simulation.course import draw
from tests.simulation.test_lives import python

FOUND = {
    212: "an answer is lost, the key is sent again, and in between the project fails: the key made a second one",
}
"""Seeds by their stories. They are of the courses that `draw` gives: where that changes, the story may be another."""


@pytest.mark.parametrize("seed", FOUND)
def test_a_life_that_was_broken_holds(seed):
    assert not lived(draw(seed)).broken


def test_without_the_step_that_it_led_to_it_breaks_again_and_is_told_shorter():
    step = "wait for the agent before the key is sent again"
    told = python("-m", "tests.simulation", "--minimise", "212", "--without", step)
    course = json.loads(told.stderr)

    assert told.returncode == 1
    assert "JUDGE     2 projects were bought for p1, 1 at most were wanted" in told.stdout
    assert 0 < len(course["acts"]) < len(draw(212).acts)
    assert not any(course["wire"].values())
