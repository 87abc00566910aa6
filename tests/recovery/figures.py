"""The figures that the recovery tests end with, whichever part of the suite they are run in."""

from collections import Counter

import pytest

FIGURES = Counter()
"""What was counted; in the process that prints the summary, the sum over all processes."""


def pytest_sessionfinish(session):
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["recovery"] = dict(FIGURES)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    FIGURES.update(getattr(node, "workeroutput", {}).get("recovery", {}))


def pytest_terminal_summary(terminalreporter):
    if FIGURES:
        text = ", ".join(f"{name}: {FIGURES[name]}" for name in sorted(FIGURES))
        terminalreporter.write_line(f"recovery: {text}")
