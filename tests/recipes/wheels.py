"""A stand-in for reconciler's wheel, small enough to be installed for real: its command is the one under test."""

from __future__ import annotations

import base64
import hashlib
import sys
import zipfile
from pathlib import Path

COMMAND = Path(sys.executable).with_name("reconciler")
SHIM = "import os, sys\nimport helper\n\n\ndef main():\n    os.execv({!r}, ['reconciler', *sys.argv[1:]])\n"
BACKEND = """\
import pathlib, shutil
def build_wheel(folder, settings=None, metadata=None):
    (wheel,) = pathlib.Path("dist").glob("*.whl")
    shutil.copy(wheel, folder)
    return wheel.name
"""


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def wheel(folder: Path, name: str, version: str, files: dict[str, str], script: str = "") -> Path:
    """Writes a pure wheel."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if script:
        files[f"{info}/entry_points.txt"] = f"[console_scripts]\n{script}\n"
    record = [
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip('=')},"
        for path, text in files.items()
    ]
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name_, text in files.items():
            archive.writestr(name_, text)
        archive.writestr(f"{info}/RECORD", "\n".join([*record, f"{info}/RECORD,,"]) + "\n")
    return path


class Release:
    """A reviewed wheel, the index (a folder) with its one dependency, and pip's environment: no other index."""

    def __init__(self, root: Path, *, lock: str | None = None, command: Path = COMMAND) -> None:
        self.index = root / "index"
        helper = wheel(self.index, "helper", "1.0", {"helper.py": ""})
        self.lock = lock or f"helper==1.0 \\\n    --hash=sha256:{digest(helper)}\n"
        files = {
            "reconciler/__init__.py": "",
            "reconciler/shim.py": SHIM.format(str(command)),
            "reconciler/runtime.lock": self.lock,
        }
        self.wheel = wheel(
            root / "release", "eversince-reconciler", "0.1.0", files, "reconciler = reconciler.shim:main"
        )
        self.env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.index), "PIP_CONFIG_FILE": "/dev/null"}

    @property
    def source(self) -> str:
        return f"{self.wheel.as_uri()}#sha256={digest(self.wheel)}"

    def tree(self, folder: Path) -> None:
        """The files of a source repository that builds this wheel."""
        (folder / "reconciler").mkdir(parents=True)
        (folder / "dist").mkdir()
        (folder / "dist" / self.wheel.name).write_bytes(self.wheel.read_bytes())
        (folder / "reconciler" / "runtime.lock").write_text(self.lock)
        (folder / "backend.py").write_text(BACKEND)
        (folder / "pyproject.toml").write_text(
            '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
            '[project]\nname = "eversince-reconciler"\nversion = "0.1.0"\n'
        )
