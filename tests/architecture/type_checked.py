"""A copy of the package that mypy has checked: the one whole check of a run, which costs more than all that follow from it."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.made_once import made_once

ROOT = Path(__file__).parents[2]


def type_checked(tmp_path_factory, folder):
    """Fill ``folder`` with the package and what mypy knows about it."""
    shutil.copytree(made_once(tmp_path_factory, "type-checked", lambda: _checked(tmp_path_factory)), folder)


def _checked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("type-checked") / "copy"
    shutil.copytree(ROOT / "reconciler", folder / "reconciler", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    said = mypy(folder)
    assert not said, said
    return str(folder)


def mypy(folder, *files):
    """What mypy says about these files in such a folder; of the package, where none are named."""
    command = [sys.executable, "-m", "mypy", "--no-color-output", "--no-error-summary", "--cache-dir", ".cache"]
    done = subprocess.run([*command, *files], cwd=folder, capture_output=True, text=True, check=False)
    assert not done.stderr, done.stderr
    assert bool(done.stdout) == bool(done.returncode), done.stdout
    return done.stdout
