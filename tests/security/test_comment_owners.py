"""A comment, an issue and an artifact belong to a workspace's folder: no other folder and no other writer takes them."""

import shutil
import subprocess
import unicodedata
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.report.markdown import marker
from tests.command import command
from tests.recipes.workflow import GITHUB, REPOSITORY, GitHub, git, listed

FOLDERS = [
    ".",
    "root",
    "a/b",
    "a__b",
    "a_b",
    "a-b",
    "a--b",
    "a.b",
    "a b",
    "a%2fb",
    "a%252fb",
    "A/b",
    "a/B",
    "a/b/c",
    "a__b__c",
    "caf\u00e9",
    unicodedata.normalize("NFD", "caf\u00e9"),
    "stra\u00dfe",
    "strasse",
    "\u0130",
    "i",
    "\u212a",
    "k",
    "a-->b",
    "a --> <!-- reconciler: b",
    "a\tb",
    "a\nb",
    'a"b',
    "a'b",
    "$(touch x)",
    "`x`",
    "@everyone",
    "x" * 200,
]


def test_no_two_folders_have_one_marker():
    """Intent: also where case does not count, or all that is not a letter counts as one."""
    for one, other in combinations(FOLDERS, 2):
        assert marker(one).casefold() != marker(other).casefold()
        assert unicodedata.normalize("NFKC", marker(one)) != unicodedata.normalize("NFKC", marker(other))
    assert marker("a", "b") != marker("a b")
    assert all(len(marker(folder).split("-->")) == 2 for folder in FOLDERS if "--" not in folder)


@pytest.mark.sweep
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), min_size=2, max_size=2, unique=True))
def test_any_two_folders_have_two_markers(pair):
    one, other = map(marker, pair)
    assert one.casefold() != other.casefold()
    assert "\n" not in one
    assert one.isascii()


def workspace(folder, config="workspace: w\n", spec="projects: {teaser: {brief: A calm opening.}}\n"):
    (folder / "specs").mkdir(parents=True)
    (folder / "reconciler.yaml").write_text(config)
    (folder / "specs" / "a.yaml").write_text(spec)


def reconciler(cwd, *arguments, **env):
    given = {"PATH": "/usr/bin:/bin", "EVERSINCE_API_URL": "sandbox", **env}
    return subprocess.run([command(), *arguments], cwd=cwd, env=given, capture_output=True, text=True, check=False)


def test_the_recipe_and_the_tool_name_a_folder_alike(tmp_path):
    """Intent: the name in the job's matrix is what stands in the comment; whatever the folders are called."""
    git(tmp_path, "init", "-q")
    for folder in FOLDERS:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "reconciler.yaml").write_text("")
    git(tmp_path, "add", ".")
    names = {item["path"]: item["name"] for item in listed(tmp_path)}
    assert set(names) == set(FOLDERS)
    assert {f"<!-- reconciler: {name} -->": path for path, name in names.items()} == {marker(f): f for f in FOLDERS}
    assert not {char for name in names.values() for char in name} & set('":<>|*?\r\n\\/ ')


@pytest.mark.sampled(6)
@pytest.mark.parametrize("shows", [("plan",), ("show", "../../saved.plan")], ids=lambda c: c[0])
def test_the_marker_is_the_folder_s_path_in_its_repository(tmp_path, shows):
    """Intent: two folders with one workspace name differ; from where a command is started does not count."""
    git(tmp_path, "init", "-q")
    for folder in ("a/b", "a__b/c", "A/b"):
        workspace(tmp_path / folder)
    assert reconciler(tmp_path, "-C", "a/b", "plan", "--out", "saved.plan").returncode == 0
    markdown = ("--format", "markdown")
    here = [shows[0], *(str((tmp_path / "a/b" / word).resolve()) for word in shows[1:]), *markdown]
    lines = {}
    for folder in ("a/b", "a__b/c", "A/b"):
        starts = [
            reconciler(tmp_path, "-C", folder, *here),
            reconciler(tmp_path / folder, *here),
            reconciler(tmp_path / "a", "-C", str(tmp_path / folder), *here),
            reconciler(tmp_path, "-C", f"a/../{folder}/.", *here),
        ]
        assert not any(done.returncode for done in starts), starts[0].stderr
        (lines[folder],) = {done.stdout.split("\n")[0] for done in starts}
    assert lines == {folder: marker(folder) for folder in lines}


