"""JSON values, and secrets among them.

A *desired* value may hold :class:`Secret` strings (those made with ``${env.…}``). Each place sees its own form:

========================  =============================================================
:func:`reveal`            plain, for the wire only
:func:`masked`            the template, for people (plans, logs, reports)
:func:`sealed`            ``{"$secret": digest}``, for the state and for comparing
:func:`portable`          template and digest, for a saved plan; :func:`from_portable` reads it
========================  =============================================================
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

Json = Any
"""A JSON value: dicts, lists, strings, numbers, booleans and null."""
Value = Any
"""A JSON value whose strings may be :class:`Secret`."""

_PLAIN = frozenset((str, int, float, bool, type(None)))
_SECRET = "$secret"  # noqa: S105  a key's name
_ENV = re.compile(r"\$\$|\$\{env\.([A-Za-z_][A-Za-z0-9_]*)\}")


class Secret(Struct, frozen=True):
    """A string made with ``${env.…}``. Equal to another by digest alone; its plain value never gets into a repr."""

    template: str
    digest: str
    value: str | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.digest == self.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Secret({self.template!r}, {self.digest!r})"


def secret_digest(key: str, value: str) -> str:
    """A keyed digest (HMAC-SHA256 under the state's lineage): tells a change, not the value."""
    return hmac.new(key.encode(), value.encode(), hashlib.sha256).hexdigest()[:32]


def expand_env(template: str, env: Mapping[str, str]) -> str:
    """Fill ``${env.X}`` of a template whose other variables are filled already.

    Raises:
        KeyError: the environment has no such name.

    """
    return _ENV.sub(lambda m: "$" if m[1] is None else env[m[1]], template)


def _map(value: Value, leaf: Callable[[Secret], Json]) -> Json:
    if type(value) in _PLAIN:  # nearly all of them: asking for the abstract Mapping takes longer than all else here
        return value
    if isinstance(value, Secret):
        return leaf(value)
    if isinstance(value, Mapping):
        return {key: _map(item, leaf) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_map(item, leaf) for item in value]
    return value


def seal_with(value: Value, key: str) -> Value:
    """The same value, its secrets digested under ``key`` (the loader does not know the lineage)."""
    return _map(value, lambda s: Secret(s.template, secret_digest(key, s.value or ""), s.value))


def sealed(value: Value) -> Json:
    return _map(value, lambda s: {_SECRET: s.digest})


def masked(value: Value) -> Json:
    return _map(value, lambda s: s.template)


def portable(value: Value) -> Json:
    return _map(value, lambda s: {_SECRET: s.digest, "template": s.template})


def from_portable(value: Json) -> Value:
    if isinstance(value, dict):
        if set(value) == {_SECRET, "template"} and all(isinstance(part, str) for part in value.values()):
            return Secret(value["template"], value[_SECRET])
        return {key: from_portable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [from_portable(item) for item in value]
    return value


def reveal(value: Value, env: Mapping[str, str], key: str) -> Json:
    """The plain value for the wire.

    Raises:
        KeyError: the environment lacks a name that a saved plan's secret needs.
        ValueError: the environment's value is another than the one that was planned with.

    """

    def leaf(secret: Secret) -> str:
        if secret.value is not None:
            return secret.value
        value = expand_env(secret.template, env)
        if secret_digest(key, value) != secret.digest:
            raise ValueError(secret.template)
        return value

    return _map(value, leaf)


def has_secret(value: Value) -> bool:
    found = False

    def leaf(_: Secret) -> None:
        nonlocal found
        found = True

    _map(value, leaf)
    return found


def is_sealed(value: Json) -> bool:
    """Whether a stored value stands for a secret."""
    return isinstance(value, dict) and set(value) == {_SECRET}


def has_sealed(value: Value) -> bool:
    """Whether anything in a value looks like a stored secret (and would be shown as one)."""
    if isinstance(value, Mapping):
        return _SECRET in value or any(map(has_sealed, value.values()))
    return isinstance(value, list | tuple) and any(map(has_sealed, value))


def shown(value: Json) -> Json:
    """A stored value for people: a sealed one reads ``(secret)``."""
    if is_sealed(value):
        return "(secret)"
    if isinstance(value, dict):
        return {key: shown(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shown(item) for item in value]
    return value


def canonical(value: Json) -> str:
    """One text for one value, to digest."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def digest(value: Json) -> str:
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:32]
