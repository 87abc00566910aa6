"""Guides to the fields of spec files and ``reconciler.yaml``, for people: derived from the JSON Schemas."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace

from reconciler.adapters.specs.validation.json_schema import config_schema, spec_schema
from reconciler.model import contract
from reconciler.model.config import KEY_ENV, Limits, Policy
from reconciler.model.desired import Lifecycle

SPECS: Final = "spec files"
CONFIG: Final = "reconciler.yaml"

_VARIABLE: Final = re.compile(r"^(\^)?\\\$(\[\{\$\]|\\\{var)")
"""The patterns of strings that hold variables: allowed nearly everywhere, so not said of each field."""
_NAMES: Final = {"boolean": "bool", "number": "number", "integer": "integer", "string": "string", "object": "mapping"}
_PATCHED: Final = "at any time; apply updates the project in place"
_FIXED: Final = "fixed at creation; lifecycle.on_immutable_change says what a change does"
_ENDLESS: Final = 1_000_000_000
"""A limit that nobody reaches, and that is not said."""
_NO_DEFAULT: Final = object()


class FieldGuide(Struct, frozen=True, kw_only=True):
    """All that can be said of one field. Paths leave out the keys of maps and the positions of lists."""

    path: str
    files: tuple[str, ...]
    """The kinds of files that have it."""
    type: str
    values: tuple[str, ...] = ()
    """The allowed ones, if they can be counted."""
    limits: tuple[str, ...] = ()
    required: bool = False
    nullable: bool = False
    default: str | None = None
    changes: str | None = None
    """Whether it can be changed later."""
    help: str = ""
    examples: tuple[str, ...] = ()
    """Each as a line of YAML."""
    fields: tuple[str, ...] = ()
    """The names of the fields in it."""

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]


def _defaults() -> dict[str, Any]:
    """The values that fields have if they are not declared, by path."""
    api = {field.name: field.default for field in contract.current().fields if field.default not in (UNSET, None)}
    return {
        **{f"projects.{place}{name}": value for name, value in api.items() for place in ("", "settings.", "messages.")},
        **{f"projects.lifecycle.{name}": value for name, value in msgspec.to_builtins(Lifecycle()).items()},
        "projects.state": "present",
        "variables.type": "string",
        "api.url": contract.DEFAULT_URL,
        "api.version": contract.DEFAULT_VERSION,
        "api.key_env": KEY_ENV,
        "specs": "specs",
        "state": "reconciler.state.json",
        "sandbox.speed": 1,
        **{f"limits.{name}": value for name, value in msgspec.to_builtins(Limits()).items()},
        **{f"policy.{name}": value for name, value in msgspec.to_builtins(Policy()).items()},
    }


def field_guides() -> dict[str, FieldGuide]:
    """Every field of both kinds of files by its path, in the files' order."""
    found: dict[str, FieldGuide] = {}
    for file, schema in ((SPECS, spec_schema()), (CONFIG, config_schema())):
        for guide in _walk(schema, schema["$defs"], file, ()):
            known = found.get(guide.path)
            found[guide.path] = replace(guide, files=(*known.files, file)) if known else guide
    return found


def canonical(path: str, known: Mapping[str, FieldGuide]) -> str:
    """A path as guides have it: without positions, and without addresses and names that stand for any key of a map."""
    parts = [part for part in re.sub(r"\[[^]]*\]", "", path.strip()).strip(".").split(".") if not part.isdigit()]
    taken: list[str] = []
    for index, part in enumerate(parts):
        here = known.get(".".join(taken))
        inner = here.fields if here else ()
        following = parts[index + 1] if index + 1 < len(parts) else ""
        stands_for_a_key = here is not None and "map of" in here.type and part not in inner and following in inner
        if not stands_for_a_key:
            taken.append(part)
    return ".".join(taken)


def _walk(
    node: Mapping[str, Any], definitions: Mapping[str, Any], file: str, at: tuple[str, ...]
) -> Iterator[FieldGuide]:
    for name, field in node.get("properties", {}).items():
        guide, inner = _guide(field, definitions, file, (*at, name))
        yield replace(guide, required=name in node.get("required", ()), fields=tuple(inner.get("properties", ())))
        yield from _walk(inner, definitions, file, (*at, name))


