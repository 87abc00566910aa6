"""`.ci/run` runs the tests on every Python that is here, each once."""

from __future__ import annotations

import os
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


ONCE_MORE = """
set -euo pipefail
work=$PWD
{code}
mkdir -p .venv/bin
printf '#!/bin/sh\\nprintf "%%s " "$@" >> tried\\nexit %s\\n' {second} > .venv/bin/pytest
chmod +x .venv/bin/pytest
first() {{ printf '{failed}' > "$FAILED_TESTS"; return 1; }}
first || once_more
echo went on
"""


@pytest.mark.parametrize(
    ("failed", "second", "goes_on"),
    [("t.py::a[b c]\\n", 0, True), ("t.py::a\\n", 1, False), ("", 0, False), ("t.py::a\\n" * 6, 0, False)],
    ids=["passes", "fails again", "none that may be tried", "many"],
)
def test_what_failed_is_tried_once_more_and_named(tmp_path, failed, second, goes_on):
    """Intent: an accident of a busy machine is seen and stops nothing; what is broken stops the run."""
    code = re.search(r"^export FAILED_TESTS=.*?^\}$", RUN, re.DOTALL | re.MULTILINE)[0]
    script = ONCE_MORE.format(code=code, second=second, failed=failed)
    done = subprocess.run(
        [shutil.which("bash"), "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode == 0) == ("went on" in done.stdout) == goes_on, done
    assert (tmp_path / "unsteady").exists() == goes_on
    if goes_on:
        assert (tmp_path / "tried").read_text().split() == ["-n", "0", "-m", f"@{tmp_path}/again"]
        assert (tmp_path / "again").read_text() == "t.py::a[b c]\n"


def test_what_failed_is_written_down_unless_an_effect_was_lost_or_came_twice(tmp_path):
    """Intent: only what may be an accident is tried again."""
    test = tmp_path / "test_some.py"
    test.write_text(
        "import os\nfrom tests.recovery.figures import FIGURES\n"
        "def test_a():\n    FIGURES['machine: states lost'] = 1\n    FIGURES['remote: effects twice'] = int(os.environ['TWICE'])\n"
        "    assert False\n"
    )
    for twice in ("0", "1"):
        written = tmp_path / f"failed{twice}"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-c", ROOT / "pyproject.toml", "--rootdir", ROOT, "-n", "2", test,
             "-p", "tests.recovery.figures"],
            cwd=ROOT, env=os.environ | {"FAILED_TESTS": str(written), "TWICE": twice}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert "1 failed" in done.stdout, done.stdout
        assert written.exists() == (twice == "0")
    assert (tmp_path / "failed0").read_text().endswith("::test_a\n")
