"""Policy folders: rules in ``*.cel``, and beside them ``prices.yaml``, ``waivers.yaml`` and tests, ``*_test.yaml``.

They come from a place that a branch can't change. So a link in a folder must stay in it, and what could be a slip of the pen
(a folder without rules, a file ``price.yaml``) is an error: a policy is never skipped in silence.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from reconciler.adapters.specs.language.layers import Layer, locate
from reconciler.adapters.specs.policy.engine import CompiledRule, compile_rule
from reconciler.adapters.specs.policy.rule_files import NAME, parse_rules
from reconciler.adapters.specs.validation.codes import Code, error, in_order, with_sources
from reconciler.adapters.specs.validation.suggestions import did_you_mean, printable, quoted, sentences
from reconciler.adapters.specs.workspace_files import FileProblem, read_text, stays_inside
from reconciler.adapters.specs.yaml.parsing import Path as Place
from reconciler.adapters.specs.yaml.parsing import parse
from reconciler.model.errors import ConfigError, Diagnostic, Location
from reconciler.model.policy import Rule, Waiver

RULES: Final = ".cel"
PRICES: Final = "prices.yaml"
WAIVERS: Final = "waivers.yaml"
TESTS: Final = "_test.yaml"
PRICED: Final = ("create", "replace", "message", "render", "render_1080p", "render_4k", "adopt", "share")
"""The keys of prices; ``render_QUALITY`` wins over ``render``, and a replacement costs what a create does."""
_MAX_BYTES: Final = 1_000_000
_MAX_FILES: Final = 1_000
_MOST_CREDITS: Final = 1_000_000_000
_DIGEST: Final = re.compile("[0-9a-f]{64}")
_WAIVER: Final = ("rule", "digest", "reason", "by")


class PolicySet(Struct, frozen=True):
    """The policy of all folders."""

    rules: tuple[CompiledRule, ...]
    prices: dict[str, float]
    waivers: tuple[Waiver, ...]
    tests: tuple[Path, ...]
    """The files of tests."""


def read_policy(folders: Iterable[Path]) -> PolicySet:
    """The policy of these folders: all of their rules hold.

    Raises:
        ConfigError: a folder can't be read or has no rules, or a file in it is wrong.

    """
    reader = _Reader()
    for folder in folders:
        reader.read(folder)
    return reader.result()


class _Reader:
    """Reads folders one after the other, and collects what is wrong with them."""

    def __init__(self) -> None:
        self.found: list[Diagnostic] = []
        self.texts: dict[str, str] = {}
        self._rules: dict[str, CompiledRule] = {}
        self._names: dict[str, Rule] = {}
        self._prices: dict[str, float] = {}
        self._waivers: list[tuple[Waiver, Location | None]] = []
        self._tests: list[Path] = []

    def result(self) -> PolicySet:
        for waiver, at in self._waivers:
            if waiver.rule not in self._names:
                summary = f"a waiver for the rule {quoted(waiver.rule)}, which does not exist"
                hint = did_you_mean(waiver.rule, self._names)
                self.found.append(error(Code.POLICY_FOLDER, summary, hint or "remove the waiver", location=at))
        if self.found:
            raise ConfigError(with_sources(in_order(self.found), self.texts))
        waivers = tuple(waiver for waiver, _ in self._waivers)
        return PolicySet(tuple(self._rules.values()), self._prices, waivers, tuple(self._tests))

    def read(self, folder: Path) -> None:
        shown, before = printable(str(folder)), len(self._names)
        if not folder.is_dir():
            what = "is not a folder" if os.path.lexists(folder) else "does not exist"
            self._refuse(f"the policy folder {shown} {what}", "a policy is a folder with rules in `*.cel`", shown)
            return
        try:
            files = [*_files(folder)]
        except OSError as failure:
            self._refuse(f"the policy folder {shown} can't be read: {failure.strerror}", "", shown)
            return
        wrong = len(self.found)
        if len(files) > _MAX_FILES:
            self._refuse(
                f"the policy folder {shown} has more than {_MAX_FILES:,} files", "name the folder of the rules", shown
            )
            return
        for path in files:
            self._file(folder, path)
        if len(self._names) == before and len(self.found) == wrong:
            detail = "rules are in files `*.cel`; a folder without them would allow everything"
            self._refuse(f"the policy folder {shown} has no rules", detail, shown)

    def _refuse(self, summary: str, detail: str, file: str) -> None:
        self.found.append(error(Code.POLICY_FOLDER, summary, detail, location=Location(file)))

    def _file(self, folder: Path, path: Path) -> None:
        shown = printable(str(path))
        known: dict[str, Callable[[str, str], None]] = {PRICES: self._read_prices, WAIVERS: self._read_waivers}
        read = self._read_rules if path.suffix == RULES else known.get(path.name)
        if path.is_dir():  # a link: the walk went into all others
            self._refuse(f"{shown} is a link to a folder", "put the folder itself there", shown)
            return
        if path.name.endswith(TESTS):
            self._tests.append(path)
            return
        if read is None:
            if path.suffix.lower() in (RULES, ".yaml", ".yml") and path.parent == folder:
                hint = did_you_mean(path.name, [*known])
                detail = sentences(hint, f"a policy folder has `*{RULES}`, `{PRICES}`, `{WAIVERS}` and `*{TESTS}`")
                self._refuse(f"{shown} has no meaning in a policy folder", detail, shown)
            return
        try:
            stays_inside(folder, path)
            self.texts[shown] = read_text(path, str(path), _MAX_BYTES)
        except FileProblem as problem:
            at = Location(shown, problem.line)
            self.found.append(error(problem.code, problem.summary, problem.detail, location=at))
            return
        read(self.texts[shown], shown)

    def _read_rules(self, text: str, file: str) -> None:
        rules, found = parse_rules(text, file)
        self.found += found
        for rule in rules:
            if other := self._names.get(rule.name):
                summary = f"two rules have the name `{rule.name}`"
                self.found.append(
                    error(Code.POLICY_RULE, summary, f"the other is at {other.location}", location=rule.location)
                )
                continue
            self._names[rule.name] = rule
            compiled = compile_rule(rule)
            if isinstance(compiled, list):
                self.found += compiled
            else:
                self._rules[rule.name] = compiled

    def _read_prices(self, text: str, file: str) -> None:
        tree = self._tree(text, file, dict, "prices are one mapping, like `create: 300`")
        for name, price in (tree or {}).items():
            problem: tuple[Code, str, str] | None = None
            if name not in PRICED:
                hint = sentences(did_you_mean(name, PRICED), f"valid keys: {', '.join(PRICED)}")
                problem = Code.UNKNOWN_KEY, f"unknown key {quoted(name)} in the prices", hint
            elif isinstance(price, bool) or not isinstance(price, int | float):
                problem = Code.TYPE, f"{name} must be a number of credits, not {quoted(price)}", ""
            elif not 0 <= price <= _MOST_CREDITS:
                problem = Code.LIMIT, f"{name}: {quoted(price)} is out of range", f"from 0 to {_MOST_CREDITS:,}"
            elif self._prices.setdefault(name, price) != price:
                problem = Code.CONFLICT, f"another policy folder has another price for {name}", "leave one of them out"
            if problem:
                self.found.append(
                    error(*problem, location=_at(file, tree, (name,), on_key=problem[0] is Code.UNKNOWN_KEY))
                )

    def _read_waivers(self, text: str, file: str) -> None:
        tree = self._tree(text, file, list, "waivers are a list, like `- {rule: budget, digest: …, reason: …, by: …}`")
        for index, item in enumerate(tree or ()):
            problems = [*_waiver_problems(item)]
            self.found += [
                error(code, summary, detail, location=_at(file, tree, (index, *path), on_key=code is Code.UNKNOWN_KEY))
                for code, path, summary, detail in problems
            ]
            if not problems:
                self._waivers.append((Waiver(**item), _at(file, tree, (index, "rule"))))

    def _tree(self, text: str, file: str, kind: type, form: str) -> Any:
        """The one document of a YAML file; ``None`` where there is none, or another."""
        parsed = parse(text, file)
        self.found += parsed.problems
        documents = [(tree, mark) for tree, mark in parsed.documents if tree is not None]
        for number, (tree, mark) in enumerate(documents):
            if number or not isinstance(tree, kind):
                self.found.append(error(Code.TYPE, form, location=Location(file, *mark)))
                return None
        return documents[0][0] if documents else None


def _files(folder: Path) -> Iterator[Path]:
    """All files below a folder, sorted, and links to folders; nothing hidden, and nothing behind a link to a folder.

    Raises:
        OSError: a folder can't be read.

    """
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir() and not entry.is_symlink():
            yield from _files(entry)
        else:
            yield entry


def _at(file: str, tree: Any, path: Place, *, on_key: bool = False) -> Location | None:
    return locate((Layer(file, tree, ()),), path, on_key=on_key)


def _waiver_problems(item: Any) -> Iterator[tuple[Code, Place, str, str]]:
    if not isinstance(item, dict):
        yield Code.TYPE, (), f"a waiver is a mapping, not {quoted(item)}", f"keys: {', '.join(_WAIVER)}"
        return
    for name in item.keys() - set(_WAIVER):
        hint = sentences(did_you_mean(name, _WAIVER), f"valid keys: {', '.join(_WAIVER)}")
        yield Code.UNKNOWN_KEY, (name,), f"unknown key {quoted(name)} in a waiver", hint
    for name in _WAIVER:
        value = item.get(name)
        if name not in item:
            yield Code.MISSING, (), f"{name} is missing in a waiver", "a waiver says what for, why and by whom"
        elif not isinstance(value, str):
            yield Code.TYPE, (name,), f"{name} must be a string, not {quoted(value)}", ""
        elif not value.strip():
            yield Code.BLANK, (name,), f"{name} is blank", ""
        elif name == "digest" and not _DIGEST.fullmatch(value):
            detail = "`reconciler show PLANFILE` prints it"
            yield Code.IDENTIFIER, (name,), f"digest: {quoted(value)} is not the digest of a plan", detail
        elif name == "rule" and not re.fullmatch(NAME, value):
            yield Code.IDENTIFIER, (name,), f"rule: {quoted(value)} is not the name of a rule", ""
