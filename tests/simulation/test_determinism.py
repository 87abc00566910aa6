"""A seed always lives the same life: in another process, with other hashes, after other lives, on another Python."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.campaign import lived, many
from tests.simulation.course import draw
from tests.simulation.test_lives import ROOT, python

TELL = """
import sys
from tests.simulation.campaign import lived
from tests.simulation.course import draw
for seed in sys.argv[1:]:
    print("\\n".join(lived(draw(int(seed))).world.log))
"""
SEEDS = ("3", "11", "25", "41", "3300309", "3300533", "3300681")
NEEDED = (
    "greenlet",
    "httpx",
    "msgspec",
    "obstore",
    "click",
    "deepdiff",
    "filelock",
    "ruamel.yaml",
    "ruamel.yaml.clib",
    "sniffio",
    "starlette",
)
"""What lives need of the packages."""
ASK = "import ensurepip, sys, venv; print(*sys.version_info[:2], sys.version_info.releaselevel, sys.prefix == sys.base_prefix)"


@pytest.mark.sweep
def test_in_another_process_with_other_hashes_and_after_other_lives():
    one, other = (python("-c", TELL, *SEEDS, PYTHONHASHSEED=hashes) for hashes in ("1", "2"))

    assert one.returncode == 0, one.stderr
    assert len(one.stdout.splitlines()) > 100
    assert one.stdout == other.stdout
    many(range(5))
    assert "\n".join("\n".join(lived(draw(int(seed))).world.log) for seed in SEEDS) + "\n" == one.stdout


@pytest.mark.sweep
def test_on_another_python(tmp_path):
    found = another_python()
    if found is None:
        pytest.skip("no other Python from 3.11 on is here, on PATH or of pyenv")
    made = subprocess.run([found, "-m", "venv", tmp_path], capture_output=True, text=True, check=False, timeout=120)
    pip = [tmp_path / "bin" / "python", "-m", "pip", "install", "-q", "-c", ROOT / "requirements.lock", *NEEDED]
    put = subprocess.run(pip, capture_output=True, text=True, check=False, timeout=300)
    if made.returncode or put.returncode:
        pytest.skip(f"{found} can't have the packages: {(made.stderr + put.stderr)[-300:]}")
    seeds = [str(seed) for seed in range(60)]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    there = subprocess.run(
        [tmp_path / "bin" / "python", "-c", TELL, *seeds],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=env,
    )

    assert there.returncode == 0, there.stderr
    assert there.stdout == python("-c", TELL, *seeds).stdout


def another_python():
    """The newest Python from 3.11 on whose version is not this one's; ``None`` if there is none."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    folders += Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob("versions/*/bin")
    found = {}
    for folder in folders:
        for minor in range(11, 30):
            command = shutil.which(f"python3.{minor}", path=str(folder))
            if command is None or minor == sys.version_info.minor:
                continue
            asked = subprocess.run([command, "-I", "-c", ASK], capture_output=True, text=True, check=False, timeout=60)
            if asked.stdout.split() == ["3", str(minor), "final", "True"]:
                found[minor] = command
    return found[max(found)] if found else None
