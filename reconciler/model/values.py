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
from functools import lru_cache
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model.likeness import reader_form

Json = Any
"""A JSON value: dicts, lists, strings, numbers, booleans and null."""
Value = Any
"""A JSON value whose strings may be :class:`Secret`."""

_PLAIN = frozenset((str, int, float, bool, type(None)))
_SECRET = "$secret"  # noqa: S105  a key's name
_ENV = re.compile(r"\$\$|\$\{env\.([A-Za-z_][A-Za-z0-9_]*)\}")


SCRYPT: Final = {"n": 2**14, "r": 8, "p": 1}
"""What one guess at an environment variable's value costs whoever reads the state or a plan: 16 MiB and some 50 ms."""
_STRONG: Final = "s1:"
"""What a digest begins with that was made at that cost."""


class Secret(Struct, frozen=True):
    """A string made with ``${env.…}``. Equal to another by digest alone; its plain value never gets into a repr.

    ``parts`` are the plain values of its variables, known where ``value`` is. ``reads`` is the digest of what a reader
    sees of it, where that is not all.
    """

    template: str
    digest: str
    value: str | None = None
    parts: tuple[str, ...] = ()
    reads: str | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.digest == self.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Secret({self.template!r}, {self.digest!r})"


def secret_digest(lineage: str, value: str, parts: tuple[str, ...] = ()) -> str:
    """Tells a change of a string that is made of ``parts`` (else of itself), and of its value nothing to speak of.

    The lineage, which salts it, stands in the same file, so that only the cost of :data:`SCRYPT` keeps a short value from
    being found by trying. It is paid once for each part in a process, however many strings are made of it.
    """
    key = b"".join(_derived(lineage, part) for part in dict.fromkeys(parts or (value,)))
    return _STRONG + hmac.new(key, _bytes(value), hashlib.sha256).hexdigest()[:32]


def quick_digest(lineage: str, value: str) -> str:
    """A digest for what is no secret; those of secrets, too, were once made so, and are still known again."""
    return hmac.new(lineage.encode(), _bytes(value), hashlib.sha256).hexdigest()[:32]


@lru_cache(maxsize=1024)
def _derived(lineage: str, part: str) -> bytes:
    salt = f"reconciler secret {lineage}".encode()
    return hashlib.scrypt(_bytes(part), salt=salt, maxmem=64 << 20, dklen=32, **SCRYPT)


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def expand_env(template: str, env: Mapping[str, str]) -> str:
    """Fill ``${env.X}`` of a template whose other variables are filled already.

    Raises:
        KeyError: the environment has no such name.

    """
    return _ENV.sub(lambda m: "$" if m[1] is None else env[m[1]], template)


def env_parts(template: str, env: Mapping[str, str]) -> tuple[str, ...] | None:
    """The values of a template's variables; ``None`` where the environment lacks one."""
    names = [m[1] for m in _ENV.finditer(template) if m[1] is not None]
    return tuple(env[name] for name in names) if all(name in env for name in names) else None


def _map(value: Value, leaf: Callable[[Secret], Value]) -> Value:
    if type(value) in _PLAIN:  # nearly all of them: asking for the abstract Mapping takes longer than all else here
        return value
    if isinstance(value, Secret):
        return leaf(value)
    if isinstance(value, Mapping):
        return {key: _map(item, leaf) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_map(item, leaf) for item in value]
    return value


def seal_with(value: Value, lineage: str) -> Value:
    """The same value, its secrets digested under the lineage (which the loader does not know)."""
    return _map(value, lambda s: _sealed_secret(s.template, s.value or "", s.parts, lineage))


def _sealed_secret(template: str, value: str, parts: tuple[str, ...], lineage: str) -> Secret:
    form = reader_form(value)
    reads = secret_digest(lineage, form, parts or (value,)) if form != value else None
    return Secret(template, secret_digest(lineage, value, parts), value, parts, reads)


def seal_as_before(value: Value, lineage: str) -> Value:
    """The same with the digests that secrets had in states of earlier versions."""
    return _map(value, lambda s: replace(s, digest=quick_digest(lineage, s.value or "")))


def secrets_in(value: Value) -> list[Secret]:
    found: list[Secret] = []
    _map(value, found.append)
    return found


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


def filled(value: Value, env: Mapping[str, str], lineage: str) -> Value:
    """The same value, its secrets with their plain values, where a saved plan or a journal kept only their digests.

    Raises:
        KeyError: the environment lacks a name that such a secret needs.
        ValueError: the environment's value is another than the one that was planned with.

    """

    def leaf(secret: Secret) -> Secret:
        if secret.value is not None:
            return secret
        value = expand_env(secret.template, env)
        parts = env_parts(secret.template, env) or ()
        made = _sealed_secret(secret.template, value, parts, lineage)
        if secret.digest not in (made.digest, quick_digest(lineage, value)):
            raise ValueError(secret.template)
        return made

    return _map(value, leaf)


def reveal(value: Value, env: Mapping[str, str], lineage: str) -> Json:
    """The plain value for the wire. Raises as :func:`filled`."""
    return _map(filled(value, env, lineage), lambda s: s.value)


def has_secret(value: Value) -> bool:
    return bool(secrets_in(value))


def is_sealed(value: Json) -> bool:
    """Whether a stored value stands for a secret."""
    return isinstance(value, dict) and set(value) == {_SECRET}


def seals(stored: Json, text: str, env: Mapping[str, str], lineage: str) -> bool:
    """Whether a stored secret is this text, or reads like it, made of the environment's values that stand in it."""
    found = sorted((text.index(part), part) for part in set(env.values()) if part and part in text)
    parts = tuple(part for _, part in found)
    return any(secret_digest(lineage, form, parts) == stored[_SECRET] for form in (text, reader_form(text)) if parts)


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
