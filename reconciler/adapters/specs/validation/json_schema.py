"""JSON Schemas for editors, built from the models."""

from __future__ import annotations

from typing import Any, Final

from reconciler.adapters.specs.validation import shapes
from reconciler.adapters.specs.validation.json_fragments import VARIABLE_ALONE
from reconciler.adapters.specs.validation.models import model_of
from reconciler.adapters.specs.validation.shape_types import Shape

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_FILLED: Final = {"type": "string", "pattern": r"\$[{$]"}
_AS_WRITTEN: Final = ("VariableShape", "MovedShape", "RemovedShape")
"""Definitions whose strings stand for themselves."""
_WITH_VARIABLES: Final = ("Defaults", "Settings", "Reference", "LifecycleShape")
"""Definitions of the configuration whose strings may hold variables."""
_LIMITS: Final = {"enum", "const", "pattern", "maxLength", "minLength", "anyOf"}


def spec_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of specification files."""
    return _published(shapes.current().spec)


def config_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of ``reconciler.yaml``."""
    return _published(shapes.current().config_file, variables=_WITH_VARIABLES)


def _published(shape: Shape, *, variables: tuple[str, ...] | None = None) -> dict[str, Any]:
    """The model's schema. Within ``variables`` (definitions; all if None) strings may hold ``${…}`` and ``$$``.

    What such a string stands for is known when it is loaded, so a schema can't check it.
    """
    published = model_of(shape).model_json_schema()
    definitions = published.pop("$defs", {})
    for name, definition in definitions.items():
        filled = name not in _AS_WRITTEN if variables is None else name in variables
        definitions[name] = _plain(definition, filled=filled)
    plain = _plain(published, filled=False)
    return {"$schema": DIALECT, **plain, "$defs": definitions}


def _plain(node: Any, *, filled: bool) -> Any:
    """The node without what pydantic adds for the models' sake (titles of fields, defaults)."""
    if isinstance(node, list):
        return [_plain(item, filled=filled) for item in node]
    if not isinstance(node, dict):
        return node
    result: dict[str, Any] = {}
    for key, value in node.items():
        if key == "default" or (key == "title" and "properties" not in node):
            continue
        if key in ("properties", "dependentSchemas"):
            result[key] = {name: _plain(item, filled=filled) for name, item in value.items()}
        elif key in ("examples", "enum", "required", "propertyNames"):
            result[key] = value
        else:
            result[key] = _plain(value, filled=filled)
    if filled and result.get("type") == "boolean":
        result["anyOf"] = [{"type": result.pop("type")}, VARIABLE_ALONE]
    elif filled and node != VARIABLE_ALONE and result.get("type") == "string" and result.keys() & _LIMITS:
        limits = {key: result.pop(key) for key in ("type", *sorted(_LIMITS)) if key in result}
        result["anyOf"] = [limits, _FILLED]
    return result
