"""Errors of the models in words: a code, a path, what is there, and what to do."""

from __future__ import annotations

import re
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from reconciler.adapters.specs.validation import shape_types, shapes
from reconciler.adapters.specs.validation.checks import Secrets
from reconciler.adapters.specs.validation.codes import Code
from reconciler.adapters.specs.validation.config_shapes import ENVIRONMENT_SHAPE
from reconciler.adapters.specs.validation.models import REPEATED, model_of
from reconciler.adapters.specs.validation.other_versions import key_of_another, longer_in_another, value_of_another
from reconciler.adapters.specs.validation.problem import Problem, dotted
from reconciler.adapters.specs.validation.shape_types import Shape, shape_at
from reconciler.adapters.specs.validation.suggestions import did_you_mean, near, printable, quoted, sentences
from reconciler.adapters.specs.yaml.parsing import Path
from reconciler.model.values import Secret

_TYPES: Final = {
    "string_type": "a string",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "int_type": "an integer",
    "float_type": "a number",
}
_SIZES: Final = frozenset(
    {"greater_than", "greater_than_equal", "less_than", "less_than_equal", "finite_number", "int_parsing_size"}
)
_HOMES: Final = ("settings", "lifecycle")
"""The mappings of a project that its keys are confused with."""
_ALLOWED: Final = re.compile(r"'([^']*)'")
_PATTERNS: Final = {
    shape_types.ADDRESS_PATTERN: "an address has 1 to 63 of a-z, 0-9, _ and -, and starts with a letter or digit; keys of "
    "for_each follow in brackets, like promo[us,16:9]",
    shape_types.WORKSPACE_PATTERN: "a workspace's name has 1 to 64 letters, digits, . _ and -, and starts with a letter or digit",
    shape_types.ENVIRONMENT_PATTERN: shape_types.ENVIRONMENT_RULE,
    shape_types.MESSAGE_ID_PATTERN: "a message's id has 1 to 63 letters, digits, . _ and -, and starts with a letter or digit",
    shape_types.PROJECT_ID_PATTERN: shape_types.PROJECT_ID_RULE,
    shape_types.TAG_PATTERN: "a tag has 1 to 63 letters, digits, . _ : / and -, and starts with a letter or digit",
    shape_types.KEY_ENV_PATTERN: "the name of the key's variable begins with EVERSINCE_ and has letters, digits and _; a branch "
    "can't have another secret sent as the key",
    shape_types.ENV_PATTERN: "the name of an environment variable has letters, digits and _, and starts with no digit",
}


def explain(shape: Shape, tree: Any, secrets: Secrets) -> list[Problem]:
    """Everything that is wrong in a tree of this shape; of secrets the templates are shown."""
    try:
        model_of(shape).model_validate(tree)
    except ValidationError as failure:
        return [_problem(shape, found, secrets.get(found["loc"])) for found in failure.errors(include_url=False)]
    return []


def _problem(shape: Shape, found: ErrorDetails, secret: Secret | None) -> Problem:
    path: Path = found["loc"]
    where = dotted(path) or "the document"
    if found["type"] == "extra_forbidden":
        return key_of_another(shape, path, found["input"]) or _unknown_key(shape, path)
    if found["type"] == "missing":
        return Problem(Code.MISSING, path, f"{where} is missing", on_key=True)
    if found["type"] == REPEATED:
        index = found["ctx"]["index"]
        summary = f"{where} has {quoted(found['input'][index])} twice"
        return Problem(Code.CHOICE, (*path, index), summary, "leave one of them out")
    if found["input"] is None:
        hint = "write {} if it sets nothing" if path[:-1] == ("environments",) else "leave it out to leave it alone"
        return Problem(Code.NULL, path, f"{where} can't be null", hint)
    if found["type"] == "literal_error" and (other := _other_value(shape, found)):
        return other
    code, what, detail = _wrong_value(found, quoted(found["input"] if secret is None else secret.template))
    if code is Code.LIMIT and not detail and isinstance(found["input"], str):
        detail = longer_in_another(shape, path, len(found["input"].rstrip("\n")))
    return Problem(code, path, where + what, detail)


