"""Who has claimed what, in lists and on the page: shown where there is a claim, and nothing is said where there is none."""

import json

import pytest

from tests.cli.cli_support import APPLY, CONFIG, make_space

SPEC = "projects:\n  teaser: {brief: Ten seconds.}\n"
DIVIDED = CONFIG + "environments: {prod: {}, staging: {}}\n"
A, URL = "acme/shop#12", "https://github.com/acme/shop/pull/12"
BY_A = ("--pull-request", A, "--pull-request-url", URL)
CLAIM = {"pull_request": A, "url": URL, "actor": "alice"}


@pytest.fixture(scope="module")
def divided(tmp_path_factory):
    """`prod` is claimed, `staging` is not."""
    space = make_space(tmp_path_factory.mktemp("claims") / "w", SPEC, DIVIDED)
    space.run("-e", "prod", *APPLY, *BY_A, GITHUB_ACTOR="alice")
    space.run("-e", "staging", *APPLY)
    return space


@pytest.fixture
def free(tmp_path):
    space = make_space(tmp_path / "free", SPEC)
    space.run(*APPLY)
    return space


def without_time(claim):
    return None if claim is None else {name: value for name, value in claim.items() if name != "since"}


@pytest.mark.parametrize(("command", "rows"), [("environments", "environments"), ("workspaces", "workspaces")])
def test_a_list_says_who_has_claimed_each(divided, command, rows):
    shown = divided.run(command).out
    assert "CLAIMED BY" in shown.splitlines()[0] and shown.count(f"{A} (alice)") == 1
    (line,) = [line for line in shown.splitlines() if A in line]
    assert "prod" in line
    document = divided.run(command, "--format", "json").document
    assert [without_time(row["claim"]) for row in document[rows]] == [CLAIM, None]


@pytest.mark.parametrize("command", ["environments", "workspaces"])
def test_without_a_claim_a_list_says_nothing_of_it(free, command):
    ran = free.run(command)
    assert "CLAIM" not in ran.out + ran.err


@pytest.mark.parametrize("every", [True, False])
def test_the_report_says_who_has_claimed_it(divided, every):
    arguments = ("--all-environments",) if every else ("-e", "prod")
    ran = divided.run("report", "--out", "public", "--no-conversations", *arguments)
    page = (divided.root / "public" / "index.html").read_text()
    assert page.count(f'href="{URL}"') == 1
    assert f"{A}</a> has claimed environment <code>prod</code>" in page
    assert "alice" in page
    (line,) = [line for line in ran.err.splitlines() if A in line]
    assert line == f"`{A}` has claimed environment `prod`."


def test_without_a_claim_the_report_says_nothing_of_it(free):
    ran = free.run("report", "--out", "public", "--no-conversations")
    assert "claim" not in (ran.out + ran.err + (free.root / "public" / "index.html").read_text()).casefold()


def test_a_claim_in_a_shared_store_is_read_where_its_state_is_read(tmp_path):
    # Intent: `workspaces` lists whole repositories; a request for each remote state would cost it minutes.
    (tmp_path / "shared").mkdir()
    space = make_space(tmp_path / "w", SPEC, RECONCILER_STATE=f"file://{tmp_path}/shared")
    space.run(*APPLY, *BY_A, GITHUB_ACTOR="alice")
    (row,) = space.run("environments", "--format", "json").document["environments"]
    assert without_time(row["claim"]) == CLAIM
    (row,) = space.run("workspaces", "--format", "json").document["workspaces"]
    assert row["claim"] is None


@pytest.mark.parametrize("forged", ["javascript:alert(1)", "http://x.example/<b>", None])
def test_a_forged_claim_links_nowhere(free, forged):
    # Intent: the file lies in the checkout, where a branch can put one.
    claim = {"pull_request": "<script>#1", "url": forged, "actor": "<b>", "since": "now"}
    path = free.state_path.with_name("reconciler.claim.json")
    path.write_text(json.dumps(claim))
    free.run("report", "--out", "public", "--no-conversations")
    page = (free.root / "public" / "index.html").read_text()
    assert "<script>#1" not in page and "javascript:" not in page and 'href="http:' not in page
    assert "&lt;script&gt;#1" in page
    for command in ("environments", "workspaces"):
        assert "<script>#1 (<b>)" in free.run(command).out


def test_a_claim_that_can_t_be_read_hides_nothing_else(free):
    free.state_path.with_name("reconciler.claim.json").write_text("{")
    for command, rows in (("environments", "environments"), ("workspaces", "workspaces")):
        ran = free.run(command)
        assert "is not a pull request's claim" in ran.err and "CLAIMED BY" not in ran.out
        (row,) = free.run(command, "--format", "json").document[rows]
        assert row["claim"] is None and [d["severity"] for d in row["diagnostics"]] == ["warning"]
    assert "is not a pull request's claim" in free.run("report", "--out", "public", "--no-conversations").err
    assert free.run("environments", "--format", "json").document["environments"][0]["managed"] == 1
