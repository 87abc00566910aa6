"""To whom a project belongs: a workspace, or one of its environments."""

from __future__ import annotations

from msgspec import Struct


class Holder(Struct, frozen=True):
    """The address that a live project is bound to; ``environment`` if that is another one's."""

    address: str
    environment: str | None = None

    def __str__(self) -> str:
        return f"`{self.address}`" + (f" in environment `{self.environment}`" if self.environment else "")


def identity(workspace: str, environment: str | None) -> str:
    """What the idempotency keys begin with. A workspace's name has no ``@``, so no two identities are the same."""
    return workspace if environment is None else f"{workspace}@{environment}"


def key_name(identity: str, address: str, generation: int) -> str:
    """The idempotency key of a create, however long. ``identity`` is as :func:`identity` gives it."""
    return f"{identity}/{address}/{generation}"
