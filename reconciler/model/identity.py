"""To whom a project belongs: a workspace, or one of its environments."""

from __future__ import annotations

from collections.abc import Mapping
from shlex import quote

from msgspec import Struct, field


class Holder(Struct, frozen=True):
    """The address that a live project is bound to: in another environment, or in a state without one in ``place``."""

    address: str
    environment: str | None = None
    place: str | None = None

    def __str__(self) -> str:
        if self.place is not None:
            return f"`{self.address}` by the state in `{self.place}`, from before there were environments"
        return f"`{self.address}`" + (f" in environment `{self.environment}`" if self.environment else "")

    @property
    def way_out(self) -> str:
        """How the project can be this environment's; empty where it is."""
        if self.place is not None:
            return "Move that state: `reconciler state mv --to-environment NAME`."
        forget = f"reconciler -e {self.environment} state rm {quote(self.address)}"
        return f"Two would manage it. To hand it over, forget it there: `{forget}`." if self.environment else ""


class Elsewhere(Struct, frozen=True):
    """What other states of the same configuration say, by project id (and by the studio's, if adopted).

    ``holders`` are of other environments; ``before`` are of a state that is in no environment. ``moved``: such a state
    moved into this environment, so that its projects have keys of then. ``links`` are the permanent links that they have;
    ``creates`` the bodies of creates that are open in any of them. ``sharing``: a share is. ``forgotten`` are
    projects that one of them had, until it was told to forget them. ``incomplete``: an environment may have projects that
    no state tells of, since its state is new, was lost, or can't be read.
    """

    holders: Mapping[str, Holder] = field(default_factory=dict)
    before: Mapping[str, Holder] = field(default_factory=dict)
    moved: bool = False
    links: frozenset[str] = frozenset()
    creates: tuple[Mapping[str, object], ...] = ()
    sharing: bool = False
    forgotten: frozenset[str] = frozenset()
    incomplete: bool = False

    @property
    def taken(self) -> dict[str, Holder]:
        """All that this environment can't have."""
        return {**self.before, **self.holders}

    @property
    def not_ours(self) -> frozenset[str]:
        """The projects that another one has, or was told to forget."""
        return self.forgotten.union(self.before, self.holders)

    def holder_of(self, project_id: str) -> Holder | None:
        """Who else has a project, if anybody does."""
        return self.holders.get(project_id) or self.before.get(project_id)

    @property
    def doubt(self) -> str | None:
        """Why the key of an address can't tell whose a project that looks like its own is."""
        if self.before:
            place = next(iter(self.before.values())).place
            move = "reconciler state mv --to-environment NAME"
            return f"the state in `{place}` is from before there were environments; `{move}` moves it into one"
        if self.moved:
            return "a state from before there were environments moved here, and the keys of its projects are from then"
        return None


def identity(workspace: str, environment: str | None) -> str:
    """What the idempotency keys begin with. A workspace's name has no ``@``, so no two identities are the same."""
    return workspace if environment is None else f"{workspace}@{environment}"


def key_name(identity: str, address: str, generation: int) -> str:
    """The idempotency key of a create, however long. ``identity`` is as :func:`identity` gives it."""
    return f"{identity}/{address}/{generation}"
