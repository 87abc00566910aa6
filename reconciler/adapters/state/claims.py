"""The claim of a pull request, beside the state: a small file, or an object that is created only if absent."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from msgspec import ValidationError
from msgspec.json import decode
from msgspec.structs import asdict

from reconciler import files
from reconciler.adapters.state.disk_errors import disk_failure, ignore, unsynced
from reconciler.model.claim import Claim, is_claim
from reconciler.model.errors import Diagnostic, StateError

_BYTES_MAX: Final = 16 * 1024
_ATTEMPTS: Final = 5
_WAY_OUT: Final = "Find out what put it there; `reconciler unlock --force` removes it."


class ClaimPlace(Protocol):
    """Where one claim is stored. Every method raises StateError where the place can't be used."""

    @property
    def where(self) -> str: ...

    def read(self, limit: int) -> bytes | None:
        """The content; ``None`` if there is none. Raises StateError for more than ``limit`` bytes, too."""

    def create(self, data: bytes) -> bool:
        """Write it, all or nothing; ``False`` if something is there."""

    def remove(self) -> bool:
        """Remove what is there, whatever it is; ``False`` if nothing is."""


class Claims:
    """The claim of one workspace and environment. Take and release it under the state's lock; reading needs none."""

    def __init__(self, place: ClaimPlace) -> None:
        self._place = place

    @property
    def where(self) -> str:
        return self._place.where

    def read(self) -> Claim | None:
        """The claim that stands. Raises StateError: what is there can't be read, or is no claim."""
        try:
            data = self._place.read(_BYTES_MAX)
        except StateError as error:
            if isinstance(error.__cause__, files.UnsafeFileError):
                raise StateError(error.diagnostics[0].summary, _WAY_OUT) from error
            raise
        return None if data is None else _decoded(data, self.where)

    def take(self, claim: Claim) -> Claim:
        """Store a claim if there is none; the one that stands now. Raises StateError."""
        data = json.dumps(asdict(claim), indent=1).encode() + b"\n"
        for _ in range(_ATTEMPTS):
            if self._place.create(data):
                return claim
            if (found := self.read()) is not None:
                return found
        raise StateError(f"`{self.where}` changes faster than it can be read", "Run the command again.")

    def release(self) -> bool:
        """Remove the claim, even one that can't be read; ``False`` if there was none. Raises StateError."""
        return self._place.remove()


class ClaimFile:
    """A claim in a file beside a local state; only the holder of the state's lock writes it."""

    def __init__(self, state_path: Path, warn: Callable[[Diagnostic], None] = ignore) -> None:
        self._path = claim_path(state_path)
        self._warn = warn

    @property
    def where(self) -> str:
        return str(self._path)

    def read(self, limit: int) -> bytes | None:
        try:
            return files.read(self._path, limit)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise disk_failure("read", self._path, error) from error

    def create(self, data: bytes) -> bool:
        try:
            if files.check(self._path):
                return False
            lost = files.replace(self._path, data)
        except OSError as error:
            raise disk_failure("write", self._path, error) from error
        if lost is not None:
            self._warn(unsynced(self._path, lost))
        return True

    def remove(self) -> bool:
        try:
            return files.remove(self._path)
        except OSError as error:
            raise disk_failure("remove", self._path, error) from error


def claim_path(state_path: Path) -> Path:
    """The claim beside a local state: ``a.state.json`` → ``a.claim.json``."""
    return state_path.with_name(state_path.name.removesuffix(".state.json") + ".claim.json")


def _decoded(data: bytes, where: str) -> Claim:
    """Read a claim. Only what this program writes is one: texts of a line, with nothing in them that can't be shown."""
    try:
        claim = decode(data, type=Claim)
    except (ValidationError, ValueError, RecursionError) as error:
        raise _not_a_claim(where) from error
    if not is_claim(claim):
        raise _not_a_claim(where)
    return claim


def _not_a_claim(where: str) -> StateError:
    return StateError(
        f"`{where}` is not a pull request's claim",
        f"It is torn, or another program wrote it. {_WAY_OUT}",
    )
