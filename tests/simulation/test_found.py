"""Lives that once broke, each with what it found, and what the harness makes of such a life."""

from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from tests.sampling import square
from tests.simulation.campaign import ADDED, lived
from tests.simulation.course import Act, Course, draw
from tests.simulation.test_lives import python

FOLDER = Path(__file__).parent / "found"
FOUND = {
    "a-key-sent-again-while-its-project-fails": (212, "2 projects were bought for p1"),
    "a-create-that-comes-late-once-its-project-has-failed": (158, "2 projects were bought for p1"),
    "a-project-that-is-canceled-while-its-key-is-sent": (3131, "2 projects were bought for p1"),
    "a-project-that-a-person-renames-before-its-create-is-found": (3247, "2 projects were bought for p1"),
    "a-render-that-a-proxy-asks-for-twice": (5111, "was done twice"),
    "a-render-that-a-proxy-asks-for-twice-and-that-ends-before-the-next-look": (421782, "was done twice"),
    "a-state-that-is-renamed-and-not-synced": (305996, "says that it could not write"),
    "a-project-that-fails-while-the-run-after-a-lost-state-waits": (4003492, "2 projects were bought for p1"),
    "an-adoption-after-a-lost-state-whose-answer-is-lost": (310992, "was done twice"),
    "a-brief-that-another-environment-had-days-before": (3309650, "does not come to rest"),
}
"""By the names of their courses, which are shortened: the seed that found it, and how it broke.

They say what happens to which changing request, not when or by chance: other reads than then leave them as they are.
"""

MISSED = {
    "settling": 3_000_231,
    "look when recovering": 6,
    "recovery of lost answers": 8,
    "lock": 27,
    "fsync": 115,
    "intent": 138,
    "check for failed": 3_000_015,
    "look before sending": 3_000_090,
    "environment of a state": 7_000_004,
    "look for the pinned project": 7_000_017,
    "look for the account in a plan": 7_000_020,
    "look for the account before recovery": 7_000_078,
    "look for what a download left": 7_001_600,
    "sync of videos": 7_000_091,
    "turns in a folder": 7_000_165,
    "forgetting of refused uploads": 7_000_500,
    "look at the kind of a file": 7_000_060,
}
"""Safety steps, and a seed whose life breaks without them. If the program's requests have changed since, it is a later one.
"""
MOST = 200
"""Lives that are looked through from there."""
SEEK = """
import sys
from tests.simulation.campaign import many
from tests.sampling import square
step, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for found in many(range(first, first + count), without=step, stop=True).found:
    print(found.seed)
"""


def course_of(name):
    return msgspec.json.decode((FOLDER / f"{name}.json").read_bytes(), type=Course)


@pytest.mark.parametrize(("name", "reads"), square(2, FOUND, [0, 3]))
def test_a_life_that_was_broken_holds(name, reads):
    assert not lived(replace(course_of(name), reads=reads)).broken


def test_every_course_that_is_kept_has_its_story():
    assert {path.stem for path in FOLDER.iterdir()} == FOUND.keys()


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("case", "reads"), square(2, zip(FOUND, ADDED, strict=True), [0, 3]))
def test_without_the_step_that_it_led_to_it_breaks_again(case, reads, tmp_path):
    """Also where the program reads more than it does."""
    name, step = case
    (tmp_path / "course.json").write_bytes(msgspec.json.encode(replace(course_of(name), reads=reads)))
    told = python("-m", "tests.simulation", "--tell", str(tmp_path / "course.json"), "--without", step)

    assert told.returncode == 1, told.stderr
    assert FOUND[name][1] in told.stdout


@pytest.mark.sampled(6)
@pytest.mark.parametrize(("step", "first"), MISSED.items())
def test_a_life_misses_the_safety_step(step, first):
    found = python("-c", SEEK, step, str(first), str(MOST))

    assert found.stdout, found.stderr
    assert not lived(draw(int(found.stdout))).broken


@pytest.mark.sweep
def test_a_life_is_told_shorter(tmp_path):
    name = "a-key-sent-again-while-its-project-fails"
    longer = course_of(name)
    longer = replace(longer, acts=(*longer.acts, Act(30.0, "creates", 0, {"brief": "Rain.", "title": "One"})), pace=60)
    (tmp_path / "longer.json").write_bytes(msgspec.json.encode(longer))
    told = python("-m", "tests.simulation", "--minimise", str(tmp_path / "longer.json"), "--without", next(iter(ADDED)))

    assert told.returncode == 1, told.stderr
    assert FOUND[name][1] in told.stdout
    assert len(msgspec.json.decode(told.stderr, type=Course).acts) < len(longer.acts)
