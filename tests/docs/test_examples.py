"""Every example applies in the sandbox, and a second plan of it is empty."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from reconciler.sandbox.store import Store
from tests.command import run as reconciler

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.name for path in (ROOT / "examples").iterdir() if (path / "reconciler.yaml").exists())


@pytest.fixture
def example(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    root = tmp_path / request.param
    shutil.copytree(ROOT / "examples" / request.param, root, ignore=shutil.ignore_patterns(".reconciler"))
    return root


@pytest.mark.sampled(3)
@pytest.mark.parametrize("example", EXAMPLES, indirect=True)
def test_an_example_applies_to_an_empty_second_plan(example):
    applied = reconciler("apply", "--auto-approve", cwd=example)
    assert applied.returncode == 0, applied.stderr + applied.stdout
    planned = reconciler("plan", "--detailed-exitcode", cwd=example)
    assert planned.returncode == 0, planned.stdout


@pytest.mark.parametrize("example", ["adopt-and-import"], indirect=True)
def test_the_commented_import_works_as_its_comment_says(example):
    assert reconciler("plan", cwd=example).returncode == 0  # makes the sandbox's account
    store = Store(example / ".reconciler" / "sandbox" / "account.db")
    made_elsewhere = store.person_creates(brief="Made by another tool.", title="Older")
    store.close()
    spec = example / "specs" / "projects.yaml"
    text = re.sub(r"(?m)^# (  older:|    import: )", r"\1", spec.read_text(encoding="utf-8"))
    spec.write_text(text.replace("proj_abc123", made_elsewhere), encoding="utf-8")
    applied = reconciler("apply", "--auto-approve", cwd=example)
    assert applied.returncode == 0, applied.stderr + applied.stdout
    assert "1 imported" in applied.stdout
