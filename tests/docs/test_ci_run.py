"""`.ci/run` runs the tests on every Python that is here, each once."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project_files import ROOT

RUN = (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def pythons(**env: str) -> dict[str, str]:
    """What it finds: versions by path, in its order."""
    function = re.search(r"^pythons\(\) \{.*?^\}$", RUN, re.DOTALL | re.MULTILINE)[0]
    command = f"set -euo pipefail\n{function}\npythons"
    done = subprocess.run(
        [shutil.which("bash"), "-c", command], env=env, capture_output=True, text=True, check=True, timeout=120
    )
    return {path: version for version, _, path in (line.partition(" ") for line in done.stdout.splitlines())}


@pytest.mark.sweep
def test_each_python_is_found_once_and_the_oldest_comes_first(tmp_path):
    """Intent: by links and under many names it is one; what is too old, broken or of a project's own is left out."""
    folder = tmp_path / "with a blank"
    folder.mkdir()
    this = Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}").resolve()
    for name in ("python3", "python3.98"):
        (folder / name).symlink_to(this)
    for name, text in {
        "python3.10": "echo 3.10.1 /old",
        "python3.11-config": "echo 3.11.0 /config",
        "python3.99": "echo broken >&2; exit 127",
    }.items():
        (folder / name).write_text(f"#!/bin/sh\ncase $1 in *) {text} ;; esac\n")
        (folder / name).chmod(0o755)
    (folder / "python3.10").write_text("#!/bin/sh\nexit 0\n")  # says nothing, as an older one does
    found = pythons(PATH=f"{folder}:{sys.prefix}/bin:{folder}:/usr/bin:/bin", HOME=str(tmp_path))
    assert found[str(this)] == ".".join(map(str, sys.version_info[:3]))
    versions = [tuple(map(int, version.split("."))) for version in found.values()]
    assert versions == sorted(versions) and versions[0] >= (3, 11)
    assert not any(path.startswith((str(folder), sys.prefix + "/bin")) and path != str(this) for path in found)


def test_a_developer_s_environment_and_state_are_left_alone():
    """Intent: what is removed lies in the folder that it made."""
    removed = re.findall(r"rm -rf (.+)", RUN)
    assert removed
    assert all(what.startswith('"$work') or ".venv" in what for what in removed)
    assert RUN.index('cd "$work/reconciler"') < RUN.index("rm -rf .venv")
