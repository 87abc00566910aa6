"""The policy that ``--policy`` names, for the commands that plan, apply and show."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reconciler.cli.console import Console
from reconciler.files import repository_top
from reconciler.model.errors import ConfigError, Diagnostic
from reconciler.operations.workspace import PolicyCheck

if TYPE_CHECKING:
    from reconciler.adapters.specs.policy.folder import PolicySet

_ENGINE: Final = "cel_expr_python"


def load_policy_check(console: Console) -> PolicyCheck:
    """Read the policy of all folders that the user names. Raises ConfigError as :func:`read_policy_folders`."""
    folders = [Path(folder) for folder in console.policy]
    policy = read_policy_folders(folders)
    _warn_of_own_folders(console, folders)
    from reconciler.operations.policy import check_policy  # noqa: PLC0415  needs the engine

    return partial(check_policy, policy)


def read_policy_folders(folders: Iterable[Path]) -> PolicySet:
    """The policy of all folders.

    Raises:
        ConfigError: a folder can't be used, a rule in it is wrong, or the extra `policy` is not installed.

    """
    try:
        # an engine that only policies need
        from reconciler.adapters.specs.policy.folder import read_policy  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != _ENGINE:
            raise
        raise ConfigError(
            "a policy needs a package that is not installed: nothing is planned or applied without it",
            "Install it: `pip install 'eversince-reconciler[policy]'`.",
        ) from error
    return read_policy(folders)


def _warn_of_own_folders(console: Console, folders: list[Path]) -> None:
    """Warn, once, of a policy that is in the same checkout as the workspace: who changes the specs can change it, too."""
    own = repository_top(console.root)
    if own is None or console.told_of_policy:
        return
    found = [folder for folder in folders if repository_top(folder) == own]
    console.told_of_policy = bool(found)
    console.diagnose(
        [
            Diagnostic(
                severity="warning",
                kind="policy",
                summary=f"the policy `{folder}` is in the same checkout as the specs: a branch can change it",
                detail="That is fine for trying it out. In CI, use another checkout, or the one of the base branch.",
            )
            for folder in found
        ]
    )
