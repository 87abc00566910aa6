"""The image: what its file says, and its steps run for real in an empty folder in place of an image's root."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.command import ROOT
from tests.recipes.wheels import Release
from tests.tracing.collector import collecting

FILE = ROOT / "examples" / "container" / "Containerfile"
GITLAB = ROOT / "examples" / "ci" / "gitlab" / ".gitlab-ci.yml"
INSTRUCTION = re.compile(r"^(ARG|FROM|RUN|WORKDIR|COPY|ENV|USER|ENTRYPOINT|CMD) (.+)$")


def instructions() -> list[tuple[str, str]]:
    lines = [line for line in FILE.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    found = [INSTRUCTION.fullmatch(line) for line in lines]
    assert all(found), "each line is one instruction"
    return [match.groups() for match in found]


def of(kind: str) -> list[str]:
    return [text for name, text in instructions() if name == kind]


@dataclass
class Build:
    """The stages in one root: absolute paths of the file are below it. ``context`` is what COPY reads."""

    root: Path
    context: Path
    env: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    args: dict[str, str] = field(default_factory=dict)

    def at(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def placed(self, text: str) -> str:
        return re.sub(r"(?<![\w$.:}])/(opt|source)\b", lambda match: str(self.at(match[0])), text)

    def run(self) -> subprocess.CompletedProcess[str] | None:
        """The first RUN that fails, or nothing."""
        for kind, text in instructions():
            match kind:
                case "ARG":
                    name, _, value = text.partition("=")
                    self.args.setdefault(name, value)
                case "WORKDIR":
                    self.folder = text
                    self.at(text).mkdir(parents=True, exist_ok=True)
                case "COPY" if not text.startswith("--from"):
                    *sources, target = text.split()
                    for source in sources:
                        self.copy(source, target)
                case "RUN":
                    done = self.shell(text)
                    if done.returncode:
                        return done
                case _:
                    pass
        return None

    def copy(self, source: str, target: str) -> None:
        place = self.at(self.folder) / target
        if (self.context / source).is_dir():
            shutil.copytree(self.context / source, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(self.context / source, place)

    def shell(self, text: str) -> subprocess.CompletedProcess[str]:
        """As a builder does: /bin/sh in the folder, with the arguments as variables, and no cache or setting of the user."""
        for name in ("home", "bin"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        python = self.root / "bin" / "python3"
        python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        python.chmod(0o755)
        return subprocess.run(
            ["/bin/sh", "-c", self.placed(text)],
            cwd=self.at(self.folder),
            env={**self.args, "PATH": f"{self.root}/bin:/usr/bin:/bin", "HOME": f"{self.root}/home", **self.env},
            capture_output=True,
            text=True,
            check=False,
        )


def test_the_base_is_pinned_by_digest_and_is_the_same_everywhere():
    (base,) = [text for text in of("ARG") if "=" in text]
    assert re.fullmatch(r"PYTHON=[\w./:-]+@sha256:[0-9a-f]{64}", base)
    assert base.removeprefix("PYTHON=docker.io/library/") in GITLAB.read_text(encoding="utf-8")
    assert {text.split()[0] for text in of("FROM")} == {"${PYTHON}"}


def test_it_runs_as_a_user_without_rights_and_takes_the_command_from_the_caller():
    (user,) = of("USER")
    assert re.fullmatch(r"(\d+):\1", user) and int(user.partition(":")[0]) >= 10_000
    last = max(n for n, (kind, _) in enumerate(instructions()) if kind == "FROM")
    assert ("USER", user) in instructions()[last:]
    assert of("ENTRYPOINT") == ['["reconciler"]']


def test_nothing_is_installed_by_its_name():
    installs = [shlex.split(text) for text in of("RUN") if " install " in text]
    by_lock, own = installs
    assert {"--require-hashes", "--no-deps", ":all:", "reconciler/runtime.lock"} <= {*by_lock}
    assert {"--no-index", "--no-deps", "--no-build-isolation"} <= {*own} and own[-1] == "."
    assert not re.search(r"curl|wget|apt-get|ADD|latest", FILE.read_text(encoding="utf-8"))


def test_only_what_is_released_is_copied():
    """Intent: a key in a file beside the project is in no layer."""
    copied = {name for text in of("COPY") if not text.startswith("--from") for name in text.split()[:-1]}
    assert copied == {"pyproject.toml", "README.md", "LICENSE", "reconciler"}


@pytest.fixture
def build(tmp_path):
    """The steps on a source with a small lock, which a folder in place of the index has."""
    release, context = Release(tmp_path), tmp_path / "context"
    release.tree(context)
    (context / "dist").rename(context / "reconciler" / "dist")  # where COPY takes it along
    backend = (context / "backend.py").read_text().replace('Path("dist")', 'Path("reconciler/dist")')
    (context / "reconciler" / "backend.py").write_text(backend)
    project = (context / "pyproject.toml").read_text().replace('["."]', '["reconciler"]')
    (context / "pyproject.toml").write_text(project)
    for name in ("README.md", "LICENSE"):
        (context / name).touch()
    return Build(tmp_path / "root", context, env=release.env)


@pytest.mark.sweep
def test_its_steps_make_the_command(build):
    ended = build.run()
    assert ended is None, ended.stderr
    assert (build.at("/opt/reconciler") / "bin" / "reconciler").exists()


def test_a_base_without_a_digest_is_refused(build):
    build.args["PYTHON"] = "python:3.12-slim"
    ended = build.run()
    assert ended is not None and ended.returncode == 1 and "PYTHON needs a digest" in ended.stderr


@pytest.mark.sweep
def test_a_package_with_another_hash_than_the_lock_s_is_refused(build):
    lock = build.context / "reconciler" / "runtime.lock"
    lock.write_text(re.sub(r"sha256:[0-9a-f]{64}", "sha256:" + "0" * 64, lock.read_text()))
    ended = build.run()
    assert ended is not None and ended.returncode != 0
    assert "DO NOT MATCH THE HASHES" in ended.stderr
    assert not (build.at("/opt/reconciler") / "bin" / "reconciler").exists()


@pytest.mark.sweep
def test_its_steps_make_a_reconciler_that_plans_from_a_read_only_folder(tmp_path):
    """Intent: the real lock, the real index, an empty root; then with nothing to write but its workspace, and a trace."""
    build = Build(tmp_path / "root", ROOT, env={k: v for k, v in os.environ.items() if k.startswith(("PIP_", "SSL_"))})
    ended = build.run()
    assert ended is None, ended.stderr
    shutil.copytree(ROOT / "examples" / "minimal", tmp_path / "workspace")
    for path in (tmp_path / "root").rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o222)
    command = build.at("/opt/reconciler") / "bin" / "reconciler"
    env = {"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONSAFEPATH": "1"}
    with collecting() as traces:
        done = subprocess.run(
            [command, "plan"],
            cwd=tmp_path / "workspace",
            env={**env, **traces.env},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0 and "1 to create" in done.stdout, done.stderr
    assert traces.named("plan")
    for path in (tmp_path / "root").rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
