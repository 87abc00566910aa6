"""The workspace's configuration, ``reconciler.yaml``, as values (decisions/0014)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field

from reconciler.model import contract
from reconciler.model.errors import Location
from reconciler.model.identity import identity
from reconciler.model.state import State, owned
from reconciler.model.values import Json

KEY_ENV = "EVERSINCE_API_KEY"
"""The environment variable with the key, unless ``api.key_env`` names another."""
SANDBOX = "sandbox"
"""The value of ``api.url`` for the embedded emulated API, which needs no key and no network."""


class Limits(Struct, frozen=True, kw_only=True):
    active_projects: int = field(default_factory=lambda: contract.current().limits.active_projects)
    requests_per_minute: int = field(default_factory=lambda: contract.current().limits.requests_per_minute)
    settle_seconds: float = 10.0
    lease_seconds: float = 60.0


class Policy(Struct, frozen=True, kw_only=True):
    """Limits on one apply. A count of ``None`` is off; ``max_share`` is a fraction of the managed projects."""

    max_creates: int | None = None
    max_cancels: int | None = None
    max_replacements: int | None = None
    max_messages: int | None = None
    max_renders: int | None = None
    min_credits: int | None = None
    max_share: float | None = 0.3
    allowed_env: tuple[str, ...] = ()


class Account(Struct, frozen=True, kw_only=True):
    """The account that the key must be of: the one that shows ``project``. ``location``: where the file says so."""

    project: str
    location: Location | None = None


class Config(Struct, frozen=True, kw_only=True):
    """``root`` is the workspace's folder; ``specs`` and ``state`` are as written, relative to it."""

    root: Path
    workspace: str
    named: bool = True
    """Whether a file names ``workspace``; if not, it is the folder's name, which differs between checkouts."""
    api_url: str = contract.DEFAULT_URL
    api_version: str = field(default_factory=lambda: contract.current().version)
    key_env: str = KEY_ENV
    account: Account | None = None
    specs: str | tuple[str, ...] = "specs"
    state: str | None = None
    environment: str | None = None
    environments: tuple[str, ...] = ()
    """The names of all environments, as the file has them."""
    default_environment: str | None = None
    defaults: Json = field(default_factory=dict)
    variables: Json = field(default_factory=dict)
    """Declarations of variables, by name."""
    values: tuple[Mapping[str, Json] | str, ...] = ()
    """Values of variables, strongest first: each ``vars``, or the path of a ``vars_file``."""
    limits: Limits = field(default_factory=Limits)
    policy: Policy = Policy()
    sandbox_speed: float = 1.0
    sandbox_version: str = field(default_factory=lambda: contract.current().version)
    """The version of the API that the sandbox speaks."""
    file: str | None = None
    """The configuration file, if there is one, as the user would type it."""

    @property
    def sandboxed(self) -> bool:
        return self.api_url == SANDBOX

    @property
    def spec_folders(self) -> tuple[str, ...]:
        return (self.specs,) if isinstance(self.specs, str) else self.specs

    @property
    def identity(self) -> str:
        """What all idempotency keys begin with."""
        return identity(self.workspace, self.environment)

    def own(self, state: State) -> State:
        """The state, if it is of this workspace, environment and API. Raises StateMismatchError."""
        return owned(state, workspace=self.workspace, api_url=self.api_url, environment=self.environment)

    @property
    def sandbox_dir(self) -> Path:
        """The folder of the sandbox's state and database, so that trials never touch the real state."""
        return self.root / ".reconciler" / "sandbox"

    @property
    def sandbox_db(self) -> Path:
        """The file of the embedded sandbox's account, one for each environment."""
        return self.sandbox_dir / (self.environment or "") / "account.db"

    @property
    def _state_name(self) -> str:
        return divided_path("reconciler.state.json", self.environment)

    @property
    def sandbox_state(self) -> Path:
        """The file of the state that belongs to the embedded sandbox's account."""
        return self.sandbox_dir / self._state_name

    @property
    def state_path(self) -> Path:
        """The local state file; ``.reconciler/sandbox/`` with the sandbox, unless the state was named."""
        if self.state is not None:
            return self.root / self.state
        return self.sandbox_state if self.sandboxed else self.root / self._state_name

    @property
    def state_place(self) -> str:
        """Where the state is, as a user would name it: a URL, or a path relative to the workspace."""
        if self.state is not None:
            return self.state
        return os.path.relpath(self.state_path, self.root)


def divided_path(path: str, environment: str | None) -> str:
    """A path of a state that environments share, as one environment has it: ``a.state.json`` → ``a.prod.state.json``."""
    if environment is None:
        return path
    folder, slash, name = path.rpartition("/")
    stem, dot, ending = name.partition(".state.json") if name.endswith(".state.json") else name.rpartition(".")
    stem, dot, ending = (stem, dot, ending) if stem else (name, "", "")
    return f"{folder}{slash}{stem}.{environment}{dot}{ending}"
