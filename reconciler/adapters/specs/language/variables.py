"""``${…}`` in the strings of specifications: filled once, never again in what was filled in."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from msgspec import Struct

from reconciler.adapters.specs.validation import shapes
from reconciler.adapters.specs.validation.codes import Code
from reconciler.adapters.specs.validation.size_limits import VALUE_BYTES, Room
from reconciler.adapters.specs.validation.suggestions import did_you_mean, listed, quoted, sentences
from reconciler.adapters.specs.yaml.parsing import Path
from reconciler.model.values import Json, Revealed, Secret

FILLED_MAX: Final = 1_000_000
"""Characters of one string with its variables filled in."""

_VARIABLE: Final = r"\$\$|\$\{([^}\n]*)(\}?)"
_NAME: Final = r"(var|env|each)\.([A-Za-z_][A-Za-z0-9_-]*)|workspace|environment|address"
_SINGLE: Final = r"\$\{var\.([A-Za-z_][A-Za-z0-9_-]*)\}"
_FORMS: Final = (
    "${var.NAME}, ${env.NAME}, ${each.NAME}, ${workspace}, ${environment}, ${address}; a dollar before a brace is written "
    "$${"
)


class VariableProblem(Exception):  # noqa: N818  becomes a diagnostic
    """A string whose variables can't be filled: its code, what is wrong, what to do; ``reported`` if that was done already."""

    def __init__(self, code: Code, summary: str, detail: str = "", *, reported: bool = False) -> None:
        super().__init__(summary)
        self.code = code
        self.summary = summary
        self.detail = detail
        self.reported = reported


class Scope(Struct, frozen=True):
    """The project that a text belongs to: its address, and what ``${each.…}`` stands for (None: no ``for_each``)."""

    address: str
    each: Mapping[str, str] | None = None


class Filler:
    """Fills variables. ``failed`` are those without a usable value; ``allowed`` the names ``${env.…}`` may have."""

    def __init__(
        self,
        *,
        workspace: str,
        environment: str | None = None,
        variables: Mapping[str, Json],
        env: Mapping[str, str],
        allowed: tuple[str, ...],
        failed: Collection[str] = (),
        room: Room,
    ) -> None:
        self.room = room
        """What the texts may still take, filled or not."""
        self._workspace = workspace
        self._environment = environment
        self._variables = variables
        self._failed = failed
        self._env = env
        self._allowed = allowed
        self.used: set[str] = set()
        """The variables that were asked for."""

    def single_variable(self, text: str) -> Json:
        """The value of the one variable that a text consists of; None for any other text."""
        match = re.fullmatch(_SINGLE, text)
        if match is None:
            return None
        self.used.add(match[1])
        return self._variables.get(match[1])

    def text(self, text: str, scope: Scope, *, secret: bool = True) -> str | Secret:
        """A string, filled: a :class:`Secret` without digest if it has an environment variable in it.

        Raises:
            VariableProblem: an unknown name or form, or (with ``secret`` off) an environment variable.

        """
        if "$" not in text:
            return text
        plain: list[str] = []
        template: list[str] = []
        parts: list[str] = []
        end = size = 0
        for token in re.finditer(_VARIABLE, text):
            before, end = text[end : token.start()], token.end()
            value, is_env = ("$", False) if token[1] is None else self._value(token, scope)
            if is_env and not secret:
                detail = "its value would get into the state and the plan; use ${var.…}"
                raise VariableProblem(Code.SECRET_PLACE, f"{quoted(token[0])} is not allowed here", detail)
            parts += [value] if is_env else []
            size += len(before) + len(value)
            if size > FILLED_MAX:
                summary = f"with its variables the text has more than {FILLED_MAX:,} characters"
                raise VariableProblem(Code.VARIABLE_VALUE, summary)
            plain += before, value
            template += before.replace("$", "$$"), token[0] if is_env else value.replace("$", "$$")
        rest = text[end:]
        filled = "".join(plain) + rest
        if not parts:
            return filled
        return Secret("".join(template) + rest.replace("$", "$$"), "", Revealed(filled), tuple(map(Revealed, parts)))

    def _value(self, token: re.Match[str], scope: Scope) -> tuple[str, bool]:
        """What a variable stands for, and whether it comes from the environment."""
        if not token[2]:
            raise VariableProblem(Code.VARIABLE_SYNTAX, f"{quoted(token[0])} is not closed", f"valid forms: {_FORMS}")
        name = re.fullmatch(_NAME, token[1])
        if name is None:
            raise VariableProblem(
                Code.VARIABLE_SYNTAX, f"{quoted(token[0])} is not a variable", f"valid forms: {_FORMS}"
            )
        match name[1]:
            case "var":
                value = self._var(name[2])
            case "env":
                value = self._from_env(name[2])
            case "each":
                value = _each(name[2], scope)
            case _:
                value = self._own(name[0], scope)
        try:
            value.encode()
        except UnicodeEncodeError:
            summary = f"the value of {quoted(token[0])} is not UTF-8"
            raise VariableProblem(Code.VARIABLE_VALUE, summary) from None
        return value, name[1] == "env"

    def _var(self, name: str) -> str:
        self.used.add(name)
        if name in self._failed:
            raise VariableProblem(Code.VARIABLE, f"the variable {quoted(name)} has no value", reported=True)
        if name in self._variables:
            value = self._variables[name]
            if isinstance(value, list):
                summary = f"the variable {quoted(name)} is a list, which can't be part of a string"
                raise VariableProblem(Code.VARIABLE_VALUE, summary, "only for_each takes it: ${var." + name + "}")
            return text_of(value)
        known = "given: " + listed(self._variables) if self._variables else "none was given"
        detail = sentences(did_you_mean(name, self._variables), known, f"give it with --var {name}=… or --var-file")
        raise VariableProblem(Code.VARIABLE, f"there is not a variable {quoted(name)}", detail)

    def _own(self, name: str, scope: Scope) -> str:
        if name == "workspace":
            return self._workspace
        if name == "address":
            return scope.address
        if self._environment is None:
            detail = "declare environments in reconciler.yaml, or take it out of the specification"
            raise VariableProblem(Code.VARIABLE, "${environment} has no value: there are no environments", detail)
        return self._environment

    def _from_env(self, name: str) -> str:
        if name not in self._allowed:
            detail = sentences(
                did_you_mean(name, self._allowed), f"to allow it, add {name} to policy.allowed_env in reconciler.yaml"
            )
            raise VariableProblem(Code.ENV_NOT_ALLOWED, f"the environment variable {name} is not allowed", detail)
        if name not in self._env:
            detail = "set it, or take it out of the specification"
            raise VariableProblem(Code.ENV_MISSING, f"the environment variable {name} is not set", detail)
        return self._env[name]


