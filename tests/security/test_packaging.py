"""What is released: the wheel tells its types, the sdist is the whole project and nothing else, no key is in either."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from tests import project_files

ROOT = project_files.ROOT
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY")


def build(kind: str, folder: Path, root: Path = ROOT) -> Path:
    """The one file that hatchling makes."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (made,) = folder.iterdir()
    return made


def unpacked(sdist: Path, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    subprocess.run(["tar", "-xf", str(sdist), "-C", str(folder)], check=True)
    (root,) = folder.iterdir()
    return root


def files(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """Built, and unpacked."""
    return unpacked(build("sdist", tmp_path_factory.mktemp("sdist")), tmp_path_factory.mktemp("unpacked"))


@pytest.mark.sweep
def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    package = {name for name in names if name.startswith("reconciler/")}
    assert package >= {name for name in project_files.owned() if name.startswith("reconciler/")}
    assert package <= project_files.not_ignored()
    assert "reconciler/py.typed" in package
    assert all(PurePosixPath(name).parts[0].endswith(".dist-info") for name in names - package)


@pytest.mark.sweep
def test_the_manual_is_in_the_wheel_and_readable_from_it(wheel, tmp_path):
    """Intent: what is installed has every topic, wherever it is run."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    (tmp_path / "elsewhere").mkdir()
    for args, said in ((("help", "specs"), "# Spec files"), (("explain", "E107"), "## E107")):
        done = subprocess.run(
            [sys.executable, "-m", "reconciler", *args],
            cwd=tmp_path / "elsewhere",
            env={"PYTHONPATH": str(tmp_path / "installed")},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.stdout.startswith(said), done.stderr


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("version: str = VERSION", "Success"),
        ("version: int = VERSION", "Incompatible types in assignment"),
    ],
)
def test_a_consumer_s_type_checker_reads_the_types(wheel, tmp_path, line, said):
    """Intent: with the wheel installed, as mypy finds it; a package without its marker is an error there."""
    venv.create(tmp_path / "venv")
    (packages,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    zipfile.ZipFile(wheel).extractall(packages)
    (tmp_path / "consumer.py").write_text(f"from reconciler.model.version import VERSION\n\n{line}\n")
    python = f"--python-executable={tmp_path}/venv/bin/python"
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", python, "consumer.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert said in done.stdout, done.stdout + done.stderr


@pytest.mark.sweep
def test_the_sdist_is_the_whole_project_and_no_more(sdist):
    """Intent: with the lock, the examples, the tests and all that these read; without what happens to lie about."""
    assert files(sdist) >= project_files.owned()
    assert files(sdist) <= project_files.not_ignored() | {"PKG-INFO"}


@pytest.mark.sweep
def test_what_happens_to_lie_about_is_released_in_neither(tmp_path):
    """Intent: a key in a file beside the project goes nowhere; nor do an environment, a state or a cache."""
    project = project_files.copy(tmp_path / "project")
    stray = [".env", "notes.txt", ".venv/bin/python", ".reconciler/account.db", "reconciler.state.json", "dist/old.whl"]
    stray += ["reconciler/__pycache__/a.pyc", "tests/__pycache__/a.pyc", "examples/minimal/.reconciler/account.db"]
    for name in stray:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("EVERSINCE_API_KEY=es_live_stray\n")
    made = unpacked(build("sdist", tmp_path / "sdist", project), tmp_path / "unpacked")
    assert not files(made) & set(stray)
    assert not set(zipfile.ZipFile(build("wheel", tmp_path / "wheel", project)).namelist()) & set(stray)


def test_an_sdist_builds_the_same_wheel_and_the_same_sdist(sdist, wheel, tmp_path):
    assert build("wheel", tmp_path / "wheel", sdist).read_bytes() == wheel.read_bytes()
    again = unpacked(build("sdist", tmp_path / "sdist", sdist), tmp_path / "unpacked")
    assert files(again) == files(sdist)


def test_no_file_holds_a_private_key(sdist):
    """Intent: nothing that a scanner of secrets stops at, be it of a test; such things are made when they are needed."""
    for name in sorted(files(sdist)):
        assert not PRIVATE_KEY.search((sdist / name).read_bytes()), name
        assert PurePosixPath(name).suffix not in {".pem", ".key", ".p12", ".pfx", ".jks"}, name


def test_the_project_names_the_pythons_that_it_promises():
    promised = [name.rpartition(" ")[2] for name in PYPROJECT["project"]["classifiers"] if ":: 3." in name]
    assert f">={promised[0]}" == PYPROJECT["project"]["requires-python"]
    assert promised == [f"3.{11 + n}" for n in range(len(promised))] and len(promised) >= 3


@pytest.mark.sweep
@pytest.mark.timeout(1800)
def test_the_sdist_installs_and_passes_its_tests(sdist):
    """Intent: with the README's own command; those of its tests that read most of what lies outside the package."""
    (command,) = re.findall(r"^python3 -m venv .*\[test\].*pytest$", README, re.MULTILINE)
    done = project_files.shell(
        f"{command} -n 2 tests/docs tests/recipes tests/adapters/test_api_network.py tests/security/test_packaging.py",
        sdist,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    assert re.search(r"^\d+ passed in ", done.stdout, re.MULTILINE), done.stdout[-500:]
