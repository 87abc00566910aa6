"""JSON values, and secrets among them: one type for each form that a secret takes.

The specs declare a :data:`Value`, which may hold :class:`Secret` strings (those with ``${env.…}`` in them). Everything
else sees one of its forms:

=========================  ==================  ====================================================================
made by                    type                for
=========================  ==================  ====================================================================
:func:`reveal`             :class:`WireBody`   the API, and nothing else
:attr:`Secret.value`       :class:`Revealed`   comparing with what the account shows
:func:`masked`             :data:`Json`        people (plans, reports, logs): the template
:func:`sealed`             :data:`Sealed`      the state: ``{"$secret": digest}``
:func:`portable`           :data:`Portable`    saved plans and the journal: template and digest
=========================  ==================  ====================================================================

:class:`Secret`, :class:`Revealed` and :class:`WireBody` are not :data:`Json`, so the type checker refuses them in a state,
a plan, a report or a diagnostic, and they can't be encoded. ``expose()`` is the only way to the plain text.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NewType, TypeAlias, TypeGuard, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model.likeness import reader_form

if TYPE_CHECKING:
    Json: TypeAlias = bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"] | None
    """A JSON value."""
    Value: TypeAlias = bool | int | float | str | "Secret" | Sequence["Value"] | Mapping[str, "Value"] | None
    """A JSON value whose strings may be :class:`Secret`."""
else:  # msgspec resolves annotations at run time and has no recursive types
    Json = Value = Any

Sealed = NewType("Sealed", Mapping[str, Json])
"""Fields for the state: each secret is its digest. Made by :func:`sealed`."""
Portable = NewType("Portable", Mapping[str, Json])
"""A body for the journal: each secret is its template and its digest. Made by :func:`portable`."""

Masked = NewType("Masked", str)
"""A text for people and the state: a secret is its template. Made by :func:`masked_text`."""

V = TypeVar("V", Json, Value)
_PLAIN = frozenset((str, int, float, bool, type(None)))
_SECRET = "$secret"  # noqa: S105  a key's name
_CANONICAL: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))
_ENV: Final = r"\$\$|\$\{env\.([A-Za-z_][A-Za-z0-9_]*)\}"


SCRYPT: Final = {"n": 2**14, "r": 8, "p": 1}
"""The cost of one guess at an environment variable's value for a reader of the state or a plan: 16 MiB and some 50 ms."""
_STRONG: Final = "s1:"
"""The beginning of a digest that was made at this cost."""


class Revealed:
    """The plain text of a secret. No ``repr``, format or encoder shows it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def expose(self) -> str:
        """The text itself, to compare it with what the account shows."""
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Revealed) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "Revealed(…)"


class WireBody:
    """A request's body as the API gets it, its secrets in plain text. No ``repr``, format or encoder shows it."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, Json]) -> None:
        self._fields = fields

    def expose(self) -> Mapping[str, Json]:
        """The fields themselves, to send them or to compare an answer with them."""
        return self._fields

    def __repr__(self) -> str:
        return "WireBody(…)"


class Secret(Struct, frozen=True):
    """A string made with ``${env.…}``. Two are equal if their digests are.

    ``value`` is its plain text and ``parts`` are those of its variables, where they are known. ``reads`` is the digest of
    what a reader sees of it, where that is not all.
    """

    template: str
    digest: str
    value: Revealed | None = None
    parts: tuple[Revealed, ...] = ()
    reads: str | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.digest == self.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Secret({self.template!r}, {self.digest!r})"


def secret_digest(lineage: str, value: Revealed, parts: tuple[Revealed, ...] = ()) -> str:
    """A digest that changes with a string made of ``parts`` (else of itself), and is too costly to find its value with.

    Its salt, the lineage, is in the same file, so only the cost of :data:`SCRYPT` keeps a short value from being found by
    trying. A process pays it once for each part, however many strings are made of it.
    """
    key = b"".join(_derived(lineage, part.expose()) for part in dict.fromkeys(parts or (value,)))
    return _STRONG + hmac.digest(key, _bytes(value.expose()), "sha256").hex()[:32]


def quick_digest(lineage: str, value: str) -> str:
    """A digest for what is not a secret. Earlier versions made those of secrets so, too, and they are still recognized."""
    return hmac.digest(lineage.encode(), _bytes(value), "sha256").hex()[:32]


@lru_cache(maxsize=1024)
def _derived(lineage: str, part: str) -> bytes:
    salt = f"reconciler secret {lineage}".encode()
    return hashlib.scrypt(_bytes(part), salt=salt, maxmem=64 << 20, dklen=32, **SCRYPT)


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def expand_env(template: str, env: Mapping[str, str]) -> Revealed:
    """Fill ``${env.X}`` of a template whose other variables are filled already.

    Raises:
        KeyError: the environment has no such name.

    """
    return Revealed(re.sub(_ENV, lambda m: "$" if m[1] is None else env[m[1]], template))


def env_parts(template: str, env: Mapping[str, str]) -> tuple[Revealed, ...] | None:
    """The values of a template's variables; ``None`` where the environment lacks one."""
    names = [m[1] for m in re.finditer(_ENV, template) if m[1] is not None]
    return tuple(Revealed(env[name]) for name in names) if all(name in env for name in names) else None


def _map(value: Value, leaf: Callable[[Secret], V]) -> V:
    if type(value) in _PLAIN:  # nearly all of them: asking for the abstract Mapping takes longer than all else here
        return value  # type: ignore[return-value]
    if isinstance(value, Secret):
        return leaf(value)
    if isinstance(value, Mapping):
        return _map_fields(value, leaf)
    if isinstance(value, list | tuple):
        return [_map(item, leaf) for item in value]
    return value  # type: ignore[return-value]  # no secret is left in it


