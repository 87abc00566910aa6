"""Stable codes of errors in specifications, and the diagnostics made of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from msgspec.structs import replace

from reconciler.model.errors import Diagnostic, Location


class Code(StrEnum):
    """One code for one kind of error; tools may rely on them, so a code never changes its meaning."""

    UNREADABLE = "E101"
    """A file or folder can't be read, or isn't what it must be."""
    ENCODING = "E102"
    """A file is not UTF-8."""
    SYNTAX = "E103"
    """A file is not YAML."""
    DUPLICATE_KEY = "E104"
    """A mapping has a key twice."""
    YAML_FEATURE = "E105"
    """A tag, a directive, a key or an alias that specifications don't have."""
    TOO_LARGE = "E106"
    """A file, a nesting or an expansion beyond the bounds."""
    OUTSIDE = "E107"
    """A path that leaves the workspace, or a hidden file in it."""
    NO_SPECS = "E108"
    """The workspace has no folder of specifications."""

    TYPE = "E110"
    """A value of another type."""
    UNKNOWN_KEY = "E111"
    """A key that does not exist there."""
    CHOICE = "E112"
    """A value that is not among the allowed ones."""
    LIMIT = "E113"
    """Too long, too many, too small or too large."""
    MISSING = "E114"
    """A field that must be there."""
    CONFLICT = "E115"
    """Fields that exclude one another."""
    NULL = "E116"
    """``null`` where there is nothing to clear."""
    URL = "E117"
    """Not a URL of the kind that is asked for."""
    BLANK = "E118"
    """Text without a visible character."""
    IDENTIFIER = "E119"
    """An id or a name with characters that it can't have."""

    ADDRESS = "E120"
    """Not an address."""
    DUPLICATE_ADDRESS = "E121"
    """Two projects with one address."""
    DUPLICATE_MESSAGE = "E122"
    """Two messages of one project with one id."""
    DUPLICATE_TARGET = "E123"
    """Two projects that adopt or import the same project."""
    MOVED = "E124"
    """A ``moved`` entry that is not possible."""
    REMOVED = "E125"
    """A ``removed`` entry that is not possible."""

    VARIABLE = "E130"
    """A variable without a value."""
    ENV_NOT_ALLOWED = "E131"
    """An environment variable that the policy does not allow."""
    ENV_MISSING = "E132"
    """An environment variable that is not set."""
    VARIABLE_SYNTAX = "E133"
    """``${…}`` that is not closed or has no known form."""
    SECRET_PLACE = "E134"  # noqa: S105  a code
    """``${env.…}`` in a field that is stored in plain text."""
    VARIABLE_VALUE = "E135"
    """A variable's value of another type than declared, or one that makes a text too long."""
    DUPLICATE_VARIABLE = "E136"
    """A variable that is declared twice."""

    DESTINATION = "E137"
    """A server that only the configuration file names: the key is not sent there."""
    ENVIRONMENT = "E138"
    """An environment that the configuration does not have, or none chosen where it has some."""
    API_VERSION = "E139"
    """A field or a value of another version of the API than the one in force."""

    BRIEF_FILE = "E140"
    """A ``brief_file`` that can't be used."""

    FILE = "E141"
    """A file that can't be uploaded as a reference."""

    FOR_EACH = "E150"
    """A ``for_each`` that is not a list, map or matrix of keys that an address may have."""
    DEPENDENCY = "E151"
    """A project that another one refers to or waits for, but that is not declared or can't be what is asked of it."""
    CYCLE = "E152"
    """Projects that wait for one another."""
    POLICY_RULE = "E304"
    """A rule of a policy that can't be read."""
    POLICY_FOLDER = "E305"
    """A policy folder without rules, or with a file that has no meaning there."""
    FORMAT = "E160"
    """A file that can't be formatted without changing what it means."""


_BREAK: Final = "\r(?!\n)|[\x85\u2028\u2029]"
_LOGIN: Final = r"://\S*@"
_LINE_MAX: Final = 20_000


def error(
    code: Code, summary: str, detail: str = "", *, location: Location | None = None, address: str | None = None
) -> Diagnostic:
    """An error as a diagnostic."""
    return Diagnostic(
        severity="error", summary=summary, detail=detail, address=address, location=location, code=code.value
    )


def in_order(found: list[Diagnostic]) -> tuple[Diagnostic, ...]:
    """The findings by file and place, each once (defaults are checked again with every project they reach)."""
    once: dict[object, Diagnostic] = {}
    for finding in found:
        once.setdefault((finding.location, finding.code, finding.summary), finding)

    def place(finding: Diagnostic) -> tuple[str, int, int, str]:
        at = finding.location
        return ("", 0, 0, "") if at is None else (at.file, at.line or 0, at.column or 0, finding.code or "")

    return tuple(sorted(once.values(), key=place))


def with_sources(found: tuple[Diagnostic, ...], texts: Mapping[str, str]) -> tuple[Diagnostic, ...]:
    """The findings with the lines they are about. ``texts`` are the files by name; none may hold a plain secret.

    A line that has a URL with a user in it is left out: there could be a password. So are all lines of a file with
    line breaks that not every reader counts.
    """
    lines = {name: () if re.search(_BREAK, text) else text.split("\n") for name, text in texts.items()}

    def sourced(finding: Diagnostic) -> Diagnostic:
        at = finding.location
        known = lines.get(at.file, ()) if at else ()
        if at is None or at.line is None or at.column is None or at.line > len(known):
            return finding
        line = known[at.line - 1].rstrip("\r")
        return finding if len(line) > _LINE_MAX or re.search(_LOGIN, line) else replace(finding, source=line)

    return tuple(map(sourced, found))
