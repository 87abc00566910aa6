"""How long pages of 3,000 projects take to open and to filter, in Chromium. Not part of the default run."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from reconciler.report.fleet_page import fleet_html
from reconciler.report.html import plan_html
from tests.report.big_fleet import fleet
from tests.report.big_plan import three_hundred
from tests.report.browser import opened

pytestmark = pytest.mark.benchmark
OPEN, FILTER = 2_000, 200
"""Milliseconds: until it can be used, and until what is typed is shown."""


def plan_of(count):
    plan = three_hundred()
    creates = [step for step in plan.steps if step.address.startswith("teaser")]
    steps = [replace(creates[i % 240], address=f"teaser-{i:05}") for i in range(count)]
    return plan_html(replace(plan, steps=tuple(steps)))


PAGES = {"plan": lambda: plan_of(3_000), "report": lambda: fleet_html(fleet(3_000))}
TIMED = """() => {
  const search = document.getElementById("_search"), start = performance.now();
  search.value = "299";
  search.dispatchEvent(new Event("input", { bubbles: true }));
  document.body.getBoundingClientRect();
  return performance.now() - start;
}"""


@pytest.mark.parametrize("name", PAGES)
def test_three_thousand_projects_open_and_filter_without_waiting(name, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(PAGES[name](), encoding="utf-8")
    with opened() as browser:
        runs = []
        for _ in range(5):
            page = browser.new_page()
            page.goto(path.as_uri())
            loaded = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
            runs.append((loaded, page.evaluate(TIMED)))
            page.close()
    opening, filtering = (min(times) for times in zip(*runs, strict=True))
    print(f"{name}: {path.stat().st_size / 1e6:.1f} MB, opens in {opening:.0f} ms, filters in {filtering:.0f} ms")
    assert opening < OPEN
    assert filtering < FILTER
