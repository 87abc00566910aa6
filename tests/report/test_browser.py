"""Pages in a real browser: filter, fold, dark mode, names for assistive technology, and hostile text that stays text."""

import re
from itertools import pairwise

import pytest
from msgspec.structs import replace

from reconciler.report.html import plan_html
from tests.cli.report_samples import PLAN, STEPS
from tests.report.big_plan import BRIEF, hostile, thousand
from tests.report.browser import opened


@pytest.fixture(scope="module")
def browser():
    with opened() as found:
        yield found


@pytest.fixture
def look(browser, tmp_path):
    """Opens a page offline, with whatever it logs or fails at."""
    contexts = []

    def open_page(text, **options):
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
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()


def test_the_filter_shows_what_is_asked_for(look):
    page = look(plan_html(PLAN))
    assert page.get_by_role("status").inner_text() == "7 of 7 projects shown"
    for box in page.get_by_role("checkbox").all():
        if "cancel" not in box.locator("..").inner_text():
            box.uncheck()
    assert page.get_by_role("status").inner_text() == "1 of 7 projects shown"
    assert [article.get_attribute("data-name") for article in page.locator("article:visible").all()] == ["stopped"]
    assert page.get_by_role("heading", name=re.compile("Spends credits")).count() == 0
    for box in page.get_by_role("checkbox").all():
        box.check()
    page.get_by_label("Address contains").fill("TEASER")
    assert page.locator("article:visible").count() == 1
    assert page.said == []


def test_long_texts_fold_and_unfold(look):
    page = look(plan_html(thousand(BRIEF)))
    details = page.locator("details").first
    assert not details.locator(".text").is_visible()
    details.locator("summary").click()
    assert details.locator(".text").is_visible()
    page.get_by_role("button", name="Fold all", exact=True).click()
    assert page.locator("details[open]").count() == 0
    page.get_by_role("button", name="Unfold all").click()
    assert page.locator("details:not([open])").count() == 0


def luminance(color):
    red, green, blue = (int(part) / 255 for part in re.findall(r"\d+", color)[:3])
    parts = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


CONTRASTS = """() => [...document.querySelectorAll("body *")].filter(e =>
    [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) && e.checkVisibility()).map(e => {
  let b = e, background = "rgba(0, 0, 0, 0)";
  while (b && background === "rgba(0, 0, 0, 0)") { background = getComputedStyle(b).backgroundColor; b = b.parentElement; }
  return [getComputedStyle(e).color, background, e.tagName + "." + e.className + ": " + e.textContent.slice(0, 40)];
})"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_in_dark(look, scheme):
    """Intent: WCAG's contrast of 4.5 for every text, in both schemes."""
    page = look(plan_html(PLAN), color_scheme=scheme)
    paper = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert paper > 0.9 if scheme == "light" else paper < 0.1
    for color, background, what in page.evaluate(CONTRASTS):
        low, high = sorted([luminance(color), luminance(background)])
        assert (high + 0.05) / (low + 0.05) >= 4.5, (what, color, background)


def test_a_phone_needs_no_scrolling_sideways(look):
    page = look(plan_html(hostile()), viewport={"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_who_reads_that_it_can_not_be_applied_is_led_to_why(look):
    page = look(plan_html(hostile()))
    page.get_by_role("link", name="Show the errors.").click()
    section = page.locator("section:target")
    assert section.get_by_role("heading").inner_text() == "Errors and attention (2)"


def test_a_plan_without_steps_needs_no_script(look):
    page = look(plan_html(replace(PLAN, steps=())))
    assert page.get_by_role("heading", level=1).inner_text() == "Plan for acme-videos"
    assert page.said == []


def test_hostile_text_stays_text(look):
    """Intent: no script runs, nothing is loaded, no policy is even tested: the text is text."""
    page = look(plan_html(hostile()))
    page.wait_for_timeout(200)
    assert page.title().startswith("Plan for <script>")
    assert page.said == []
    assert page.locator("article script, article img, article a").count() == 0
    assert page.locator("script").count() == 1


def test_injected_markup_would_not_run_either(look):
    """Intent: the policy is a second wall: even markup that got in does nothing."""
    evil = "<script>document.title='pwned'</script><img src=x onerror=\"document.title='pwned'\"><style>*{color:red}</style>"
    page = look(plan_html(PLAN).replace("<h1>", evil + "<h1>"))
    page.wait_for_timeout(200)
    assert page.title() == "Plan for acme-videos"
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).color") != "rgb(255, 0, 0)"


def test_assistive_technology_finds_its_way(look):
    """Intent: landmarks, one level-one heading, headings in order, a name for each control and article."""
    page = look(plan_html(PLAN))
    for role in ("banner", "main", "contentinfo", "navigation"):
        assert page.get_by_role(role).count() == 1, role
    levels = [int(h.evaluate("e => e.tagName[1]")) for h in page.locator("h1, h2, h3, h4").all()]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert page.get_by_role("navigation", name="Filter the plan").count() == 1
    assert page.get_by_role("group", name="Show").count() == 1
    assert page.get_by_role("searchbox", name="Address contains").count() == 1
    for step in STEPS:
        assert page.get_by_role("checkbox", name=re.compile(rf"{step.action} \(\d")).count() == 1
        assert page.get_by_role("article", name=re.compile(f"^{step.address}.* will be ")).count() == 1
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    assert page.evaluate("document.documentElement.lang") == "en"


def test_without_scripts_everything_is_there(look):
    page = look(plan_html(PLAN), java_script_enabled=False)
    assert page.locator("article:visible").count() == 7
    assert page.locator("#filter:visible").count() == 0
