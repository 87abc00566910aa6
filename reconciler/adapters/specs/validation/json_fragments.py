"""Pieces of JSON Schema for what the models check by other means."""

from __future__ import annotations

from typing import Any, Final

from reconciler.model.desired import KEY

VARIABLE_PATTERN: Final = r"^[A-Za-z_][A-Za-z0-9_-]*$"
VARIABLE_ALONE: Final = {"type": "string", "pattern": r"^\$\{var\.[A-Za-z_][A-Za-z0-9_-]*\}$"}


def text_shape(limit: int) -> dict[str, Any]:
    """Text that is not blank, at most this long without the final newline of a block scalar."""
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


def default_of_type(schema: dict[str, Any]) -> None:
    """A default is of the declared type; of text without one."""

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
