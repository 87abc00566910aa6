"""The report in a real browser: posters, the panel of a project, the table, and what is seen first."""

import re

import pytest
from msgspec.structs import replace

from reconciler.report.fleet_page import Part, fleet_html, fleets_html
from reconciler.report.heading import Where
from tests.report.big_fleet import TALK, fleet
from tests.report.test_fleet import fleet_of, member

WIDE = {"viewport": {"width": 1280, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}}


def columns(page):
    """How many cards are in the first row."""
    tops = page.locator(".cards article").evaluate_all("all => all.map(card => card.getBoundingClientRect().top)")
    return tops.count(tops[0])


@pytest.mark.sampled(6)
@pytest.mark.parametrize(
    ("count", "size", "wanted"),
    [(3, WIDE, 3), (30, WIDE, 4), pytest.param(300, WIDE, 4, marks=pytest.mark.sweep), (30, PHONE, 1)],
)
def test_posters_fill_the_width(look, count, size, wanted):
    page = look(fleet_html(fleet(count)), **size)
    assert columns(page) == wanted
    assert page.evaluate("document.documentElement.scrollWidth") <= size["viewport"]["width"]


@pytest.mark.sweep
def test_problems_come_first_and_can_be_chosen(look):
    page = look(fleet_html(fleet(60)), **WIDE)
    statuses = page.locator("article .badge:first-child").all_inner_texts()
    assert statuses[:7] == ["gone", *["failed"] * 6]
    page.get_by_role("checkbox", name="failed (6)").check(force=True)
    page.get_by_role("checkbox", name="#summer (20)").check(force=True)
    assert page.get_by_role("status").inner_text() == "2 of 60 projects shown"
    page.get_by_role("checkbox", name="#client:acme (40)").check(force=True)
    assert page.get_by_role("status").inner_text() == "6 of 60 projects shown"
    page.get_by_role("checkbox", name="drift (5)").check(force=True)
    assert page.get_by_role("status").inner_text() == "1 of 60 projects shown"
    assert page.said == []


@pytest.mark.sweep
def test_the_panel_shows_one_project_and_its_address_is_a_link(look):
    """Intent: chat, settings with sources, timeline and links; the keys lead on; closing it leads back to the card."""
    page = look(fleet_html(fleet(12, talk=TALK)), at="#teaser-001", **WIDE)
    panel = page.get_by_role("dialog", name="teaser-001")
    assert panel.is_visible()
    text = panel.inner_text()
    for told in (
        "Make the music softer.",
        "last sent 2026-01-02",
        "rendered in 1080p",
        "message 1 sent",
        "Permanent link",
    ):
        assert told in text
    user, agent = panel.locator(".chat li").all()
    assert user.bounding_box()["x"] > agent.bounding_box()["x"]
    page.keyboard.press("j")
    assert page.get_by_role("dialog", name="teaser-002").is_visible()
    assert page.url.endswith("#teaser-002")
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0
    page.wait_for_function(
        "() => document.activeElement.querySelector('h3')?.id === 'teaser-002'"
    )  # told after it closed
    assert page.locator("article:has(#teaser-001) details .chat").count() == 1  # given back
    page.locator("article:has(#teaser-003) .poster").click()
    assert page.get_by_role("dialog", name="teaser-003").is_visible()
    assert page.said == []


