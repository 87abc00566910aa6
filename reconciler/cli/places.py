"""Where the state lies, by the address in ``state`` or ``--state``."""

from __future__ import annotations

import os
from typing import Final

from reconciler.adapters.state.local import LocalStateStore
from reconciler.cli.console import Console
from reconciler.model.config import Config
from reconciler.model.errors import ConfigError
from reconciler.operations.workflows import StateStore

LEASE: Final = "RECONCILER_LEASE_SECONDS"
LEASE_SHORTEST: Final = 1.0


def store_of(console: Console, config: Config) -> StateStore:
    """The store; opens nothing yet.

    Raises:
        ConfigError: the address' scheme is unknown, or what it takes is not installed.
        StateError: the address can't be used.

    """
    place = config.state or ""
    scheme, separator, _ = place.partition("://")
    if not separator:
        return LocalStateStore(config.state_path, version=console.version())
    if scheme not in ("s3", "gs", "az", "file"):
        raise ConfigError(
            f"a state can't lie in `{scheme}://`",
            "Name a local file, `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix` or `file:///folder`.",
        )
    try:
        # a Rust library that only those need who share a state
        from reconciler.adapters.state.remote import LEASE_SECONDS, RemoteStateStore  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name != "obstore":
            raise
        raise ConfigError(
            f"a state in `{scheme}://` needs a package that is not installed",
            "Install it: `pip install 'eversince-reconciler[remote]'`.",
        ) from error
    return RemoteStateStore(
        place,
        version=console.version(),
        spill=config.root / ".reconciler" / "spill",
        lease_seconds=_lease_seconds(LEASE_SECONDS),
        note=console.note,
    )


def _lease_seconds(default: float) -> float:
    text = os.environ.get(LEASE, "")
    if not text:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not LEASE_SHORTEST <= seconds <= 86400:
        raise ConfigError(
            f"{LEASE} is `{text}`", f"Give seconds, from {LEASE_SHORTEST:.0f} on; {default:.0f} is usual."
        )
    return seconds