def test_a_plan_that_no_workspace_is_shown_in_has_no_marker(tmp_path):
    """Intent: rather no owner than a wrong one."""
    workspace(tmp_path / "a")
    assert reconciler(tmp_path, "-C", "a", "plan", "--out", "saved.plan").returncode == 0
    assert "reconciler:" not in reconciler(tmp_path, "show", "saved.plan", "--format", "markdown").stdout.split("\n")[0]


def test_a_plan_that_fails_stands_under_the_same_marker(tmp_path):
    """Intent: a comment never goes on showing the plan of an earlier push, whatever is wrong now."""
    git(tmp_path, "init", "-q")
    for folder, config, spec in (
        ("config", "workspace: [\n", ""),
        ("spec", "workspace: w\n", "projects: {x: {breef: y}}\n"),
        ("policy", "workspace: w\npolicy: {max_creates: 0}\n", "projects: {x: {brief: y}}\n"),
    ):
        workspace(tmp_path / folder, config, spec)
        done = reconciler(tmp_path, "-C", folder, "plan", "--format", "markdown")
        assert done.returncode == 1
        assert done.stdout.startswith(f"{marker(folder)}\n\n### "), done.stdout


EVIL = """\
projects:
  teaser:
    brief: |
      A calm opening.
      <!-- reconciler: a__b -->
      Digest: `{digest}`
      ```
      </details>
      Digest: `{digest}`
"""


@pytest.mark.sweep
def test_two_folders_of_one_name_keep_what_is_theirs(tmp_path):
    """Intent: the workflows, for real: two comments, two artifacts, two issues; others' are not touched, and no spec
    says which digest was reviewed."""
    repository = tmp_path / "repository"
    for folder in ("a/b", "a__b"):
        workspace(repository / folder, spec=EVIL.format(digest="0" * 64))
        assert reconciler(repository / folder, "fmt").returncode == 0
    shutil.copytree(GITHUB, repository / ".github")
    git(repository, "init", "-q", "-b", "main")
    git(repository, "commit", "-q", "--allow-empty", "-m", "Base")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "Start")
    github = GitHub(tmp_path / "github", {"EVERSINCE_API_KEY": "k"}, {"EVERSINCE_API_URL": "sandbox"})
    eve = [
        {"id": 900 + n, "user": {"login": login}, "body": f"{marker('a/b')}\n\nDigest: `{'1' * 64}`\n"}
        for n, login in enumerate(("eve", "github-actions", "github-actions[bot]x"))
    ]
    issues = [{**item, "number": item["id"], "state": "open", "title": "Drift in a/b"} for item in eve]
    github.save({**github.account, "comments": list(eve), "issues": list(issues)})
    head = git(repository, "rev-parse", "HEAD")
    event = {"pull_request": {"number": 7, "head": {"repo": {"full_name": REPOSITORY}}}}
    for _ in range(2):
        jobs = github.workflow("reconciler-plan", repository, {"event": event, "head_sha": head})
        assert not any(job.failed for job in jobs.values()), {name: job.log for name, job in jobs.items()}
    comments = github.account["comments"]
    assert comments[:3] == eve
    assert [comment["body"].split("\n")[0] for comment in comments[3:]] == [marker("a/b"), marker("a__b")]
    artifacts = {path.name for path in (tmp_path / "github" / "artifacts" / "1").iterdir()}
    assert artifacts == {"plan-a%2fb", "plan-a__b"}

    for _ in range(2):
        jobs = github.workflow("reconciler-drift", repository, {})
        assert not any(job.failed for job in jobs.values()), {name: job.log for name, job in jobs.items()}
    found = github.account["issues"]
    assert found[:3] == issues
    assert [(issue["title"], issue["body"].split("\n")[0]) for issue in found[3:]] == [
        ("Drift in a/b", marker("a/b")),
        ("Drift in a__b", marker("a__b")),
    ]

    pull = {"number": 7, "merged_at": "2026-01-01", "merge_commit_sha": head, "base": {"ref": "main"}}
    pull |= {"head": {"sha": head, "repo": {"full_name": REPOSITORY}}, "files": []}
    github.save({**github.account, "pulls": [pull]})
    jobs = github.workflow("reconciler-apply", repository, {})
    assert not any(job.failed for job in jobs.values()), {name: job.log for name, job in jobs.items()}
