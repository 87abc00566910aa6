"""Choosing where the state is stored, from ``state`` or ``--state``."""

from __future__ import annotations

from reconciler.adapters.state.local import LocalStateStore
from reconciler.cli.console import Console
from reconciler.model.config import Config
from reconciler.model.errors import ConfigError, Diagnostic
from reconciler.model.version import VERSION
from reconciler.operations.workspace import StateStore


def open_store(console: Console, config: Config) -> StateStore:
    """The store of the state; reads nothing yet.

    Raises:
        ConfigError: the URL's scheme is unknown, or a package that it needs is not installed.
        StateError: the URL can't be used.

    """

    def warn(found: Diagnostic) -> None:
        console.diagnose([found])

    place = config.state or ""
    scheme, separator, _ = place.partition("://")
    if not separator:
        return LocalStateStore(config.state_path, version=VERSION, warn=warn)
    if scheme not in ("s3", "gs", "az", "file"):
        raise ConfigError(
            f"a state can't be stored in `{scheme}://`",
            "Use a local file, `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix` or `file:///folder`.",
        )
    try:
        # a Rust library that only shared states need
        from reconciler.adapters.state.remote import RemoteStateStore  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name != "obstore":
            raise
        raise ConfigError(
            f"a state in `{scheme}://` needs a package that is not installed",
            "Install it: `pip install 'eversince-reconciler[remote]'`.",
        ) from error
    return RemoteStateStore(
        place,
        version=VERSION,
        spill=config.root / ".reconciler" / "spill",
        lease_seconds=config.limits.lease_seconds,
        note=console.note,
        warn=warn,
        own_folder=config.environment is not None,
    )
