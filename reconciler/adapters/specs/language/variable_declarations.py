"""``variables:``: each declared once in the workspace, with a type; and what is given for them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from reconciler.adapters.specs.language.layers import Layer, locate
from reconciler.adapters.specs.validation.codes import Code, error
from reconciler.adapters.specs.validation.json_fragments import VARIABLE_PATTERN
from reconciler.adapters.specs.validation.suggestions import quoted
from reconciler.adapters.specs.yaml.parsing import parse, resolve
from reconciler.model.errors import Diagnostic, Location
from reconciler.model.values import Json

ENV_PREFIX: Final = "RECONCILER_VAR_"
_WORDS: Final = {"string": "a string", "number": "a number", "bool": "true or false", "list": "a list of strings"}


class Given(Struct, frozen=True):
    """A value that is not a string, and where a file of variables gives it."""

    value: Json
    location: Location | None


class Declarations:
    """The declared variables of a workspace. What is wrong with them is added to ``found``."""

    def __init__(self, found: list[Diagnostic]) -> None:
        self._found = found
        self._declared: dict[str, tuple[dict[str, Any], Location | None]] = {}
        self.failed: set[str] = set()
        """Declared or given, but without a usable value; each was reported."""

    def add(self, layer: Layer, wrong: set[str]) -> None:
        """Take the declarations of a layer; those in ``wrong`` are no declarations and were reported."""
        for name in layer.tree:
            at = locate((layer,), (name,), on_key=True)
            if not re.fullmatch(VARIABLE_PATTERN, name):
                detail = "a variable's name has letters, digits, _ and -, and starts with a letter or _"
                self._error(Code.IDENTIFIER, f"{quoted(name)} can't name a variable", detail, at)
            elif name in self._declared:
                detail = f"first at {self._declared[name][1]}; a variable is shared by all files of the workspace"
                self._error(Code.DUPLICATE_VARIABLE, f"the variable {quoted(name)} is declared twice", detail, at)
            elif name in wrong:
                self.failed.add(name)
            else:
                self._declared[name] = layer.tree[name], at
                self._check_default(layer, name)

    @property
    def names(self) -> set[str]:
        return self._declared.keys() | self.failed

    def values(
        self, given: Mapping[str, str | Given], env: Mapping[str, str], configured: Mapping[str, str | Given]
    ) -> dict[str, Json]:
        """The value of every variable: given, from ``env`` (``RECONCILER_VAR_…``), from the configuration, or by default."""
        from_env = {key[len(ENV_PREFIX) :]: value for key, value in env.items() if key.startswith(ENV_PREFIX)}
        everything = {**configured, **from_env, **given}
        values: dict[str, Json] = {}
        for name, value in everything.items():
            if name not in self._declared:
                if isinstance(value, Given):
                    summary = f"the variable {quoted(name)} must be a string, not {quoted(value.value)}"
                    self._fail(
                        name, Code.TYPE, summary, "quote it, or declare its type under variables", value.location
                    )
                else:
                    values[name] = value
        for name, (declared, at) in self._declared.items():
            if name in everything:
                values[name] = self._converted(name, declared.get("type", "string"), everything[name], at)
            elif "default" in declared:
                values[name] = declared["default"]
            elif name not in self.failed:
                detail = f"give it with --var {name}=…, --var-file or {ENV_PREFIX}{name}, in vars in reconciler.yaml, or declare a default"
                self._fail(name, Code.VARIABLE, f"the variable {quoted(name)} has no value", detail, at)
        return {name: value for name, value in values.items() if name not in self.failed}

    def _converted(self, name: str, kind: str, given: str | Given, at: Location | None) -> Json:
        value = given.value if isinstance(given, Given) else _read(kind, given)
        if not fits(kind, value):
            shown = quoted(value if isinstance(given, Given) else given)
            at = given.location if isinstance(given, Given) else at
            detail = (
                ""
                if isinstance(given, Given)
                else f"given by --var, --var-file, {ENV_PREFIX}{name} or vars in reconciler.yaml"
            )
            self._fail(
                name,
                Code.VARIABLE_VALUE,
                f"the variable {quoted(name)} must be {_WORDS[kind]}, not {shown}",
                detail,
                at,
            )
        return value

    def _check_default(self, layer: Layer, name: str) -> None:
        declared = layer.tree[name]
        if "default" not in declared:
            return
        kind, default = declared.get("type", "string"), declared["default"]
        at = locate((layer,), (name, "default"))
        if not fits(kind, default):
            summary = f"the default of {quoted(name)} must be {_WORDS[kind]}, not {quoted(default)}"
            self._fail(name, Code.TYPE, summary, "" if "type" in declared else "without a type it is a string", at)
        elif any("${" in text for text in (default if kind == "list" else [default]) if isinstance(text, str)):
            summary = f"the default of {quoted(name)} can't have variables in it"
            self._fail(name, Code.VARIABLE_SYNTAX, summary, "it is taken as it is", at)

    def _fail(self, name: str, code: Code, summary: str, detail: str, at: Location | None) -> None:
        self.failed.add(name)
        self._error(code, summary, detail, at)

    def _error(self, code: Code, summary: str, detail: str, at: Location | None) -> None:
        self._found.append(error(code, summary, detail, location=at))


def fits(kind: str, value: Json) -> bool:
    """Whether a value is of a variable's type."""
    match kind:
        case "string":
            return isinstance(value, str)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        case "bool":
            return isinstance(value, bool)
        case _:
            return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _read(kind: str, text: str) -> Json:
    """What a text given for a variable stands for; something that does not fit if it can't."""
    match kind:
        case "string":
            return text
        case "list" if text.lstrip().startswith("["):
            parsed = parse(text, "")
            return None if parsed.problems or not parsed.documents else parsed.documents[0][0]
        case "list":
            return [part.strip() for part in text.split(",")] if text.strip() else []
        case _:
            return resolve(text.strip())
