"""What the views say about the samples' plan, kept in files, so that a change of words is seen in review.

``python -m tests.report.golden write`` writes the files.
"""

import html
import re
import sys
from pathlib import Path

from msgspec.structs import replace

from reconciler.report.fleet_page import fleet_html
from reconciler.report.heading import of_plan
from reconciler.report.html import plan_html
from reconciler.report.markdown import plan_markdown
from tests.cli.report_samples import PLAN
from tests.report.big_fleet import TALK, fleet
from tests.report.big_plan import three_hundred

FOLDER = Path(__file__).parent / "golden"
MATRIX = tuple(step for step in three_hundred(keys=2).steps if step.address.startswith("promo"))
PLANNED = replace(PLAN, environment="prod", steps=(*PLAN.steps, *MATRIX))


def words(page):
    """What a page says, an element a line."""
    body = re.sub("<(script|style)>.*?</\\1>", "", page.partition("<body>")[2], flags=re.DOTALL)
    return "\n".join(line for line in map(html.unescape, re.split("(?:<[^>]+>)+", body)) if line.strip()) + "\n"


VIEWS = {
    "comment.md": lambda: plan_markdown(PLANNED, owner="campaigns", digest="a" * 64, where=of_plan(PLANNED)),
    "plan-page.txt": lambda: words(plan_html(PLANNED, digest="a" * 64, where=of_plan(PLANNED))),
    "report.txt": lambda: words(fleet_html(fleet(8, talk=TALK))),
}

if __name__ == "__main__" and sys.argv[1:] == ["write"]:
    for name, view in VIEWS.items():
        (FOLDER / name).write_text(view(), encoding="utf-8")
