"""The system's Chromium, offline, for tests that look at pages, and axe-core. Without them they fail in CI and are skipped
elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from importlib.resources import files
from typing import NoReturn

import pytest

ARGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def chromium() -> str:
    path = shutil.which("chromium")
    return path if path is not None else _missing("no `chromium` on the PATH: `apt-get install -y chromium`")


def axe_core() -> str:
    """The script that checks WCAG's rules."""
    try:
        return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    except ModuleNotFoundError:
        return _missing("no `axe_playwright_python`: `.venv/bin/pip install -c requirements.lock -e '.[test]'`")


def _missing(message: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@contextlib.contextmanager
def opened() -> Iterator:
    """A browser; its contexts are to be offline."""
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=[*ARGS])
        try:
            yield browser
        finally:
            browser.close()
