"""Files that declare projects and are not read: renamed, moved, hidden or outside the folder of specs."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from reconciler.adapters.specs.validation.suggestions import printable
from reconciler.adapters.specs.workspace_files import FileProblem, read_text

FILES_MAX: Final = 2_000
"""Files that are searched: this is a hint, and a workspace may hold anything."""
BYTES_MAX: Final = 1 << 20
SKIPPED: Final = frozenset({".git", ".hg", ".reconciler", ".venv", "venv", "node_modules", "__pycache__"})
_DECLARATION: Final = r"""(?m)^[ \t]*(["']?)([a-z0-9][a-z0-9_-]{0,62})\1[ \t]*:"""


def unread_declarations(root: Path, addresses: Collection[str], read: Collection[str]) -> dict[str, list[str]]:
    """The addresses that a file of the workspace seems to declare although it is not among ``read``, by file.

    Only names of YAML files count, with anything after or around them: ``promo.yaml.off``, ``~promo.yml``, ``PROMO.YAML``.
    Files that can't be read are passed over.
    """
    names = {address.partition("[")[0]: address for address in sorted(addresses, reverse=True)}
    found: dict[str, list[str]] = {}
    for name in islice(_candidates(root), FILES_MAX):
        if name in read:
            continue
        try:
            text = read_text(root / name, name, BYTES_MAX)
        except FileProblem:
            continue
        declared = {match[2] for match in re.finditer(_DECLARATION, text)} & names.keys()
        if declared:
            found[printable(name)] = sorted(a for a in addresses if a.partition("[")[0] in declared)
    return found


def _candidates(root: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in SKIPPED)
        for file in sorted(files):
            if re.search(r"\.ya?ml", file, re.IGNORECASE):
                yield (Path(folder) / file).relative_to(root).as_posix()
