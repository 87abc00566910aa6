"""Lives that once broke, each with what it found, and what the harness makes of such a life."""

from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from tests.simulation.campaign import ADDED, lived
from tests.simulation.course import Act, Course, draw
from tests.simulation.test_lives import python

FOLDER = Path(__file__).parent / "found"
FOUND = {
    "a-key-sent-again-while-its-project-fails": (212, "2 projects were bought for p1"),
    "a-create-that-comes-late-once-its-project-has-failed": (158, "2 projects were bought for p2"),
    "a-project-that-is-canceled-while-its-key-is-sent": (3131, "2 projects were bought for p2"),
}
"""By the names of their courses, which are shortened: the seed that found it, and how it broke."""

MISSED = {
    "settling": 0,
    "look when recovering": 0,
    "recovery of lost answers": 0,
    "lock": 31,
    "fsync": 115,
    "intent": 105,
}
"""Safety steps, and the first seed whose life breaks without them: as many lives it takes."""


def course_of(name):
    return msgspec.json.decode((FOLDER / f"{name}.json").read_bytes(), type=Course)


@pytest.mark.parametrize("name", FOUND)
def test_a_life_that_was_broken_holds(name):
    assert not lived(course_of(name)).broken


def test_every_course_that_is_kept_has_its_story():
    assert {path.stem for path in FOLDER.iterdir()} == FOUND.keys()


@pytest.mark.parametrize(("name", "step"), list(zip(FOUND, ADDED, strict=True)))
def test_without_the_step_that_it_led_to_it_breaks_again(name, step):
    told = python("-m", "tests.simulation", "--tell", str(FOLDER / f"{name}.json"), "--without", step)

    assert told.returncode == 1, told.stderr
    assert FOUND[name][1] in told.stdout


@pytest.mark.parametrize(("step", "seed"), MISSED.items())
def test_a_life_misses_the_safety_step(step, seed):
    told = python("-m", "tests.simulation", "--tell", str(seed), "--without", step)

    assert told.returncode == 1, told.stderr
    assert " JUDGE " in told.stdout
    assert not lived(draw(seed)).broken


def test_a_life_is_told_shorter(tmp_path):
    name = "a-key-sent-again-while-its-project-fails"
    longer = course_of(name)
    longer = replace(longer, acts=(*longer.acts, Act(30.0, "creates", 0, {"brief": "Rain.", "title": "One"})), pace=60)
    (tmp_path / "longer.json").write_bytes(msgspec.json.encode(longer))
    told = python("-m", "tests.simulation", "--minimise", str(tmp_path / "longer.json"), "--without", next(iter(ADDED)))

    assert told.returncode == 1, told.stderr
    assert FOUND[name][1] in told.stdout
    assert len(msgspec.json.decode(told.stderr, type=Course).acts) < len(longer.acts)
