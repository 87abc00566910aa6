"""What a model finds wrong in a tree, in words: a code, a path, what is there, and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from reconciler.adapters.specs.validation import first_look, models
from reconciler.adapters.specs.validation.codes import Code
from reconciler.adapters.specs.validation.problems import Problem, dotted
from reconciler.adapters.specs.validation.suggestions import did_you_mean, printable, quoted, sentences
from reconciler.adapters.specs.yaml.parsing import Path
from reconciler.model.values import Secret

_TYPES: Final = {
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "int_type": "a whole number",
    "float_type": "a number",
}
_SIZES: Final = frozenset(
    {"greater_than", "greater_than_equal", "less_than", "less_than_equal", "finite_number", "int_parsing_size"}
)
_ALLOWED: Final = re.compile(r"'([^']*)'")
_MODELS: Final[dict[str, type[BaseModel]]] = {
    "defaults": models.Defaults,
    "settings": models.Settings,
    "lifecycle": models.LifecycleShape,
    "references": models.Reference,
    "messages": models.Message,
    "moved": models.MovedShape,
    "removed": models.RemovedShape,
    "api": models.ApiShape,
    "limits": models.LimitsShape,
    "policy": models.PolicyShape,
    "sandbox": models.SandboxShape,
}
"""The models by the last key of their path."""
_PATTERNS: Final = {
    first_look.ADDRESS_PATTERN: "an address has 1 to 63 of a-z, 0-9, _ and -, and starts with a letter or digit; keys of "
    "for_each follow in brackets, like promo[us,16:9]",
    first_look.WORKSPACE_PATTERN: "a workspace's name has 1 to 64 letters, digits, . _ and -, and starts with a letter or digit",
    first_look.MESSAGE_ID_PATTERN: "a message's id has 1 to 63 letters, digits, . _ and -, and starts with a letter or digit",
    first_look.PROJECT_ID_PATTERN: "a project's id has letters, digits, . _ and -, and starts with a letter or digit",
    first_look.KEY_ENV_PATTERN: "the name of the key's variable begins with EVERSINCE_ and has letters, digits and _; a branch "
    "can't have another secret sent as the key",
    first_look.ENV_PATTERN: "the name of an environment variable has letters, digits and _, and starts with no digit",
}


def judged(shape: type[Struct], tree: Any, secrets: Mapping[Path, Secret]) -> list[Problem]:
    """Everything that is wrong in a tree which the model of this name is for; of secrets the templates are shown."""
    model: type[BaseModel] = getattr(models, shape.__name__)
    try:
        model.model_validate(tree)
    except ValidationError as failure:
        return [_problem(model, found, secrets.get(found["loc"])) for found in failure.errors(include_url=False)]
    return []


def keys_of(model: type[BaseModel]) -> list[str]:
    """The keys that a model knows, as they are written."""
    return [info.alias or name for name, info in model.model_fields.items()]


def _problem(model: type[BaseModel], found: ErrorDetails, secret: Secret | None) -> Problem:
    path: Path = found["loc"]
    where = dotted(path) or "the document"
    if found["type"] == "extra_forbidden":
        return _unknown_key(model, path)
    if found["type"] == "missing":
        return Problem(Code.MISSING, path, f"{where} is missing", on_key=True)
    if found["input"] is None:
        return Problem(Code.NULL, path, f"{where} can't be null", "leave it out to leave it alone")
    code, what, detail = _wrong_value(found, quoted(found["input"] if secret is None else secret.template))
    return Problem(code, path, where + what, detail)


def _wrong_value(found: ErrorDetails, said: str) -> tuple[Code, str, str]:
    """The code, what is wrong (after the field's name), and what to do. ``said`` is the value as people may see it."""
    kind, value, context = found["type"], found["input"], found.get("ctx", {})
    match kind:
        case "literal_error":
            allowed = _ALLOWED.findall(context["expected"])
            hint = did_you_mean(value, allowed) if isinstance(value, str) else ""
            return Code.CHOICE, f": {said} is not allowed", sentences(hint, f"allowed: {', '.join(allowed)}")
        case "string_pattern_mismatch":
            return Code.IDENTIFIER, f": {said} is not possible", _PATTERNS[context["pattern"]]
        case "string_too_long" | "too_long":
            limit, unit = context["max_length"], "characters" if kind == "string_too_long" else "entries"
            return Code.LIMIT, f" has {len(value):,} {unit}, at most {limit:,} are allowed", ""
        case _ if kind in _TYPES:
            return Code.TYPE, f" must be {_TYPES[kind]}, not {said}", _type_hint(kind, value)
        case _ if kind in _SIZES:
            return Code.LIMIT, f": {said} is out of range", found["msg"].lower()
        case _ if kind in Code.__members__.values():
            return Code(kind), f" {found['msg']}", said if kind == Code.URL and "@" not in said else ""
        case _:
            return Code.TYPE, f": {printable(found['msg'])}", ""


def _type_hint(kind: str, value: object) -> str:
    if kind == "string_type" and isinstance(value, bool | int | float):
        return f'quote it: "{quoted(value)}"'
    if kind == "bool_type" and isinstance(value, str):
        return "YAML 1.2 knows true and false alone, without quotes"
    return ""


def _unknown_key(model: type[BaseModel], path: Path) -> Problem:
    """An unknown key, with the nearest known one, or the mapping that it belongs to."""
    name = str(path[-1])
    parents = [part for part in path[:-1] if isinstance(part, str)]
    owner = _MODELS.get(parents[-1], model) if parents else model
    if parents[-2:-1] == ["variables"]:
        owner = models.VariableShape
    known = keys_of(owner)
    homes = [home for home in ("settings", "lifecycle") if home in known and name in keys_of(_MODELS[home])]
    if owner is models.Defaults and name in keys_of(models.Project):
        hint = f"{name} can't be a default"
    elif parents[-1:] == ["settings"] and name in keys_of(models.Project):
        hint = f"{name} stands beside settings"
    elif homes:
        hint = f"it belongs under {homes[0]}"
    else:
        hint = did_you_mean(name, known)
    where = f" in {dotted(path[:-1])}" if len(path) > 1 else ""
    detail = sentences(hint, f"there are {', '.join(known)}")
    return Problem(Code.UNKNOWN_KEY, path, f"unknown key {quoted(name)}{where}", detail, on_key=True)
