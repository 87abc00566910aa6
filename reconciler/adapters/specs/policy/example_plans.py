"""Files of tests of a policy: example plans, and which rules don't hold for them.

::

    tests:
      - name: a campaign of three is allowed
        plan: plans/three.json          # the JSON of a plan, beside this file
        expect: {}
      - name: a cinema project needs a producer
        plan:                           # or the members that the rules look at
          environment: prod
          steps: [{action: create, address: a, request: {body: {craft: cinema}}}]
        expect: {cinema: approve}
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, get_args

from msgspec import Struct

from reconciler.adapters.specs.language.layers import Layer, locate
from reconciler.adapters.specs.validation.codes import Code, error, in_order, with_sources
from reconciler.adapters.specs.validation.suggestions import did_you_mean, listed, printable, quoted, sentences
from reconciler.adapters.specs.workspace_files import FileProblem, read_text, stays_inside
from reconciler.adapters.specs.yaml.parsing import MAX_BYTES, parse
from reconciler.adapters.specs.yaml.parsing import Path as Place
from reconciler.model.errors import ConfigError, Diagnostic, Location
from reconciler.model.policy import Effect
from reconciler.model.values import Json

ERROR: Final = "error"
"""Expected of a rule that can't be evaluated."""
EXPECTED: Final = (*get_args(Effect), ERROR)
_KEYS: Final = ("name", "plan", "expect", "cost")
_NUMBERS: Final = int | float


class ExamplePlan(Struct, frozen=True, kw_only=True):
    """A plan's JSON, or a part of it, and the rules that don't hold for it, each with its effect or ``error``."""

    name: str
    location: Location
    document: Mapping[str, Json]
    expect: Mapping[str, str]
    cost: float | None = None


def read_example_plans(files: Iterable[Path], rules: Iterable[str]) -> list[ExamplePlan]:
    """The examples of all files. ``rules`` are the names that there are.

    Raises:
        ConfigError: a file can't be read or is wrong.

    """
    reader = _Reader([*rules])
    examples = [example for file in files for example in reader.read(file)]
    if reader.found:
        raise ConfigError(with_sources(in_order(reader.found), reader.texts))
    return examples


class _Reader:
    def __init__(self, rules: list[str]) -> None:
        self.found: list[Diagnostic] = []
        self.texts: dict[str, str] = {}
        self._rules = rules

    def read(self, file: Path) -> Iterator[ExamplePlan]:
        shown = printable(str(file))
        text = self._text(file.parent, file, Location(shown))
        if text is None:
            return
        self.texts[shown] = text
        parsed = parse(text, shown)
        self.found += parsed.problems
        tree, mark = parsed.documents[0] if parsed.documents else (None, (1, 1))
        if len(parsed.documents) > 1 or not isinstance(tree, dict) or not isinstance(tree.get("tests"), list):
            form = "a file of tests is one mapping with a list `tests`"
            self.found += [] if parsed.problems else [error(Code.TYPE, form, location=Location(shown, *mark))]
            return
        layers = (Layer(shown, tree, ()),)
        for index, item in enumerate(tree["tests"]):
            problems = [*self._problems(item)]
            for code, path, summary, detail in problems:
                at = locate(layers, ("tests", index, *path), on_key=code is Code.UNKNOWN_KEY)
                self.found.append(error(code, summary, detail, location=at))
            at = locate(layers, ("tests", index)) or Location(shown)
            place = locate(layers, ("tests", index, "plan")) or at
            document = None if problems else self._document(file, item["plan"], place)
            if document is not None:
                yield ExamplePlan(
                    name=item["name"], location=at, document=document, expect=item["expect"], cost=item.get("cost")
                )

    def _problems(self, item: Any) -> Iterator[tuple[Code, Place, str, str]]:
        if not isinstance(item, dict):
            yield Code.TYPE, (), f"a test is a mapping, not {quoted(item)}", f"keys: {', '.join(_KEYS)}"
            return
        for name in item.keys() - set(_KEYS):
            hint = sentences(did_you_mean(name, _KEYS), f"valid keys: {', '.join(_KEYS)}")
            yield Code.UNKNOWN_KEY, (name,), f"unknown key {quoted(name)} in a test", hint
        kinds: dict[str, tuple[Any, str]] = {
            "name": (str, "a string"),
            "plan": (str | dict, "a mapping, or the path of a plan's JSON"),
            "expect": (dict, "a mapping of rules to what they do, `{}` where all hold"),
        }
        for name, (kind, words) in kinds.items():
            if name not in item:
                yield Code.MISSING, (), f"{name} is missing in a test", f"it is {words}"
            elif not isinstance(item[name], kind):
                yield Code.TYPE, (name,), f"{name} must be {words}, not {quoted(item[name])}", ""
        cost = item.get("cost", 0)
        if isinstance(cost, bool) or not isinstance(cost, _NUMBERS):
            yield Code.TYPE, ("cost",), f"cost must be a number of credits, not {quoted(cost)}", ""
        yield from self._expectations(item.get("expect"))

    def _expectations(self, expect: Any) -> Iterator[tuple[Code, Place, str, str]]:
        for rule, what in expect.items() if isinstance(expect, dict) else ():
            if rule not in self._rules:
                hint = sentences(did_you_mean(rule, self._rules), f"rules: {listed(self._rules)}")
                yield Code.UNKNOWN_KEY, ("expect", rule), f"there is no rule {quoted(rule)}", hint
            elif what not in EXPECTED:
                yield (
                    Code.CHOICE,
                    ("expect", rule),
                    f"{rule}: {quoted(what)} is not allowed",
                    f"one of {', '.join(EXPECTED)}",
                )

    def _document(self, file: Path, plan: Any, at: Location) -> Mapping[str, Json] | None:
        """The JSON of an example: as it is written, or in a file beside the tests."""
        if isinstance(plan, dict):
            return plan
        text = self._text(file.parent, file.parent / plan, at)
        if text is None:
            return None
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as failure:
            self.found.append(error(Code.SYNTAX, f"{printable(plan)} is not JSON: {failure}", location=at))
            return None
        if not isinstance(document, dict):
            self.found.append(error(Code.TYPE, f"{printable(plan)} is not the JSON of a plan", location=at))
            return None
        return document

    def _text(self, folder: Path, file: Path, at: Location) -> str | None:
        try:
            stays_inside(folder, file)
            return read_text(file, str(file), MAX_BYTES)
        except FileProblem as problem:
            self.found.append(error(problem.code, problem.summary, problem.detail, location=at))
            return None