def _map_fields(fields: Mapping[str, Value], leaf: Callable[[Secret], V]) -> dict[str, V]:
    return {name: _map(value, leaf) for name, value in fields.items()}


def seal_with(value: Value, lineage: str) -> Value:
    """The same value, its secrets digested under the lineage (which the loader does not know)."""
    return _map(value, lambda secret: _seal(secret, lineage))


def seal_fields(fields: Mapping[str, Value], lineage: str) -> dict[str, Value]:
    """The same fields, their secrets digested under the lineage."""
    return _map_fields(fields, lambda secret: _seal(secret, lineage))


def _seal(secret: Secret, lineage: str) -> Secret:
    return _sealed_secret(secret.template, secret.value or Revealed(""), secret.parts, lineage)


def _sealed_secret(template: str, value: Revealed, parts: tuple[Revealed, ...], lineage: str) -> Secret:
    form = Revealed(reader_form(value.expose()))
    reads = secret_digest(lineage, form, parts or (value,)) if form != value else None
    return Secret(template, secret_digest(lineage, value, parts), value, parts, reads)


def seal_as_before(fields: Mapping[str, Value], lineage: str) -> dict[str, Value]:
    """The same fields, their secrets with the digests that they had in states of earlier versions."""
    return _map_fields(fields, lambda s: replace(s, digest=quick_digest(lineage, s.value.expose() if s.value else "")))


def secrets_in(value: Value) -> list[Secret]:
    found: list[Secret] = []

    def keep(secret: Secret) -> Value:
        found.append(secret)
        return None

    _map(value, keep)
    return found


def sealed(value: Value) -> Json:
    """A value for the state, or to compare with what the state has."""
    return _map(value, _digest_alone)


def sealed_fields(fields: Mapping[str, Value]) -> Sealed:
    """Fields for the state, or to compare with what the state has."""
    return Sealed(_map_fields(fields, _digest_alone))


def _digest_alone(secret: Secret) -> Json:
    return {_SECRET: secret.digest}


def masked(value: Value) -> Json:
    """A value for people."""
    return _map(value, _template)


def masked_fields(fields: Mapping[str, Value]) -> dict[str, Json]:
    """Fields for people."""
    return _map_fields(fields, _template)


def masked_text(value: Value) -> Masked:
    """A text for people and the state."""
    return Masked(str(masked(value)))


def _template(secret: Secret) -> Json:
    return secret.template


def portable(body: Mapping[str, Value]) -> Portable:
    """A body for the journal and saved plans. :func:`from_portable` reads it, without the plain text."""
    return Portable(_map_fields(body, lambda s: {_SECRET: s.digest, "template": s.template}))


def from_portable(body: Portable) -> dict[str, Value]:
    return {key: _from_portable(item) for key, item in body.items()}


def _from_portable(value: Json) -> Value:
    if isinstance(value, Mapping):
        template, digest = value.get("template"), value.get(_SECRET)
        if len(value) == 2 and isinstance(template, str) and isinstance(digest, str):
            return Secret(template, digest)
        return {key: _from_portable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_from_portable(item) for item in value]
    return value


def filled(body: Mapping[str, Value], env: Mapping[str, str], lineage: str) -> dict[str, Value]:
    """The same body, its secrets with their plain text, where a saved plan or a journal kept only their digests.

    Raises:
        KeyError: the environment lacks a name that such a secret needs.
        ValueError: the environment's value is not the one that was planned with.

    """

    def leaf(secret: Secret) -> Secret:
        if secret.value is not None:
            return secret
        value = expand_env(secret.template, env)
        parts = env_parts(secret.template, env) or ()
        made = _sealed_secret(secret.template, value, parts, lineage)
        if secret.digest not in (made.digest, quick_digest(lineage, value.expose())):
            raise ValueError(secret.template)
        return made

    return _map_fields(body, leaf)


def reveal(body: Mapping[str, Value], env: Mapping[str, str], lineage: str) -> WireBody:
    """The body for the API. Raises as :func:`filled`."""
    return WireBody(_map_fields(filled(body, env, lineage), exposed))


def exposed(value: Value) -> Json:
    """The plain text of a secret, ``None`` where it is not known; any other value as it is. For comparing only."""
    return _map(value, lambda s: s.value.expose() if s.value else None)


def has_secret(value: Value) -> bool:
    return bool(secrets_in(value))


def is_sealed(value: object) -> TypeGuard[Mapping[str, str]]:
    """Whether a stored value is a secret's digest, which :func:`sealed_digest` reads."""
    return isinstance(value, dict) and set(value) == {_SECRET}


def sealed_digest(value: Mapping[str, str]) -> str:
    """The digest in a stored secret."""
    return value[_SECRET]


def seals(stored: Mapping[str, str], text: str, env: Mapping[str, str], lineage: str) -> bool:
    """Whether a stored secret is this text or reads like it. Its parts are the environment's values that the text contains."""
    found = sorted((text.index(part), part) for part in set(env.values()) if part and part in text)
    parts = tuple(Revealed(part) for _, part in found)
    forms = (Revealed(form) for form in (text, reader_form(text)) if parts)
    return any(secret_digest(lineage, form, parts) == sealed_digest(stored) for form in forms)


def has_sealed(value: Value) -> bool:
    """Whether anything in a value looks like a stored secret, and would be shown as one."""
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
    """The canonical JSON text of a value, for a digest."""
    return _CANONICAL.encode(value)


def digest(value: Json) -> str:
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:32]
