"""The figures that the recovery tests end with, whichever part of the suite they are run in."""

import os
from collections import Counter
from pathlib import Path

import pytest

FAILED = os.environ.pop("FAILED_TESTS", None)
"""The file in which `.ci/run` wants the tests that failed, to try them once more; not for processes that this one starts."""
FIGURES = Counter()
"""What was counted; in the process that prints the summary, the sum over all processes."""


def pytest_sessionfinish(session):
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["recovery"] = dict(FIGURES)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    FIGURES.update(getattr(node, "workeroutput", {}).get("recovery", {}))


HARM = ("effects lost", "effects twice", "projects untracked", "trespasses")
"""How the names of counts end that must be zero."""


def harm():
    """Was anything counted that must never happen?"""
    return any(count for name, count in FIGURES.items() if name.endswith(HARM))


def pytest_terminal_summary(terminalreporter):
    if FIGURES:
        text = ", ".join(f"{name}: {FIGURES[name]}" for name in sorted(FIGURES))
        terminalreporter.write_line(f"recovery: {text}")
    if FAILED and not harm():
        reports = [report for outcome in ("failed", "error") for report in terminalreporter.getreports(outcome)]
        names = dict.fromkeys(report.nodeid for report in reports)
        Path(FAILED).write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
