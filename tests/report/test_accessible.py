"""axe-core, which knows WCAG's rules, finds nothing on the pages, in light and in dark."""

import pytest
from msgspec.structs import replace

from reconciler.report.html import plan_html
from tests.cli.report_samples import PLAN
from tests.report.big_plan import hostile, three_hundred
from tests.report.browser import axe_core

MATRIX = tuple(step for step in three_hundred(keys=2).steps if step.address.startswith("promo"))
PAGES = {
    "plan": lambda: plan_html(replace(PLAN, steps=(*PLAN.steps, *MATRIX)), digest="a" * 64),
    "hostile plan": lambda: plan_html(hostile()),
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_can_be_used_by_all(look, name, scheme):
    page = look(PAGES[name](), color_scheme=scheme, viewport={"width": 1280, "height": 4_000})
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    page.evaluate(axe_core())
    found = page.evaluate("axe.run().then(result => result.violations)")
    assert [(rule["id"], rule["help"], [node["html"][:200] for node in rule["nodes"]][:3]) for rule in found] == []
    assert page.evaluate("axe.run().then(result => result.passes.length)") > 20
