"""The system's Chromium, offline, for tests that look at pages. Without it they fail in CI and are skipped elsewhere."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator

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
    if path is None:
        message = "no `chromium` on the PATH: `apt-get install -y chromium`"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return path


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
