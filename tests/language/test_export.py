"""``export``: what nothing declares becomes imports, and foreign text becomes nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.adapters.specs.yaml.parsing import parse
from reconciler.model.live import LiveProject
from reconciler.model.redact import Redactor
from reconciler.operations.read.export import names, spec
from tests.language.language_support import account, make, reconciler


def exported(project):
    """The one project of an export's text."""
    parsed = parse("projects:\n" + spec("a", project, Redactor(["canary-7f3a"])), "a")
    assert parsed.problems == []
    ((root, _),) = parsed.documents
    assert list(root) == ["projects"] and list(root["projects"]) == ["a"]
    return root["projects"]["a"]


def project(**more):
    return LiveProject(**{"id": "proj_1", "status": "idle", "source": "list", **more})


@pytest.mark.parametrize(
    "text",
    ["x\nprojects: {evil: {brief: y}}", "x\r  evil: 1", "x\x85 evil: 1", "x\u2028evil: 1", "\x1b[31m", "\0", "\ufeff", "# x",
     "${env.TOKEN}", "$$", "a: b", "'", '"', "\\", "*a", "&a", "!x", "%x", "---", "- x", "\ud800", "::error::", "9:16", "yes"],
)  # fmt: skip
def test_foreign_text_stays_text(text):
    """A title means itself or is left out, a brief is a comment and never more."""
    made = exported(project(settings={"title": text, "mode": text, "expected_output": text}, brief=text))
    assert set(made) <= {"import", "settings"} and made["import"] == "proj_1"
    assert made.get("settings", {}).get("title", text.replace("$", "$$")) == text.replace("$", "$$")


@pytest.mark.sweep
@settings(max_examples=300)
@given(title=st.text(max_size=30), brief=st.text(max_size=80), id_=st.text(min_size=1, max_size=20))
def test_any_text_stays_text(title, brief, id_):
    ids = id_.encode(errors="ignore").decode().replace("\0", "") or "p"
    made = exported(project(id=ids, settings={"title": title}, brief=brief))
    assert made["import"] == ids.replace("$", "$$")
    assert made.get("settings", {}).get("title", title.replace("$", "$$")) == title.replace("$", "$$")


def test_what_the_list_shows_is_written_and_nothing_else():
    shown = {"title": "Older", "mode": "collaborative", "expected_output": None}
    text = spec("older", project(settings=shown, brief="b" * 200), Redactor())
    assert text == (
        "  older:\n    # brief (cut at 200 characters):\n    #   " + "b" * 200 + "\n    import: proj_1\n"
        "    settings:\n      title: Older\n      mode: collaborative\n"
    )
    assert spec("a", project(settings={"title": None}, brief="short"), Redactor()) == (
        "  a:\n    # brief:\n    #   short\n    import: proj_1\n"
    )
    assert exported(project(settings={"title": "t" * 31, "mode": "unheard-of"})) == {"import": "proj_1"}
    assert exported(project(status="cancelled")) == {"import": "proj_1", "state": "cancelled"}
    secret = spec("a", project(settings={"title": "canary-7f3a"}, brief="canary-7f3a"), Redactor(["canary-7f3a"]))
    assert "canary" not in secret


def test_addresses_come_from_titles_and_are_unique():
    titles = ["Summer Teaser!", "summer-teaser", None, "", "日本", "x" * 90, "-a-", "promo"]
    found = names([project(id=f"p{n}", settings={"title": t}) for n, t in enumerate(titles)], {"promo", "project"})
    assert list(found) == [
        "summer-teaser", "summer-teaser-2", "project-2", "project-3", "project-4", "x" * 50, "a", "promo-2",
    ]  # fmt: skip


def seeded(tmp_path, files=None):
    root = make(
        tmp_path, {"specs/a.yaml": "projects: {own: {brief: Mine., settings: {title: Own}}}\n", **(files or {})}
    )
    with account(root) as store:
        ids = [
            store.person_creates(brief="Line one.\nprojects: {evil: {brief: x}}\n" + "b" * 300, title="Über-Film: 'x'"),
            store.person_creates(brief="Second.", title="${env.HOME} own", mode="collaborative"),
            store.person_creates(brief="Over.", title="Over", status="cancelled"),
            store.person_creates(brief="Gone.", title="Gone", status="failed"),
        ]
    return root, ids


@pytest.mark.sweep
def test_after_export_a_plan_has_imports_alone_and_after_apply_none(tmp_path):
    root, ids = seeded(tmp_path)
    assert reconciler(root, "apply", "--auto-approve", "--wait", "idle").returncode == 0
    done = reconciler(root, "export", "--out", "specs/studio")
    assert done.returncode == 0, done.stderr
    assert sorted(line.split()[1] for line in done.stdout.splitlines()) == sorted(ids[:2])
    assert "2 failed or cancelled left out" in done.stderr
    assert reconciler(root, "validate").returncode == 0
    assert reconciler(root, "fmt", "--check").stdout == ""
    planned = json.loads(reconciler(root, "plan", "--format", "json").stdout)
    assert {step["action"] for step in planned["steps"]} == {"import"}
    assert planned["summary"]["import"] == 2
    applied = reconciler(root, "apply", "--auto-approve")
    assert applied.returncode == 0, applied.stderr
    assert reconciler(root, "plan", "--detailed-exitcode").returncode == 0
    assert "Nothing to export" in reconciler(root, "export", "--out", "more").stdout
    assert not (root / "more").exists()


def test_a_lost_state_exports_nothing_that_the_specs_create(tmp_path):
    root, ids = seeded(tmp_path)
    assert reconciler(root, "apply", "--auto-approve", "--wait", "idle").returncode == 0
    (root / ".reconciler" / "sandbox" / "reconciler.state.json").unlink()
    done = reconciler(root, "export", "--out", "out")
    assert sorted(line.split()[1] for line in done.stdout.splitlines()) == sorted(ids[:2])


def test_named_projects_alone_and_never_twice_or_over_a_file(tmp_path):
    root, ids = seeded(tmp_path)
    done = reconciler(root, "export", ids[2], ids[1], "--out", "specs")
    assert done.returncode == 0, done.stderr
    text = (root / "specs" / "exported.yaml").read_text()
    assert "state: cancelled" in text and ids[0] not in text and "title: $${env.HOME} own" in text
    again = reconciler(root, "export", ids[0], "--out", "specs")
    assert again.returncode == 1 and "already exists" in again.stderr
    assert (root / "specs" / "exported.yaml").read_text() == text
    declared = reconciler(root, "export", ids[1], "--out", "out")
    assert declared.returncode == 1 and "already declared" in declared.stderr
    missing = reconciler(root, "export", "proj_none", "--out", "out")
    assert missing.returncode == 1 and "no project" in missing.stderr
    assert reconciler(root, "plan").returncode == 0
