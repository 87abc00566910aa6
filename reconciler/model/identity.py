"""To whom a project belongs: a workspace, or one of its environments."""

from __future__ import annotations


def identity(workspace: str, environment: str | None) -> str:
    """What the idempotency keys begin with. A workspace's name has no ``@``, so no two identities are the same."""
    return workspace if environment is None else f"{workspace}@{environment}"