@pytest.mark.sweep
def test_the_panel_says_whose_it_is_and_buttons_lead_on(look):
    """Intent: on a phone, without keys: title and status first, and the next one of those that the filter shows."""
    page = look(fleet_html(fleet(60)), **PHONE)
    page.get_by_role("checkbox", name="cancelled (5)").check(force=True)
    names = [article.get_by_role("heading").inner_text() for article in page.locator("article:visible").all()]
    page.locator("article:visible").first.click()
    for number, name in enumerate(names):
        panel = page.get_by_role("dialog", name=name)
        panel.wait_for()
        assert f"Autumn teaser {int(name[-3:])}" in panel.inner_text()
        assert "cancelled" in panel.inner_text()
        assert panel.get_by_role("button", name="Previous").is_disabled() == (number == 0)
        following = panel.get_by_role("button", name="Next")
        assert following.is_disabled() == (number == len(names) - 1)
        following.click(force=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Close").click()
    page.get_by_role("dialog").wait_for(state="hidden")
    assert page.said == []


@pytest.mark.sweep
def test_an_output_that_can_not_be_loaded_says_so(look):
    """Intent: addresses of outputs expire, and a report is looked at later."""
    page = look(fleet_html(fleet(1, media=lambda number: f"https://cdn.example.com/{number}.mp4")), **WIDE)
    page.get_by_text("No preview: its address may have expired").wait_for()


@pytest.mark.sweep
def test_on_paper_is_what_is_on_screen(look):
    """Intent: 30 projects with their conversations are a few sheets; the table has its heads and fits; of the open panel,
    all of it and nothing else.
    """
    page = look(fleet_html(fleet(30, talk=TALK)), viewport={"width": 700, "height": 900})
    assert len(re.findall(rb"/Type /Page\b", page.pdf())) <= 4
    page.get_by_role("button", name="Table").click()
    page.emulate_media(media="print")
    assert page.locator("thead").inner_text().split() == ["Address", "Status", "Title", "Tags", "Attention", "Changed"]
    assert page.locator("table").bounding_box()["width"] <= 700
    page.emulate_media(media="screen")
    page.get_by_role("link", name="teaser-001").first.click()
    page.emulate_media(media="print")
    assert page.get_by_role("dialog", name="teaser-001").is_visible()
    assert page.locator("article:visible, dialog button:visible, h1:visible").count() == 0
    assert len(re.findall(rb"/Type /Page\b", page.pdf())) <= 2


def test_the_table_sorts_and_is_filtered_as_the_cards_are(look):
    page = look(fleet_html(fleet(60)), **WIDE)
    page.get_by_role("button", name="Table").click()
    rows = page.locator("tbody tr:visible")
    assert rows.count() == 60
    assert "gone" in rows.first.inner_text()
    heads = page.get_by_role("columnheader")
    assert heads.nth(1).get_attribute("aria-sort") == "ascending"  # by status, problems first
    page.get_by_role("button", name="Attention").click()
    assert [row.locator("td").nth(4).inner_text() for row in rows.all()[:6]] == [*["drift"] * 5, ""]
    page.get_by_role("button", name="Address").click()
    assert heads.first.get_attribute("aria-sort") == "ascending"
    assert rows.first.locator("a").inner_text() == "teaser-000"
    page.get_by_role("button", name="Address").click()
    assert rows.first.locator("a").inner_text() == "teaser-059"
    page.get_by_role("checkbox", name="cancelled (5)").check(force=True)
    assert rows.count() == 5
    page.get_by_role("searchbox").press("Escape")
    for _ in range(2):
        page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    assert rows.count() == 5
    page.keyboard.press("Escape")
    page.wait_for_function("() => document.activeElement.matches('tbody tr:not([hidden]) ~ tr a')")
    assert page.evaluate("document.activeElement.textContent") == rows.nth(1).locator("a").inner_text()


@pytest.mark.sweep
def test_without_scripts_everything_is_there(look):
    page = look(fleet_html(fleet(3, talk=TALK)), java_script_enabled=False)
    page.locator("article summary").first.click()
    assert page.locator(".chat").first.is_visible()
    assert page.locator("#_filter:visible").count() == 0


@pytest.mark.sweep
def test_hostile_text_stays_text_in_the_panel_and_in_the_table(look):
    evil = "<img src=x onerror=\"document.title='pwned'\"><script>document.title='pwned'</script>"
    tagged = replace(member(evil), tags=(evil,))
    page = look(fleet_html(fleet_of(tagged)), at="#a", **WIDE)
    assert page.get_by_role("dialog", name="a").is_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Table").click()
    assert evil in page.locator("tbody tr").inner_text()
    assert page.locator("main img, dialog img, main script").count() == 0
    assert page.title() == "Projects of w"
    assert page.said == []


@pytest.mark.sweep
def test_three_hundred_projects_are_a_small_file():
    assert len(fleet_html(fleet(300)).encode()) <= 200_000


def across(count, **more):
    """A page of two environments with so many projects each, of the same addresses."""
    wheres = (
        Where(workspace="acme-videos", environment=e, api_url="https://api.example/v1", serial=1)
        for e in ("dev", "prod")
    )
    return fleets_html([Part(fleet=fleet(count, **more), where=where) for where in wheres], across=True)


@pytest.mark.sweep
def test_projects_of_several_environments_are_told_apart_and_filtered(look):
    """Intent: an address that is in both is two cards, two rows and two links."""
    page = look(across(12, talk=TALK), at="#teaser-001@prod", **WIDE)
    assert page.get_by_role("dialog", name="teaser-001@prod").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("article > p > i").all_inner_texts()[:2] == ["dev", "prod"]
    page.get_by_role("checkbox", name="prod (12)").check(force=True)
    assert page.get_by_role("status").inner_text() == "12 of 24 projects shown"
    assert set(page.locator("article:visible > p > i").all_inner_texts()) == {"prod"}
    page.get_by_role("checkbox", name="failed (2)").check(force=True)
    assert page.get_by_role("status").inner_text() == "1 of 24 projects shown"
    page.get_by_role("button", name="Table").click()
    assert page.get_by_role("columnheader").all_inner_texts()[:4] == ["Address", "Status", "Title", "Environment"]
    row = page.locator("tbody tr:visible")
    assert row.count() == 1 and "prod" in row.inner_text()
    row.locator("a").click()
    assert page.get_by_role("dialog", name="teaser-007@prod").is_visible()
    assert page.said == []


@pytest.mark.sweep
def test_one_environment_has_no_column_and_no_filter_for_it(look):
    page = look(fleet_html(fleet(3)), **WIDE)
    page.get_by_role("button", name="Table").click()
    assert "Environment" not in page.get_by_role("columnheader").all_inner_texts()
    assert page.locator("input[data-group=environment]").count() == 0


def test_three_hundred_projects_of_two_environments_are_a_small_file():
    assert len(across(150).encode()) <= 200_000
