"""Pages in a real browser: filter, fold, dark mode, names for assistive technology, and hostile text that stays text."""

import re
from itertools import pairwise

import pytest
from msgspec.structs import replace

from reconciler.report.html import plan_html
from tests.cli.report_samples import PLAN, STEPS
from tests.report.big_plan import BRIEF, hostile, thousand, three_hundred

LONG = replace(PLAN, steps=thousand(BRIEF).steps[:6], diagnostics=thousand().diagnostics[:9])
"""Long texts, and findings of which the last are folded."""


def first_screen(page):
    """The text of the elements that are in view."""
    return page.evaluate("""() => [...document.querySelectorAll("main *")].filter(e => {
      const box = e.getBoundingClientRect();
      return !e.children.length && box.height && box.top >= 0 && box.bottom <= innerHeight && e.checkVisibility();
    }).map(e => e.textContent)""")


@pytest.mark.sampled(6)
@pytest.mark.parametrize("size", [(1280, 900), (390, 844)])
def test_the_one_replacement_among_three_hundred_projects_is_on_the_first_screen(look, size):
    """Intent: a reviewer finds the dangerous line in five seconds: it is what is seen first, with what changes, one click
    from its card; and one choice of the filter leaves it alone.
    """
    page = look(plan_html(three_hundred()), viewport=dict(zip(("width", "height"), size, strict=True)))
    seen = first_screen(page)
    assert "brand-film" in seen and "-/+ replace" in seen
    assert {"Slow", "Fast"} <= {*seen}
    page.get_by_role("link", name="brand-film").first.click()
    card = page.get_by_role("article", name=re.compile("^brand-film"))
    page.wait_for_function("""() => {
      const top = document.querySelector("article:has(:target)")?.getBoundingClientRect().top;
      return top >= 0 && top < innerHeight / 2;
    }""")
    assert card.locator("h3:target").count() == 1
    page.get_by_role("checkbox", name=re.compile(r"replace \(1\)")).check(force=True)
    assert page.get_by_role("status").text_content() == "1 of 300 projects shown"
    assert page.locator("article:visible").count() == 1
    assert page.said == []


def test_the_filter_shows_what_is_asked_for(look):
    """Intent: what is checked narrows the page down; nothing checked shows everything."""
    page = look(plan_html(PLAN))
    assert page.get_by_role("status").inner_text() == "7 of 7 projects shown"
    for kind in ("cancel", "forget"):
        page.get_by_role("checkbox", name=re.compile(kind)).check(force=True)
    assert page.get_by_role("status").inner_text() == "2 of 7 projects shown"
    assert [a.get_attribute("data-name") for a in page.locator("article:visible").all()] == ["stopped", "handed"]
    assert page.get_by_role("heading", name=re.compile("^Spends credits")).count() == 0
    for box in page.get_by_role("checkbox").all():
        box.uncheck(force=True)
    page.get_by_label("Address contains").fill("TEASER")
    assert page.locator("article:visible").count() == 1
    assert page.said == []


@pytest.mark.sweep
def test_keys_search_and_move(look):
    page = look(plan_html(PLAN), viewport={"width": 1280, "height": 300})
    names = [article.get_attribute("data-name") for article in page.locator("article").all()]
    focused = "document.activeElement.dataset.name"
    page.keyboard.press("j")
    assert page.evaluate(focused) == names[0]
    page.keyboard.press("j")
    assert page.evaluate(focused) == names[1]
    page.keyboard.press("k")
    assert page.evaluate(focused) == names[0]
    page.keyboard.press("/")
    page.keyboard.type("jk/")
    assert page.get_by_label("Address contains").input_value() == "jk/"
    page.keyboard.press("Escape")
    assert page.get_by_role("status").inner_text() == "7 of 7 projects shown"


@pytest.mark.sweep
def test_a_link_leads_to_its_project_whatever_is_folded_or_filtered(look):
    """Intent: the row of a long matrix, whose table is folded, and again after a filter that hides it."""
    matrix = three_hundred(keys=40)
    page = look(plan_html(matrix), at="#promo%5Bm30,16:9%5D")
    row = page.locator("tr:target")
    assert row.get_attribute("data-name") == "promo[m30,16:9]"
    page.wait_for_function(
        "() => { const { top } = document.querySelector('tr:target').getBoundingClientRect(); return top >= 0 && top <= 720; }"
    )
    page.get_by_label("Address contains").fill("nothing")
    assert page.locator("article:visible").count() == 0
    page.evaluate("location.hash = '#brand-film'")
    page.wait_for_function("() => document.querySelector('article:has(:target)')?.checkVisibility()")
    odd = look(plan_html(matrix), at="#%E0%A4%A")
    assert odd.said == []


