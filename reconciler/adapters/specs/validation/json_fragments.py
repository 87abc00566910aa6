"""Pieces of JSON Schema for what is checked by other means than types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from reconciler.model.desired import KEY

VARIABLE_PATTERN: Final = r"^[A-Za-z_][A-Za-z0-9_-]*$"
VARIABLE_ALONE: Final = {"type": "string", "pattern": r"^\$\{var\.[A-Za-z_][A-Za-z0-9_-]*\}$"}


def text_shape(limit: int) -> dict[str, Any]:
    """A string that is not blank, at most this long without the final newline of a block scalar."""
    fits = [{"maxLength": limit}, {"maxLength": limit + 1, "pattern": r"\n$"}]
    return {"type": "string", "pattern": r"\S", "anyOf": fits}


_EACH_KEY: Final = {"type": "string", "pattern": f"^{KEY.pattern}$"}
_EACH_LIST: Final = {"anyOf": [{"type": "array", "items": _EACH_KEY, "uniqueItems": True}, VARIABLE_ALONE]}
_SCALAR: Final = {"type": ["string", "number", "boolean"]}
_EACH_NAMES: Final = {"pattern": VARIABLE_PATTERN, "not": {"enum": ["key", "value"]}}
EACH_SHAPE: Final[dict[str, Any]] = {
    "anyOf": [
        *_EACH_LIST["anyOf"],
        {"type": "object", "propertyNames": _EACH_KEY, "additionalProperties": _SCALAR},
        {
            "type": "object",
            "propertyNames": _EACH_KEY,
            "additionalProperties": {
                "type": "object",
                "propertyNames": _EACH_NAMES,
                "additionalProperties": _SCALAR,
            },
        },
        {"type": "object", "propertyNames": _EACH_NAMES, "additionalProperties": _EACH_LIST},
    ]
}


def one_source(schema: dict[str, Any], *, sources: Sequence[str], typed: Sequence[str]) -> None:
    """A reference has exactly one source; only some of them go with a type."""
    schema["oneOf"] = [{"required": [source]} for source in sources]
    schema["dependentSchemas"] = {"type": {"not": {"anyOf": [{"required": [s]} for s in sources if s not in typed]}}}
    schema["examples"] = [
        {"url": "https://example.com/logo.png", "type": "image"},
        {"upload_id": "upl_abc123"},
        {"project": "teaser"},
        {"file": "assets/logo.png"},
    ]


def few_urls(schema: dict[str, Any], *, sources: Sequence[str], limit: int) -> None:
    """Only so many references are given by one of these sources."""
    schema["contains"] = {"anyOf": [{"required": [source]} for source in sources]}
    schema["minContains"] = 0
    schema["maxContains"] = limit


def exclusive_origins(
    schema: dict[str, Any], *, origins: Sequence[str], creation_only: Sequence[str], uncreated: Sequence[str]
) -> None:
    """A project has one origin, and fields of a creation only if it is created. A default may give the origin."""
    there = [origin for origin in origins if origin in schema["properties"]]
    schema["dependentSchemas"] = {
        origin: {
            "not": {
                "anyOf": [
                    {"required": [other]}
                    for other in (*there, *(creation_only if origin in uncreated else ()))
                    if other != origin
                ]
            }
        }
        for origin in there
    }


def with_examples(schema: dict[str, Any], *, examples: list[Any]) -> None:
    """Show these examples."""
    schema["examples"] = examples


def short_form(schema: dict[str, Any], *, limit: int) -> None:
    """A message may be its text."""
    schema["items"] = {"anyOf": [text_shape(limit), schema["items"]]}


def default_of_type(schema: dict[str, Any]) -> None:
    """A default has the declared type; without one it is a string."""

    def rule(kind: str, shape: dict[str, Any], *given: str) -> dict[str, Any]:
        return {
            "if": {"properties": {"type": {"const": kind}}, "required": list(given)},
            "then": {"properties": {"default": shape}},
        }

    schema["allOf"] = [
        rule("string", {"type": "string"}),
        rule("number", {"type": "number"}, "type"),
        rule("bool", {"type": "boolean"}, "type"),
        rule("list", {"type": "array", "items": {"type": "string"}}, "type"),
    ]
