"""Rules in CEL, compiled and evaluated by cel-expr-python (decisions/0029).

The engine ends by itself: an evaluation has at most 10,000 steps of its loops, and its regular expressions take linear
time. Besides, all rules together have ``MAX_SECONDS``: what was not evaluated by then counts as an error.

Only results that are true or false are turned into Python values: turning ``null`` into ``None`` makes version 0.1.3 of
the engine end a Python 3.11 process.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from cel_expr_python import cel
from msgspec import Struct

from reconciler.adapters.specs.validation.codes import Code, error
from reconciler.adapters.specs.validation.suggestions import printable
from reconciler.model.errors import Diagnostic, Location
from reconciler.model.policy import Broken, Rule
from reconciler.model.values import Json

MAX_SECONDS: Final = 20.0
_SHOWN: Final = 300
"""Characters of the engine's messages, which may quote the plan."""
_BIGGEST: Final = 2**63
_PLACED: Final = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*?)(?: \(in container ''\))?$", re.MULTILINE)
_STATUS: Final = re.compile(r"^[A-Z_]+: | \[[A-Z_]+\]$")
_OBJECT: Final = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
_OF_PLAN: Final = cel.NewEnv(variables={"plan": _OBJECT})
_OF_STEP: Final = cel.NewEnv(variables={"plan": _OBJECT, "step": _OBJECT})


class CompiledRule(Struct, frozen=True):
    """A rule and its program; ``each_step``: it names ``step``, and so is evaluated for each step."""

    rule: Rule
    program: Any
    each_step: bool


def compile_rule(rule: Rule) -> CompiledRule | list[Diagnostic]:
    """The rule, or everything that is wrong with its expression."""
    try:
        found = CompiledRule(rule, _OF_PLAN.compile(rule.expression), each_step=False)
    except (RuntimeError, TypeError) as failure:
        try:
            found = CompiledRule(rule, _OF_STEP.compile(rule.expression), each_step=True)
        except (RuntimeError, TypeError) as with_step:
            said = str(with_step if re.search(r"\bstep\b", rule.expression) else failure)
            return [*_compile_errors(rule, said)]
    kind = found.program.return_type().name()
    if kind not in ("BOOL", "DYN"):
        detail = "an expression says what must hold: it is true or false"
        return [_wrong(rule, f"the expression is a {kind.lower()}", detail, rule.location)]
    return found


def _compile_errors(rule: Rule, said: str) -> Iterator[Diagnostic]:
    first, placed = rule.location.line or 0, _PLACED.findall(said)
    for line, column, problem in placed:
        yield _wrong(rule, printable(problem), "", Location(rule.location.file, first + int(line), int(column)))
    if not placed:
        yield _wrong(rule, _readable(said), "", rule.location)


def _wrong(rule: Rule, summary: str, detail: str, at: Location) -> Diagnostic:
    return error(Code.POLICY_RULE, f"policy rule `{rule.name}`: {summary}", detail, location=at)


def evaluate(
    rules: Iterable[CompiledRule],
    plan: Mapping[str, Json],
    steps: list[Json],
    *,
    clock: Callable[[], float] = time.monotonic,
) -> list[Broken]:
    """The rules that do not hold, in their order. A rule that is about the plan sees its steps as ``plan.steps``."""
    end = clock() + MAX_SECONDS
    seen, listed = _plain(dict(plan)), [_plain(step) for step in steps]
    whole = _OF_PLAN.Activation({"plan": {**seen, "steps": listed}})
    each = [_OF_STEP.Activation({"plan": seen, "step": step}) for step in listed]
    broken: list[Broken] = []
    for compiled in rules:
        failing: list[int] = []
        problems: dict[int, str] = {}
        for index, activation in enumerate(each if compiled.each_step else [whole]):
            if clock() > end:
                problems[index] = f"the rules of the policy take more than {MAX_SECONDS:.0f} seconds"
                break
            holds = _evaluate(compiled.program, activation)
            if isinstance(holds, str):
                problems[index] = holds
                if compiled.each_step and '"steps"' in holds:
                    problems[index] += " (a rule that names `step` has no `plan.steps`)"
            elif not holds:
                failing.append(index)
        if failing or problems:
            places = sorted({*failing, *problems}) if compiled.each_step else ()
            broken.append(Broken(rule=compiled.rule, steps=tuple(places), error=next(iter(problems.values()), None)))
    return broken


def _evaluate(program: Any, activation: Any) -> bool | str:
    """Whether an expression holds, or why that can't be told."""
    try:
        result = program.eval(activation)
    except (RuntimeError, TypeError, ValueError) as failure:
        said = _readable(str(failure))
        if "budget" in said:
            said += " (it loops over more than 10,000 items; a rule that names `step` is evaluated for each step)"
        return said
    kind = result.type()
    if kind == cel.Type.BOOL:
        return result.value() is True
    if kind == cel.Type.ERROR:
        return _readable(str(result.value()))
    return f"its value is a {kind.name().lower()}, not true or false"


def _readable(said: str) -> str:
    text = printable(_STATUS.sub("", said.strip()))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _plain(value: Any) -> Any:
    """A value that the engine takes whole: no half of a surrogate pair, no integer beyond 64 bits, and no NUL, where it would
    end a text, so that rules would see less of it than is sent.
    """
    if isinstance(value, str):
        text = value.replace("\0", "\ufffd")
        return text if text.isascii() else text.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and not -_BIGGEST <= value < _BIGGEST:
        return 1e308 if value > 0 else -1e308
    return value
