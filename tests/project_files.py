"""The files of the project, as they lie here: what git has or would take, with or without git."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
_OUTER = ("RECONCILER_", "EVERSINCE_", "PYTHON", "VIRTUAL_ENV", "GIT_")


def listed(*which: str) -> set[str]:
    """What ``git ls-files`` says of the project; where it has no repository (an unpacked sdist), of an empty one here."""
    with tempfile.TemporaryDirectory() as folder:
        git = ["git", "-c", "safe.directory=*"]
        if not (ROOT / ".git").exists():
            subprocess.run([*git, "init", "-q", folder], check=True)
            git += [f"--git-dir={folder}/.git", f"--work-tree={ROOT}"]
        done = subprocess.run([*git, "ls-files", "-z", *which], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()}


def owned() -> set[str]:
    """What a clone has; without git, all that is not ignored."""
    return listed() if (ROOT / ".git").exists() else not_ignored()


def not_ignored() -> set[str]:
    return listed("--cached", "--others", "--exclude-standard")


def copy(to: Path) -> Path:
    """The project in another folder, as a clone would have it."""
    for name in owned():
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, to / name)
    return to


def shell(command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a shell command in an environment that says nothing of this one."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(_OUTER)}
    return subprocess.run(["bash", "-c", command], cwd=cwd, env=env, capture_output=True, text=True, check=False)
