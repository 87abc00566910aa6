"""The command line in a workspace of its own, for the tests of the specification language."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from reconciler.sandbox.store import Store
from tests import command
from tests.canaries import ALLOWED

CONFIG = f"workspace: w\napi: {{url: sandbox}}\nsandbox: {{speed: 200}}\npolicy: {{{ALLOWED}}}\n"


def make(root: Path, files: dict[str, str]) -> Path:
    """A workspace in the sandbox with these files."""
    for name, text in {"reconciler.yaml": CONFIG, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    (root / "specs").mkdir(exist_ok=True)
    return root


def reconciler(root: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return command.run(*args, cwd=root, **env)


@contextmanager
def account(root: Path) -> Iterator[Store]:
    """The sandbox's account, closed again for the next command."""
    (root / ".reconciler" / "sandbox").mkdir(parents=True, exist_ok=True)
    with closing(Store(root / ".reconciler" / "sandbox" / "account.db")) as store:
        yield store