def _guide(
    field: Mapping[str, Any], definitions: Mapping[str, Any], file: str, at: tuple[str, ...]
) -> tuple[FieldGuide, Mapping[str, Any]]:
    """The field's guide, and the schema of what is in it (of one item; an empty one for a plain value)."""
    path = ".".join(at)
    leaves = list(_leaves(field, definitions))
    kinds = [leaf for leaf in leaves if leaf.get("type") != "null"]
    inner = next((held for kind in kinds if "properties" in (held := _held(kind, definitions))), {})
    default = _defaults().get(path, _NO_DEFAULT)
    guide = FieldGuide(
        path=path,
        files=(file,),
        type=" or ".join(dict.fromkeys(_type(kind, definitions) for kind in kinds)) or "any",
        values=tuple(dict.fromkeys(value for kind in kinds for value in _values(kind, definitions))),
        limits=tuple(dict.fromkeys(limit for leaf in (field, *kinds) for limit in _limits(leaf))),
        nullable=len(kinds) < len(leaves),
        default=None if default is _NO_DEFAULT or default in ([], ()) else _yaml(default),
        changes=_changes(at, file),
        help=_resolved(field, definitions).get("description", ""),
        examples=tuple(f"{at[-1]}: {_yaml(example)}" for example in _examples(field, inner, kinds)),
    )
    return guide, inner


def _leaves(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The kinds of values that a field takes, without those that only hold variables."""
    node = _resolved(node, definitions)
    if "anyOf" in node and (
        "type" not in node or any("type" in choice or "$ref" in choice for choice in node["anyOf"])
    ):
        for choice in node["anyOf"]:
            yield from _leaves(choice, definitions)
    elif not _VARIABLE.match(node.get("pattern", "")):
        yield node


def _resolved(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = node.get("$ref")
    return node if reference is None else {**definitions[reference.rpartition("/")[2]], **node}


def _held(kind: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a list or a map holds, in the end; else the kind itself."""
    inner = kind.get("items") or kind.get("additionalProperties")
    if not isinstance(inner, dict):
        return kind
    held = [_held(leaf, definitions) for leaf in _leaves(inner, definitions)]
    return next((leaf for leaf in held if "properties" in leaf), held[0] if held else {})


def _type(kind: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    name: str | list[str] = kind.get("type", "")
    if isinstance(name, list):
        return " or ".join(_NAMES.get(one, one) for one in name)
    for key, word in (("items", "list of"), ("additionalProperties", "map of")):
        if isinstance(kind.get(key), dict):
            inner = dict.fromkeys(_type(leaf, definitions) for leaf in _leaves(kind[key], definitions))
            return f"{word} {' or '.join(inner) or 'any'}"
    return _NAMES.get(name, name or "any")


def _values(kind: Mapping[str, Any], definitions: Mapping[str, Any]) -> Sequence[str]:
    if "enum" in kind or "const" in kind:
        return [_yaml(value) for value in kind.get("enum", [kind.get("const")])]
    inner = kind.get("items")
    return (
        [v for leaf in _leaves(inner, definitions) for v in _values(leaf, definitions)]
        if isinstance(inner, dict)
        else []
    )


def _limits(node: Mapping[str, Any]) -> Iterator[str]:
    longest = min((part["maxLength"] for part in (node, *node.get("anyOf", ())) if "maxLength" in part), default=None)
    if longest is not None:
        yield f"at most {longest:,} characters"
    for key, words in (
        ("maxItems", "at most {:,} items"),
        ("minimum", "at least {:,}"),
        ("exclusiveMinimum", "more than {:,}"),
        ("maximum", "at most {:,}"),
    ):
        if node.get(key, _ENDLESS) != _ENDLESS:
            yield words.format(node[key])


def _changes(at: tuple[str, ...], file: str) -> str | None:
    match at:
        case ("workspace",) if file == CONFIG:
            return "never: it is part of every idempotency key"
        case ("projects" | "defaults", "settings", *_):
            return _PATCHED
        case ("projects" | "defaults", "lifecycle", *_):
            return "at any time; makes no call"
        case ("projects", "messages", *_):
            return "append only: a message that was sent can't be edited"
        case ("projects" | "defaults", "brief_file"):
            return _FIXED
        case ("projects" | "defaults", name, *_) if name in contract.current().creation_fields:
            return _FIXED
    return None


def _examples(field: Mapping[str, Any], inner: Mapping[str, Any], kinds: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
    if "examples" in field:
        examples: Sequence[Any] = field["examples"]
        return examples
    held: Sequence[Any] = inner.get("examples", ())
    return [[example] for example in held] if any("items" in kind for kind in kinds) else held


def _yaml(value: Any) -> str:
    """A value on one line of YAML."""
    if isinstance(value, str):
        return value if re.fullmatch(r"[A-Za-z][\w./ -]*(?<! )|https?://\S+", value) else json.dumps(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_yaml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else json.dumps(value)
