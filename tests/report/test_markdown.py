"""Plans and results as markdown: bounded, what costs money first, and foreign text inert."""

import re
from html import unescape
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from msgspec.structs import replace

from reconciler.model.errors import Diagnostic
from reconciler.model.events import ApplyResult, StepResult
from reconciler.report.comment import LIMIT
from reconciler.report.markdown import apply_markdown, failure_markdown, marker, plan_markdown
from tests.cli.report_samples import PLAN, STEPS, applied
from tests.report.big_plan import HOSTILE, hostile, thousand, three_hundred

ALLOWED = {"p", "h3", "h4", "strong", "code", "pre", "details", "summary", "sub", "ul", "li"}
ALLOWED |= {"table", "thead", "tbody", "tr", "th", "td"}
ATTRIBUTES = {"class", "style"}
"""A fence's language, and how a column is aligned."""
INERT = {"code", "pre"}


class Outside(HTMLParser):
    """The elements of a rendered text, and the text that stands outside of code."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.text, self.stack, self.comments = set(), set(), "", [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.stack.append(tag)

    def handle_endtag(self, tag):
        while self.stack and self.stack.pop() != tag:
            pass

    def handle_comment(self, data):
        self.comments.append(data)

    def handle_data(self, data):
        if not INERT & set(self.stack):
            self.text += data


def rendered(markdown):
    return Outside(MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(markdown))


def assert_inert(markdown):
    seen = rendered(markdown)
    assert seen.tags <= ALLOWED
    assert seen.attributes <= ATTRIBUTES
    assert len(seen.comments) <= 1
    for evil in ("evil", "javascript", "@", "http", "[", "pwned"):
        assert evil not in seen.text
    for line in markdown.split("\n"):
        assert line.isprintable()
        assert not line.lstrip().startswith("::")
        assert "##[" not in line
    markdown.encode()


def test_hostile_text_is_inert():
    """Intent: no link, mention, picture, markup, comment or CI command comes of what specs and the API hold."""
    plan = hostile()
    assert_inert(plan_markdown(plan, owner=HOSTILE))
    results = tuple(
        StepResult(step=step, outcome=outcome, error=error, note=note)
        for step, outcome, error, note in zip(
            plan.steps,
            ["failed", "failed", "unknown", "skipped", "deferred", "done"],
            [plan.diagnostics[0], None, None, None, None, None],
            ["", HOSTILE, "", "", "", HOSTILE],
            strict=True,
        )
    )
    assert_inert(apply_markdown(ApplyResult(plan=plan, results=results, diagnostics=plan.diagnostics)))
    assert_inert(failure_markdown(plan.diagnostics, workspace=HOSTILE, owner=HOSTILE))


def test_a_warning_that_the_state_is_lost_is_inert_too():
    """Intent: it stands on top, and who edits a saved plan can write into it what they like."""
    lost = Diagnostic(severity="warning", kind="lost-state", summary=HOSTILE, detail=HOSTILE)
    text = plan_markdown(replace(PLAN, diagnostics=(lost,)))
    assert_inert(text)
    assert text.index("The state may be lost") < text.index("Plan: at most")


@settings(max_examples=60)
@given(st.text(st.characters() | st.sampled_from("`<>&@#[]()!-~:*_\n\r\x1b\u202e|"), max_size=60))
@example("```\n</details>")
@example("`")
@example("--> <b>")
def test_no_text_gets_out_of_its_fence(evil):
    """Intent: as above for any text."""
    seen = rendered(plan_markdown(hostile(evil)))
    assert seen.tags <= ALLOWED
    assert seen.attributes <= ATTRIBUTES
    assert len(seen.comments) <= 1


def test_a_thousand_projects_fit_with_the_money_first():
    """Intent: the text is bounded, its order is by importance, and nothing is left out without being counted."""
    text = plan_markdown(replace(thousand(), lifecycles={}))
    assert len(text) <= LIMIT
    assert "**1000 creates, 20 replacements and 500 messages spend credits and can't be undone.**" in text
    headings = re.findall(r"(?m)^#### (.*)", text)
    assert headings == [
        "Spends credits: 1000 to create, 500 messages to send, 20 to replace",
        "Errors: 1",
        "Needs attention: 300",
        "Cancelled or let go: 200 to cancel",
        "Settings changed: 500 to update",
        "Warnings and notes: 1",
    ]
    parts = re.split(r"(?m)^#### .*", text)[1:]
    assert "<code>intro-0</code>" in parts[0].split("</summary>")[1]  # what replaces comes before what creates
    for part, total in zip(parts, [1020, 1, 300, 200, 500, 1], strict=True):
        more = re.search(r"(?m)^<details><summary>(\d+) more</summary>", part)
        together = "<summary>Show " in part
        assert together == (total > 8)
        shown = part.count("<details>") - together - bool(more) + part.count("```text")
        assert shown + (int(more[1]) if more else 0) == total
    assert "it could not be read" in text


def table_of(markdown):
    """The cells of the table on top, without their markup."""
    html = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(markdown)
    rows = re.findall("<tr>(.*?)</tr>", html, re.DOTALL)
    return [
        [unescape(re.sub("<[^>]+>", "", cell)) for cell in re.findall("<t[dh].*?>(.*?)</t[dh]>", row)] for row in rows
    ]


def test_the_table_on_top_says_what_matters():
    """Intent: what ends a project and what was found first, then what spends credits, each with its projects, how many they
    are and what it costs.
    """
    assert table_of(plan_markdown(three_hundred())) == [
        ["What", "Projects", "How many", "Credits, at least"],
        ["-/+ replace: cancel the old project, create a new one", "brand-film", "1", "30"],
        ["need attention", "broken", "1", ""],
        ["+ create", "teaser-000, teaser-001, teaser-002, teaser-003 and 260 more", "264", "7,920"],
        ["> send a message", SOME, "24", "240"],
        ["~ update settings in place", "clip-00, clip-01, clip-02, clip-03 and 31 more", "35", ""],
    ]
    assert table_of(plan_markdown(replace(PLAN, steps=(), diagnostics=()))) == []


def test_a_replacement_says_once_what_else_can_be_done():
    told = "This spends credits again."
    assert plan_markdown(replace(PLAN, steps=STEPS[3:4] * 3)).count(told) == 1
    assert told not in plan_markdown(replace(PLAN, steps=STEPS[:3]))


SOME = "promo[m0,9:16], promo[m0,16:9], promo[m1,9:16], promo[m1,16:9] and 20 more"


def test_a_matrix_is_told_once():
    plan = three_hundred()
    text = plan_markdown(replace(plan, steps=tuple(step for step in plan.steps if step.address.startswith("promo"))))
    assert text.count("<summary><code>promo[") == 1
    assert ": 24 projects will each be created and sent 1 message</summary>" in text


@pytest.mark.parametrize("evil", ["a|b", "|", "\\|", "`|`", "x\n| y | z |", "</td><b>", "[a](b)|@x"])
def test_no_text_gets_out_of_its_cell(evil):
    """Intent: a table has as many rows and cells whatever the names in it are. Addresses are checked; here they are not."""
    steps = tuple(replace(step, address=f"p-{evil}") for step in PLAN.steps)
    plan = replace(PLAN, steps=steps, diagnostics=(), basis={}, lifecycles={})
    rows, plain = table_of(plan_markdown(plan)), table_of(plan_markdown(replace(PLAN, diagnostics=())))
    assert [len(row) for row in rows] == [len(row) for row in plain]
    assert rendered(plan_markdown(plan)).tags <= ALLOWED


@pytest.mark.parametrize("size", [1, 100, 3_000, 20_000])
def test_no_single_text_breaks_the_bound(size):
    """Intent: one huge brief, error or name can't push the text over the limit."""
    evil = "`w@x " * (size // 5) + "x"
    plan = hostile(evil)
    assert len(plan_markdown(plan)) <= LIMIT
    assert len(failure_markdown(plan.diagnostics, workspace=evil)) <= LIMIT
    names = {"workspace": evil * 100, "api_url": evil * 100, "created_at": evil * 100}
    assert len(plan_markdown(replace(PLAN, **names))) <= LIMIT


def test_a_small_plan_is_told_in_full():
    """Intent: the samples' plan reads as reviewers expect it."""
    text = plan_markdown(PLAN, owner="campaigns")
    assert text.startswith("<!-- reconciler: campaigns -->\n\n### Plan for `acme-videos`\n\n**Plan: 1 to create, ")
    assert "more</summary>" not in text
    assert (
        "```diff\n@@ replace: its brief changed @@\n! brief:  (as last sent)  # forces replacement: brief is fixed at "
        "creation\n  A calm opening.\n- Slow music.\n+ Fast music.\n  The logo at the end.\n```" in text
    )
    assert text.index("Spends credits") < text.index("Needs attention") < text.index("Cancelled or let go")


def test_the_marker_stays_a_comment():
    """Intent: whatever the folder's name holds. That no two are the same: tests/security/test_comment_owners.py."""
    assert marker("a --> b\n") == "<!-- reconciler: a%20--%3e%20b%0a -->"


def test_a_result_says_what_failed_first():
    """Intent: in a job's summary, what needs a look stands on top and what is done at the end."""
    text = apply_markdown(applied())
    assert re.findall(r"(?m)^#### (\w+)", text) == [
        "Failed",
        "Outcome",
        "Needs",
        "Warnings",
        "Skipped",
        "Deferred",
        "Done",
    ]
    assert "402 insufficient_credits" in text


def test_a_plan_without_changes_is_short():
    """Intent: nothing to say is said in a few lines."""
    text = plan_markdown(replace(PLAN, steps=(), diagnostics=(), lifecycles={}))
    assert "No changes. 5 projects match their specs." in text
    assert "####" not in text


def test_a_failure_has_the_owner_s_marker():
    """Intent: the comment of a plan that failed replaces the one of a plan that did not."""
    found = (Diagnostic(severity="error", summary="the API said no"),)
    text = failure_markdown(found, workspace="w", owner="a/b")
    assert text.startswith(marker("a/b") + "\n\n### No plan for `w`\n")
    assert "the API said no" in text
    assert failure_markdown(found, workspace=None).startswith("### No plan\n")
