"""Values of variables, as the command line gives them."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct


class Variables(Struct, frozen=True, kw_only=True):
    """Values of ``${var.…}``, as ``--var`` and ``--var-file`` give them."""

    var: tuple[str, ...] = ()
    var_file: tuple[Path, ...] = ()