def text_of(value: Json) -> str:
    """A scalar as it stands in a text: as YAML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _each(name: str, scope: Scope) -> str:
    if scope.each is None:
        summary = f"${{each.{name}}} exists only in a project with for_each"
        raise VariableProblem(Code.VARIABLE, summary, "give the project a for_each, or take it out")
    if name not in scope.each:
        there = listed([f"${{each.{key}}}" for key in scope.each], in_order=False)
        detail = sentences(did_you_mean(name, scope.each), f"valid names: {there}")
        raise VariableProblem(Code.VARIABLE, f"for_each has no {quoted(name)}", detail)
    return scope.each[name]


class Filled:
    """A tree with every variable filled: ``value`` is a plain copy; ``secrets`` stand beside it, by path.

    ``failed`` are the paths of strings whose variables could not be filled; each was reported.
    """

    def __init__(
        self, tree: Any, filler: Filler, scope: Scope, report: Callable[[VariableProblem, Path], None]
    ) -> None:
        self.secrets: dict[Path, Secret] = {}
        self.failed: set[Path] = set()
        self._filler = filler
        self._room = filler.room
        self._scope = scope
        self._report = report
        self._shapes = shapes.current()
        self.value = self._fill(tree, ())

    def text(self, text: str, path: Path) -> str:
        """One string, filled and noted under its path."""
        field = next((part for part in reversed(path) if isinstance(part, str)), "")
        try:
            secret = field in self._shapes.secret_keys and path[0] != "for_each"
            value = self._filler.text(text, self._scope, secret=secret)
        except VariableProblem as problem:
            self.failed.add(path)
            if not problem.reported:
                self._report(problem, path)
            return text
        if isinstance(value, Secret):
            self.secrets[path] = value
            value = value.value.expose() if value.value else ""
        self._room.take(value)
        return value

    def sealed(self) -> Any:
        """The tree with its secrets in their places."""
        for path, secret in self.secrets.items():
            node = self.value
            for part in path[:-1]:
                node = node[part]
            node[path[-1]] = secret
        return self.value

    def _fill(self, node: Any, path: Path) -> Any:
        if isinstance(node, str):
            if path and path[-1] in self._shapes.block_keys:
                node = node.rstrip("\n")
            if "$" in node:
                return self._typed(node, path)
            self._room.take(node)
            return node
        self._room.used += VALUE_BYTES
        if isinstance(node, dict):
            return {key: self._fill(item, (*path, key)) for key, item in node.items()}
        if isinstance(node, list):
            return [self._fill(item, (*path, index)) for index, item in enumerate(node)]
        return node

    def _typed(self, text: str, path: Path) -> Json:
        """A text; or, if it is only a variable, true or false for a flag and a list for ``for_each``."""
        value = self._filler.single_variable(text)
        flag = isinstance(value, bool) and path[-1] in self._shapes.flag_keys
        return value if flag or (isinstance(value, list) and path[0] == "for_each") else self.text(text, path)
