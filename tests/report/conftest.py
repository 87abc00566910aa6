"""One browser for the tests of a file, and pages opened in it offline."""

import pytest

from tests.report.browser import opened


@pytest.fixture(scope="module")
def browser():
    """Not for longer: while it is open, its event loop runs in this thread, where tests of other files need their own."""
    with opened() as found:
        yield found


@pytest.fixture
def look(browser, tmp_path):
    """Opens a page offline, with whatever it logs or fails at.

    What is waited for there (``wait_for_function``) is a function: of anything else, the pages' policy forbids a second look.
    """
    contexts = []

    def open_page(text, at="", **options):
        path = tmp_path / "page.html"
        path.write_text(text, encoding="utf-8")
        context = browser.new_context(offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.said = []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("dialog", lambda dialog: page.said.append(dialog.message))
        page.on("request", lambda request: page.said.append(request.url) if request.url != path.as_uri() else None)
        page.goto(path.as_uri() + at)
        return page

    yield open_page
    for context in contexts:
        context.close()