def _other_value(shape: Shape, found: ErrorDetails) -> Problem | None:
    allowed = _ALLOWED.findall(found["ctx"]["expected"])
    return value_of_another(shape, found["loc"], found["input"], f"valid values: {', '.join(allowed)}")


def _wrong_value(found: ErrorDetails, shown: str) -> tuple[Code, str, str]:
    """The code, what is wrong (after the field's name), and what to do. ``shown`` is the value as people may see it."""
    kind, value, context = found["type"], found["input"], found.get("ctx", {})
    match kind:
        case "literal_error":
            allowed = _ALLOWED.findall(context["expected"])
            hint = did_you_mean(value, allowed) if isinstance(value, str) else ""
            return Code.CHOICE, f": {shown} is not allowed", sentences(hint, f"valid values: {', '.join(allowed)}")
        case "string_pattern_mismatch":
            return Code.IDENTIFIER, f": {shown} is not valid", _PATTERNS[context["pattern"]]
        case "string_too_long" | "too_long":
            limit, unit = context["max_length"], "characters" if kind == "string_too_long" else "entries"
            return Code.LIMIT, f" has {len(value):,} {unit}, at most {limit:,} are allowed", ""
        case _ if kind in _TYPES:
            return Code.TYPE, f" must be {_TYPES[kind]}, not {shown}", _type_hint(kind, value)
        case _ if kind in _SIZES:
            return Code.LIMIT, f": {shown} is out of range", found["msg"].lower()
        case _ if kind in Code.__members__.values():
            return Code(kind), f" {found['msg']}", shown if kind == Code.URL and "@" not in shown else ""
        case _:
            return Code.TYPE, f": {printable(found['msg'])}", ""


def _type_hint(kind: str, value: object) -> str:
    if kind == "string_type" and isinstance(value, bool | int | float):
        return f'quote it: "{quoted(value)}"'
    if kind == "bool_type" and isinstance(value, str):
        return "YAML 1.2 has only true and false, without quotes"
    return ""


_OUTSIDE: Final = {
    "key_command": "a branch can't name programs to run: use --key-command, RECONCILER_KEY_COMMAND or your own "
    "~/.config/reconciler/config.yaml",
    "notify": "a branch can't say where notices go: use --notify, RECONCILER_NOTIFY or your own "
    "~/.config/reconciler/config.yaml",
}
"""Keys that are not for files of a branch, and what to do instead."""


def _unknown_key(shape: Shape, path: Path) -> Problem:
    """An unknown key, with the nearest known one, or the mapping that it belongs to."""
    name, known = str(path[-1]), shapes.current()
    owner = shape_at(shape, path[:-1]) or shape
    homes = [home for home in _HOMES if (within := shape_at(owner, (home,))) and name in within.names]
    if owner is known.defaults and name in known.project.names:
        hint = f"{name} can't be a default"
    elif path[-2:-1] == ("settings",) and name in known.project.names:
        hint = f"{name} stands beside settings"
    elif owner.name == ENVIRONMENT_SHAPE and name in shape.names:
        hint = f"{name} stands at the top of the file, once for all environments"
    elif name in _OUTSIDE:
        hint = _OUTSIDE[name]
    elif homes:
        hint = f"it belongs under {homes[0]}"
    else:
        questions = _questions(shape, path, owner)
        hint = questions.get(near(name, questions) or "", "")
    where = f" in {dotted(path[:-1])}" if len(path) > 1 else ""
    detail = sentences(hint, f"valid keys: {', '.join(owner.names)}")
    return Problem(Code.UNKNOWN_KEY, path, f"unknown key {quoted(name)}{where}", detail, on_key=True)


def _questions(shape: Shape, path: Path, owner: Shape) -> dict[str, str]:
    """The keys that may be meant, each with the question that proposes it: here, one level deeper, or one level up."""
    questions = {name: f"did you mean {quoted(name)}?" for name in owner.names}
    for home in _HOMES:
        within = shape_at(owner, (home,))
        for name in within.names if within else ():
            questions.setdefault(name, f"did you mean {quoted(f'{home}.{name}')}?")
    if path[-2:-1] and path[-2] in _HOMES:
        above = shape_at(shape, path[:-2])
        for name in above.names if above else ():
            questions.setdefault(name, f"did you mean {quoted(name)}, beside {path[-2]}?")
    return questions
