"""Progress of an apply: only what changed has a line, and each says how long it took."""

from __future__ import annotations

import re

import pytest

from reconciler.model.events import ApplyStarted, StatusChanged, StepEnded, StepStarted, StepWaiting
from reconciler.report.progress import SUMMARY_SECONDS, Progress
from reconciler.report.style import Style
from reconciler.report.words import duration
from tests.cli.cli_support import CONFIG, on_terminal
from tests.cli.report_samples import STEPS

CREATE = STEPS[0]
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def taken(progress, *events):
    return [line for event in events for line in progress.take(event)]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.0 s"),
        (9.94, "9.9 s"),
        (10, "10 s"),
        (59.4, "59 s"),
        (64, "1 m 04 s"),
        (3600, "1 h 00 m"),
        (7384, "2 h 03 m"),
    ],
)
def test_durations_read_like_this(seconds, text):
    assert duration(seconds) == text


def test_a_step_has_one_line_once_it_ended_with_how_long_it_took(clock):
    progress = Progress(Style(color=False), clock)
    assert not taken(progress, ApplyStarted(steps=1, addresses=1), StepStarted(step=CREATE))
    clock.now = 64.0
    assert taken(progress, StepEnded(step=CREATE, outcome="done", project_id="proj_9")) == [
        "summer-teaser: created (proj_9) in 1 m 04 s"
    ]


def test_of_many_that_wait_for_the_same_one_has_a_line(clock):
    progress = Progress(Style(color=False), clock)
    waits = [StepWaiting(step=CREATE, waits_for="a free slot (5 at once)", seconds=0.1) for _ in range(25)]
    assert len(taken(progress, ApplyStarted(steps=25, addresses=25), *waits)) == 1
    assert "1 waiting for a free slot" in progress.summary()


def test_an_agent_has_a_line_when_it_stops_and_none_while_it_works(clock):
    progress = Progress(Style(color=False), clock)
    seen = [StatusChanged(address="a", project_id="p", status=s) for s in ("queued", "running", "generating")]
    assert not taken(progress, *seen)
    assert "1 agent at work" in progress.summary()
    clock.now = 42.0
    assert taken(progress, StatusChanged(address="a", project_id="p", status="idle")) == ["a: idle after 42 s"]


@pytest.mark.parametrize("outcome", ["deferred", "skipped", "failed", "unknown"])
def test_what_is_listed_at_the_end_has_no_line_before(clock, outcome):
    lines = taken(Progress(Style(color=False), clock), StepEnded(step=CREATE, outcome=outcome))
    whole = taken(Progress(Style(color=False), clock, verbose=True), StepEnded(step=CREATE, outcome=outcome))
    assert len(lines) == (outcome in ("failed", "unknown")) and len(whole) == 1


def test_long_applies_are_summed_up_now_and_then(clock):
    progress = Progress(Style(color=False), clock)
    taken(progress, ApplyStarted(steps=3, addresses=3))
    clock.now = SUMMARY_SECONDS + 1
    assert taken(progress, StepEnded(step=CREATE, outcome="done"))[-1] == "1 of 3 steps, 16 s"
    assert len(taken(progress, StepEnded(step=CREATE, outcome="done"))) == 1


def test_verbose_tells_everything(clock):
    progress = Progress(Style(color=False), clock, verbose=True)
    events = [StepStarted(step=CREATE), StatusChanged(address="a", project_id="p", status="running")]
    assert taken(progress, *events) == ["summer-teaser: creating …", "a: p is running now"]


MANY = "projects:\n  promo: {for_each: [%s], brief: 'For ${each.key}.'}\n" % ", ".join(f"k{n}" for n in range(12))  # noqa: UP031


def test_nothing_is_said_to_begin_before_its_request_leaves(fresh):
    fresh.write("reconciler.yaml", CONFIG)
    fresh.write("specs/a.yaml", MANY)
    ran = fresh.run("-v", "apply", "-y", "--poll-interval", "0.05")
    open_ones, most = set(), 0
    for line in ran.err.splitlines():
        if found := re.search(r"(promo\[k\d+\]): creating", line):
            open_ones.add(found[1])
        elif found := re.search(r"(promo\[k\d+\]): (?:\S+ is idle|idle)", line):
            open_ones.discard(found[1])
        most = max(most, len(open_ones))
    assert 1 <= most <= 5, ran.err


def test_an_apply_of_many_has_few_lines_and_says_who_works_at_the_end(fresh):
    fresh.write("reconciler.yaml", CONFIG.replace("200", "2"))
    fresh.write("specs/a.yaml", MANY)
    ran = fresh.run("apply", "-y", "--poll-interval", "0.05")
    assert len(ran.err.splitlines()) <= 2 * 12 + 5, ran.err
    assert re.search(r"\d+ agents? (is|are) still at work: `promo", ran.out), ran.out
    assert "reconciler status --watch" in ran.out and "--wait idle" in ran.out


@pytest.mark.sweep
def test_a_terminal_gets_a_live_view_and_a_dumb_one_plain_lines(fresh):
    fresh.write("reconciler.yaml", CONFIG)
    fresh.write("specs/a.yaml", MANY)
    shown, code = on_terminal(fresh, "apply", "--poll-interval", "0.05", answer=b"y\n")
    assert code == 0 and "━" in shown and "of 12 steps" in ESCAPES.sub("", shown)
    fresh.run("sandbox", "reset")
    plain, code = on_terminal(fresh, "apply", "--poll-interval", "0.05", answer=b"y\n", TERM="dumb")
    assert code == 0 and "\x1b" not in plain and "━" not in plain


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("env", "colored"), [({"FORCE_COLOR": "1"}, True), ({"CLICOLOR_FORCE": "1"}, True), ({}, False)]
)
def test_color_can_be_forced_where_there_is_no_terminal(fresh, env, colored):
    assert ("\x1b[" in fresh.run("plan", **env).out) is colored
    assert "\x1b[" not in fresh.run("plan", NO_COLOR="1", **env).out
