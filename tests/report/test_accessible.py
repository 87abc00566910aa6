"""axe-core, which knows WCAG's rules, finds nothing on the pages, in light and in dark."""

import pytest
from msgspec.structs import replace

from reconciler.report.fleet_page import fleet_html
from reconciler.report.html import plan_html
from tests.cli.report_samples import PLAN
from tests.report.big_fleet import TALK, fleet
from tests.report.big_plan import hostile, three_hundred
from tests.report.browser import axe_core
from tests.report.test_fleet_browser import across

MATRIX = tuple(step for step in three_hundred(keys=2).steps if step.address.startswith("promo"))
PAGES = {
    "plan": lambda: plan_html(replace(PLAN, steps=(*PLAN.steps, *MATRIX)), digest="a" * 64),
    "hostile plan": lambda: plan_html(hostile()),
    "report": lambda: fleet_html(fleet(10, talk=TALK)),
    "report of environments": lambda: across(5, talk=TALK),
}
TALL = {"width": 1280, "height": 4_000}
"""All is in view: what is not is not drawn, and not looked at."""


def assert_accessible(page):
    """All rules in light; in dark, which differs in its colors only, those about colors."""
    for scheme, options in (("light", {}), ("dark", {"runOnly": ["color-contrast"]})):
        page.emulate_media(color_scheme=scheme)
        found = page.evaluate("options => axe.run(options)", options)
        wrong = [(rule["id"], [node["html"][:200] for node in rule["nodes"]][:3]) for rule in found["violations"]]
        assert wrong == [], scheme
        assert "color-contrast" in {rule["id"] for rule in found["passes"]}


@pytest.mark.parametrize(
    "name",
    [
        "plan",
        *(pytest.param(name, marks=pytest.mark.sweep) for name in ("report", "report of environments", "hostile plan")),
    ],
)
def test_a_page_can_be_used_by_all(look, name):
    page = look(PAGES[name](), viewport=TALL)
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    page.evaluate(axe_core())
    assert_accessible(page)


@pytest.mark.sweep
def test_the_panel_and_the_table_of_the_report_can_be_used_by_all(look):
    page = look(fleet_html(fleet(5, talk=TALK)), at="#teaser-001", viewport=TALL)
    page.evaluate(axe_core())
    assert_accessible(page)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Table").click()
    assert_accessible(page)
