"""Limits on what specifications may cost a machine: a branch writes them, and a few lines can expand to gigabytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from reconciler.adapters.specs.validation.codes import Code, error
from reconciler.adapters.specs.validation.suggestions import quoted
from reconciler.model.errors import ConfigError, Diagnostic, Location

MIB: Final = 2**20
PROJECTS_MAX: Final = 20_000
"""Projects of a workspace, unless ``RECONCILER_MAX_PROJECTS`` says otherwise."""
TEXT_MAX_MIB: Final = 64
"""MiB of text of a workspace with everything expanded, unless ``RECONCILER_MAX_TEXT_MIB`` says otherwise."""
VALUE_BYTES: Final = 64
"""Bytes that each value counts at least, a list or a mapping too."""
NODES_MAX: Final = 2_000_000
"""Keys and values in all files."""
DEPENDENCIES_MAX: Final = 1_000_000
"""Pairs of projects of which one waits for the other by ``depends_on``."""
FINDINGS_MAX: Final = 10_000
"""Errors after which reading ends; the same one in several projects counts each time."""
SHOWN_MAX: Final = 1_000
"""Errors that are listed."""
_ENV_MAX: Final = 10**9


class TooMuchError(Exception):
    """A limit is exceeded: nothing more is read. ``detail`` says what to do; the place is where it was noticed."""

    def __init__(
        self, summary: str, detail: str, *, location: Location | None = None, address: str | None = None
    ) -> None:
        super().__init__(summary)
        self.summary = summary
        self.detail = detail
        self.location = location
        self.address = address


class Bounds(Struct, frozen=True):
    """``projects`` is a count, ``text`` in bytes."""

    projects: int = PROJECTS_MAX
    text: int = TEXT_MAX_MIB * MIB


def bounds_of(env: Mapping[str, str]) -> Bounds:
    """The bounds, which only the environment can move: no file of a branch can.

    Raises:
        ConfigError: a variable holds no positive number.

    """
    return Bounds(
        _number(env, "RECONCILER_MAX_PROJECTS", PROJECTS_MAX),
        _number(env, "RECONCILER_MAX_TEXT_MIB", TEXT_MAX_MIB) * MIB,
    )


def _number(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name) or str(default)
    if text.isascii() and text.isdecimal() and len(text) < len(str(_ENV_MAX)) and int(text) > 0:
        return int(text)
    detail = f"give an integer from 1 to {_ENV_MAX - 1:,}"
    raise ConfigError((error(Code.LIMIT, f"{name}: {quoted(text)} is not a limit", detail),))


class Findings(list[Diagnostic]):
    """Findings of a run. Raises TooMuchError when there are too many."""

    def append(self, finding: Diagnostic, /) -> None:
        super().append(finding)
        if len(self) > FINDINGS_MAX:
            raise TooMuchError(f"there are more than {FINDINGS_MAX:,} errors", "the rest was not read; fix these first")


class Room:
    """The text of a workspace, counted while it is expanded. Raises TooMuchError where it is more than ``limit`` bytes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def take(self, text: str) -> None:
        """Count one text."""
        size = len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
        self.used += max(size, VALUE_BYTES)
        if self.used > self.limit:
            raise self.overrun(self.limit, at_least=True)

    def overrun(self, total: float, *, at_least: bool = False) -> TooMuchError:
        """The error that says how much it would be: ``total`` bytes."""
        much = f"more than {total / MIB:,.0f} MiB" if at_least else f"about {total / MIB:,.0f} MiB"
        beyond = "" if at_least else f", and {self.limit / MIB:,.0f} MiB are allowed"
        return TooMuchError(
            f"with every for_each and ${{…}} expanded, the specifications are {much} of text{beyond}",
            "split the workspace or shorten the texts; RECONCILER_MAX_TEXT_MIB in the environment raises the limit",
        )


def too_many_projects(count: int | str, limit: int) -> tuple[str, str]:
    """What is wrong and what to do where the specifications make ``count`` projects."""
    shown = f"{count:,}" if isinstance(count, int) else count
    return (
        f"that makes {shown} projects, and {limit:,} are allowed in a workspace",
        "split the workspace; RECONCILER_MAX_PROJECTS in the environment raises the limit",
    )
