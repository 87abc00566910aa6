"""A workspace on disk, for the tests of specifications and configuration."""

from __future__ import annotations

from pathlib import Path

from reconciler.model.desired import Desired
from tests.spec_files import load_config, load_specs

ENV = {"TOKEN": "canary-7f3a", "OTHER": "canary$$9e1b${env.TOKEN}"}
CONFIG = "workspace: w\npolicy: {allowed_env: [TOKEN, OTHER, UNSET]}\n"


def workspace(root: Path, files: dict[str, str | bytes]) -> Path:
    """Write files below the root (folders as needed); a workspace always has its folder of specifications."""
    (root / "specs").mkdir(exist_ok=True)
    for name, text in {"reconciler.yaml": CONFIG, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def load(root: Path, files: dict[str, str | bytes], **variables: str) -> Desired:
    """What a workspace with these files declares."""
    return load_specs(load_config(workspace(root, files), env={}), env=ENV, variables=variables)


def load_one(root: Path, text: str, **variables: str) -> Desired:
    """What one specification file declares."""
    return load(root, {"specs/a.yaml": text}, **variables)