@pytest.mark.sweep
def test_a_matrix_is_one_card_with_a_table_and_is_searched_row_by_row(look):
    page = look(plan_html(three_hundred()))
    card = page.get_by_role("article", name=re.compile(r"^promo\[.* 24 projects will each be created"))
    assert card.count() == 1
    assert card.get_by_role("row").count() == 25
    page.get_by_label("Address contains").fill("[m2,")
    assert page.get_by_role("status").inner_text() == "2 of 300 projects shown"
    assert card.locator("tbody tr:visible").count() == 2


@pytest.mark.sweep
def test_long_texts_fold_and_unfold(look):
    page = look(plan_html(LONG))
    details = page.locator("article details").first
    assert not details.locator(".text").is_visible()
    details.locator("summary").click()
    assert details.locator(".text").is_visible()
    page.get_by_role("button", name="Unfold all").click()
    assert page.locator("main details:not([open])").count() == 0
    page.get_by_role("button", name="Fold all", exact=True).click()
    assert page.locator("details[open]").count() == 0


@pytest.mark.sweep
def test_the_filter_stays_in_view_on_one_line(look):
    for width in (1280, 390):
        page = look(plan_html(PLAN), viewport={"width": width, "height": 500})
        page.mouse.wheel(0, 5_000)
        page.wait_for_function("() => scrollY > 100")
        box = page.locator("#_filter").bounding_box()
        assert box["y"] == 0 and box["height"] < 64


@pytest.mark.sweep
def test_on_paper_everything_is_unfolded_and_nothing_is_to_be_clicked(look):
    page = look(plan_html(LONG), color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("main details:not([open])").count() == 0
    assert not page.locator("#_filter").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0


def test_three_hundred_projects_are_a_small_file():
    assert len(plan_html(three_hundred()).encode()) <= 200_000


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


@pytest.mark.sampled(6)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_in_dark(look, scheme):
    """Intent: WCAG's contrast of 4.5 for every text, in both schemes."""
    page = look(plan_html(PLAN), color_scheme=scheme)
    paper = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert paper > 0.9 if scheme == "light" else paper < 0.1
    for color, background, what in page.evaluate(CONTRASTS):
        low, high = sorted([luminance(color), luminance(background)])
        assert (high + 0.05) / (low + 0.05) >= 4.5, (what, color, background)


@pytest.mark.sweep
def test_a_phone_needs_no_scrolling_sideways(look):
    page = look(plan_html(hostile()), viewport={"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


@pytest.mark.sweep
def test_who_reads_that_it_can_not_be_applied_is_led_to_why(look):
    page = look(plan_html(hostile()))
    page.get_by_role("link", name="Show the errors.").click()
    section = page.locator("section:target")
    assert section.get_by_role("heading").inner_text() == "Errors and attention (2)"


@pytest.mark.sweep
def test_a_plan_without_steps_needs_no_script(look):
    page = look(plan_html(replace(PLAN, steps=())))
    assert page.get_by_role("heading", level=1).inner_text() == "Plan for acme-videos"
    assert page.said == []


@pytest.mark.sweep
def test_hostile_text_stays_text(look):
    """Intent: no script runs, nothing is loaded, no policy is even tested: the text is text."""
    page = look(plan_html(hostile()))
    page.wait_for_timeout(200)
    assert page.title().startswith("Plan for <script>")
    assert page.said == []
    assert page.locator("article script, article img, article a:not([href^='#'])").count() == 0
    assert page.locator("script").count() == 1


@pytest.mark.sweep
def test_injected_markup_would_not_run_either(look):
    """Intent: the policy is a second wall: even markup that got in does nothing."""
    evil = "<script>document.title='pwned'</script><img src=x onerror=\"document.title='pwned'\"><style>*{color:red}</style>"
    page = look(plan_html(PLAN).replace("<h1>", evil + "<h1>"))
    page.wait_for_timeout(200)
    assert page.title() == "Plan for acme-videos"
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).color") != "rgb(255, 0, 0)"


@pytest.mark.sweep
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
    assert page.get_by_role("group", name="Show only").count() == 1
    assert page.get_by_role("searchbox", name="Address contains").count() == 1
    for step in STEPS:
        assert page.get_by_role("checkbox", name=re.compile(rf"{step.action} \(\d")).count() == 1
        assert page.get_by_role("article", name=re.compile(f"^{step.address}.* will be ")).count() == 1
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    assert page.evaluate("document.documentElement.lang") == "en"


@pytest.mark.sweep
def test_without_scripts_everything_is_there(look):
    page = look(plan_html(PLAN), java_script_enabled=False)
    assert page.locator("article:visible").count() == 7
    assert page.locator("#_filter:visible").count() == 0
