"""Comments on large plans, as GitHub renders them: what matters is whole, and what is left out is counted."""

import re
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt
from msgspec.structs import replace

from reconciler.cli.ci import run_url
from reconciler.model.events import ApplyResult, StepResult
from reconciler.report.markdown import apply_markdown, plan_markdown
from tests.cli.report_samples import PLAN
from tests.report.big_plan import HOSTILE, change, three_hundred
from tests.report.test_markdown import rendered, table_of

GITHUB = 65_536
VOID = {"br", "hr"}
BRIEFS = {
    "small": "A calm opening.",
    "huge": "Warm light, falling leaves.\n" * 350,
    "hostile": f"``` </details> | {HOSTILE} 🎬\n" * 20,
    "one line": "x" * 10_000,
}
ALL = three_hundred()


class Balanced(HTMLParser):
    """Whether each element is closed by its own end, and what the folds say."""

    def __init__(self, html):
        super().__init__()
        self.open, self.wrong, self.folds = [], [], []
        self.feed(html)
        self.wrong += self.open

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        if tag == "summary":
            self.folds.append("")

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        if "summary" in self.open:
            self.folds[-1] += data


def html_of(markdown):
    return MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(markdown)


def plan_of(count, brief):
    """A plan of so many projects, of which one is replaced and an eighth of the rest get other settings."""
    (replaced,) = (step for step in ALL.steps if step.address == "brand-film")
    (create, *_), (update, *_) = ([s for s in ALL.steps if s.action == action] for action in ("create", "update"))
    fresh = (change("brief", None, brief, "none"),)
    steps = [
        replace(update, address=f"clip-{i}")
        if i % 8 == 7
        else replace(create, address=f"teaser-{i}", body={"brief": brief}, changes=fresh)
        for i in range(count - 1)
    ]
    return replace(ALL, steps=(*steps, replaced), diagnostics=(), lifecycles={})


@pytest.mark.sampled(6)
@pytest.mark.parametrize("brief", BRIEFS)
@pytest.mark.parametrize("count", [30, 300, 3_000])
def test_a_comment_of_any_size_is_whole_markup_that_accounts_for_every_project(count, brief):
    plan = plan_of(count, BRIEFS[brief])
    text = plan_markdown(plan, owner="campaigns", digest="a" * 64)
    assert len(text) < GITHUB
    seen = Balanced(html_of(text))
    assert seen.wrong == []
    head, *rows = table_of(text)
    assert {len(row) for row in rows} == {len(head)}
    assert [row[head.index("How many")] for row in rows] == [
        "1",
        f"{count - 1 - (count - 1) // 8:,}",
        f"{(count - 1) // 8:,}",
    ]
    shown = [fold for fold in seen.folds if " will be " in fold]
    assert shown[0].startswith("brand-film")  # what ends a project
    named = [len(re.findall("`(?:teaser|clip)-", part)) for part in re.findall(r"more</summary>\n\n(.*)", text)]
    counted = [int(more) for more in re.findall(r"and (\d+) more\n\n</details>", text)]
    assert len(shown) + sum(named) + sum(counted) == count
    told = re.search(
        r"_Shortened to fit in a comment: of ([\d,]+) projects and findings, ([\d,]+) are only named", text
    )
    if named or counted:
        assert [told[1], told[2]] == [f"{count:,}", f"{sum(named):,}"]
        assert (f" and {sum(counted):,} only counted." in text) == bool(sum(counted))
        assert text.index("Digest: ") < told.start() < text.index("####")
        assert "`reconciler show` prints the whole plan" in text
    else:
        assert told is None


@pytest.mark.sweep
def test_thirty_small_projects_are_told_in_full_and_thirty_huge_ones_with_long_texts_cut():
    assert "Shortened to fit" not in plan_markdown(plan_of(30, BRIEFS["small"]))
    assert "Shortened to fit in a comment: long texts are cut." in plan_markdown(plan_of(30, BRIEFS["huge"]))


@pytest.mark.sweep
def test_the_line_about_what_is_left_out_leads_to_the_run():
    plan = plan_of(3_000, BRIEFS["small"])
    url = "https://github.com/acme/videos/actions/runs/42"
    text = plan_markdown(plan, run=url)
    assert f"[This run]({url}) has the log and the artifacts._" in text
    assert f'<a href="{url}">This run</a>' in html_of(text)
    assert "a" not in rendered(plan_markdown(plan)).tags
    assert url not in plan_markdown(plan_of(30, BRIEFS["small"]), run=url)


@pytest.mark.sweep
def test_a_result_of_any_size_is_whole_markup_too():
    plan = plan_of(3_000, BRIEFS["huge"])
    results = tuple(StepResult(step=step, outcome="failed" if i % 2 else "done") for i, step in enumerate(plan.steps))
    text = apply_markdown(ApplyResult(plan=plan, results=results, diagnostics=PLAN.diagnostics))
    assert len(text) < GITHUB
    assert Balanced(html_of(text)).wrong == []
    assert "The log of the run has all of it._" in text


GITHUB_RUN = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "acme/videos",
    "GITHUB_RUN_ID": "42",
}
GITLAB_JOB = {"GITLAB_CI": "true", "CI_JOB_URL": "https://gitlab.example:8443/acme/a_b/-/jobs/7"}


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("env", "url"),
    [
        (GITHUB_RUN, "https://github.com/acme/videos/actions/runs/42"),
        (GITLAB_JOB, "https://gitlab.example:8443/acme/a_b/-/jobs/7"),
        ({}, None),
        ({**GITHUB_RUN, "GITHUB_ACTIONS": ""}, None),
        ({**GITHUB_RUN, "GITHUB_RUN_ID": ""}, None),
        ({**GITHUB_RUN, "GITHUB_REPOSITORY": "a/b) <b>x"}, None),
        ({**GITLAB_JOB, "CI_JOB_URL": "javascript:alert(1)"}, None),
        ({**GITLAB_JOB, "GITLAB_CI": ""}, None),
    ],
)
def test_the_run_is_known_from_the_variables_of_the_service(monkeypatch, env, url):
    for name in (*GITHUB_RUN, *GITLAB_JOB):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert run_url() == url
