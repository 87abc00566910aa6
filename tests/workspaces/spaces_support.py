"""A repository with several workspaces, and questions about it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.cli.cli_support import Space

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 8
SANDBOX = "api: {url: sandbox}\n"
FILES: dict[str, str | bytes] = {
    "README.md": "A company.\n",
    "shared/common.yaml": "variables:\n  tone: {default: calm}\n",
    "shared/vars.yaml": "market: us\n",
    "teams/a/reconciler.yaml": f"workspace: a\n{SANDBOX}specs: [specs, ../../shared/specs]\nvars_file: vars/a.yaml\n",
    "teams/a/vars/a.yaml": "tone: calm\n",
    "teams/a/specs/ads.yaml": (
        "projects:\n  teaser:\n    brief_file: briefs/teaser.md\n    references: [{file: assets/logo.png}]\n"
        "  other: {brief: 'In a ${var.tone} tone.'}\n"
    ),
    "teams/a/specs/deep/more.yaml": "projects:\n  deep: {brief: Deep.}\n",
    "teams/a/briefs/teaser.md": "Ten seconds.\n",
    "teams/a/briefs/unused.md": "Nobody reads me.\n",
    "teams/a/assets/logo.png": PNG,
    "shared/specs/all.yaml": "projects:\n  shared-${workspace}: {brief: Everybody's.}\n".replace("-${workspace}", ""),
    "teams/b/reconciler.yaml": (
        f"workspace: b\n{SANDBOX}environments:\n  dev: {{vars: {{market: us}}}}\n"
        "  prod: {vars_file: ../../shared/vars.yaml}\n"
    ),
    "teams/b/specs/b.yaml": "projects:\n  b: {brief: 'In ${var.market}.'}\n  only-dev:\n    only: [dev]\n    brief_file: dev.md\n",
    "teams/b/dev.md": "For dev.\n",
    "teams/c/reconciler.yaml": f"workspace: c\n{SANDBOX}",
    "teams/c/specs/c.yaml": "projects:\n  c: {brief: Alone.}\n",
}


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    more = ("-c", "protocol.file.allow=always", "-c", "init.defaultBranch=main")
    done = subprocess.run(["git", *identity, *more, *arguments], cwd=folder, capture_output=True, check=True)
    return done.stdout.decode(errors="surrogateescape").strip()


def write(folder: Path, name: str, content: str | bytes) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def commit(folder: Path, message: str = "change") -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "-q", "--allow-empty", "-m", message)
    return git(folder, "rev-parse", "HEAD")


def make_repository(folder: Path, files: dict[str, str | bytes] = FILES) -> Path:
    folder.mkdir(parents=True)
    git(folder, "init", "-q")
    for name, content in files.items():
        write(folder, name, content)
    commit(folder, "base")
    return folder


def copied(source: Path, target: Path) -> Path:
    """A copy whose files all look touched to git."""
    shutil.copytree(source, target, symlinks=True)
    return target


def listed(folder: Path, *arguments: str, code: int = 0, **env: str) -> dict[str, Any]:
    return Space(folder, env).run("workspaces", *arguments, "--format", "json", code=code).document


def reasons(document: dict[str, Any]) -> dict[str, set[tuple[str, str, str]]]:
    """Why each affected workspace is: kind, change, path; by its path and environment."""
    return {
        f"{row['path']}{'@' + row['environment'] if row['environment'] else ''}": {
            (reason["kind"], reason["change"], reason["path"]) for reason in row["reasons"]
        }
        for row in document["workspaces"]
        if row["changed"]
    }
