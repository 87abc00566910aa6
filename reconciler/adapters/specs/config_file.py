"""Reader of ``reconciler.yaml``, the environment and the flags: one :class:`Config`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from reconciler.adapters.specs.config_environments import (
    BLOCKS,
    DEFAULT,
    VARIABLE,
    divided_state,
    environment_problems,
    in_environment,
    none_chosen,
    spec_folder_problems,
    unknown_environment,
    values_of,
)
from reconciler.adapters.specs.config_trust import outside_state, unallowable, untrusted_destination
from reconciler.adapters.specs.config_version import asked_version, by_version, usual_environment
from reconciler.adapters.specs.language.layers import Layer, locate
from reconciler.adapters.specs.validation import shapes
from reconciler.adapters.specs.validation.checks import Explain, problems_of
from reconciler.adapters.specs.validation.codes import Code, error, in_order, with_sources
from reconciler.adapters.specs.validation.problem import Problem
from reconciler.adapters.specs.validation.suggestions import quoted
from reconciler.adapters.specs.validation.urls import AddressError, api_address
from reconciler.adapters.specs.workspace_files import FileProblem, inside, read_text, within_repository
from reconciler.adapters.specs.yaml.parsing import MAX_BYTES, YamlMap, parse
from reconciler.model import contract
from reconciler.model.config import KEY_ENV, Account, Config, Limits, Policy
from reconciler.model.errors import ConfigError, Diagnostic, Location

FILE: Final = "reconciler.yaml"
"""The configuration's name, at the root of a workspace."""
MISTAKEN: Final = ("reconciler.yml", "reconciler.json", "reconciler.toml")
_BY_VALUE: Final = frozenset({Code.CHOICE, Code.LIMIT, Code.URL, Code.BLANK, Code.IDENTIFIER})


def load_config(
    root: Path,
    *,
    env: Mapping[str, str],
    explain: Explain,
    state: str | None = None,
    api_url: str | None = None,
    environment: str | None = None,
    divided: bool = True,
) -> Config:
    """The configuration of the workspace at ``root``; without a file every key has its default.

    ``state``, ``api_url`` and ``environment`` are flags: they win over ``RECONCILER_STATE``, ``EVERSINCE_API_URL`` and
    ``RECONCILER_ENVIRONMENT``, which win over the file. An empty environment variable counts as not set. With
    ``divided`` off, the environments of the file are as if they were not there. From here on the program speaks the
    version of the API that the configuration asks for.

    Raises:
        ConfigError: with everything that is wrong in the file, or with what the environment or a flag says.

    """
    if not root.is_dir():
        raise ConfigError(f"there is no folder {quoted(str(root))}", "name the workspace's folder with --chdir")
    url = _first(("--api-url", api_url), ("EVERSINCE_API_URL", env.get("EVERSINCE_API_URL") or None))
    place = _first(("--state", state), ("RECONCILER_STATE", env.get("RECONCILER_STATE") or None))
    chosen = _first(("--environment", environment), (VARIABLE, env.get(VARIABLE) or None)) if divided else None
    whole, text, found = _read(root)
    contract.choose(asked_version(whole, _asked_environment(whole, chosen) if divided else None, env))
    if found := found or _check(whole, explain, env):
        raise ConfigError(with_sources(in_order(found), {FILE: text}))
    name = _chosen(whole, chosen, text) if divided else None
    tree = in_environment(whole, name)
    if found := _check_places(root, tree) or _check_trust(
        root, tree, env, url_given=url is not None, state_given=place is not None
    ):
        raise ConfigError(with_sources(in_order(found), {FILE: text}))
    own = name is not None and "state" in whole[BLOCKS][name]
    api = tree.get("api", {})
    policy = dict(tree.get("policy", {}))
    if "allowed_env" in policy:
        policy["allowed_env"] = tuple(policy["allowed_env"])
    more: dict[str, Any] = {key: tree[key] for key in ("defaults", "variables") if key in tree}
    if "specs" in tree:
        more["specs"] = tree["specs"] if isinstance(tree["specs"], str) else tuple(tree["specs"])
    if "key_env" in api:
        more["key_env"] = api["key_env"]
    if "speed" in tree.get("sandbox", {}):
        more["sandbox_speed"] = float(tree["sandbox"]["speed"])
    if url is not None or "url" in api:
        more["api_url"] = (api["url"] if url is None else _url(*url)).rstrip("/")
    if place is None:
        more["state"] = divided_state(tree.get("state"), name, own=own)
    else:
        more["state"] = divided_state(_state(*place), name, own=True)
    return Config(
        root=root,
        workspace=tree.get("workspace") or folder_name(root),
        named="workspace" in tree,
        account=_account(tree),
        api_version=contract.current().version,
        sandbox_version=tree.get("sandbox", {}).get("api_version", contract.current().version),
        environment=name,
        environments=tuple(whole.get(BLOCKS, ())),
        default_environment=whole.get(DEFAULT),
        values=values_of(whole, name),
        limits=Limits(**tree.get("limits", {})),
        policy=Policy(**policy),
        file=FILE if (root / FILE).exists() else None,
        **more,
    )


def workspace_version(root: Path, environment: str | None, env: Mapping[str, str]) -> str:
    """The version of the API that the workspace at ``root`` asks for, whatever else is wrong with its configuration.

    Raises:
        ConfigError: the file can't be read, or the environment variable names a version that does not exist.

    """
    whole = _read(root)[0]
    return asked_version(whole, environment or usual_environment(whole), env)


def raw_spec_folders(root: Path) -> tuple[str, ...]:
    """The folders of specifications that the file names, for whichever environment, whatever else is wrong with it."""
    whole = _read(root)[0]
    blocks = whole.get(BLOCKS)
    trees = [whole, *(blocks.values() if isinstance(blocks, dict) else ())]
    named = [tree["specs"] for tree in trees if isinstance(tree, dict) and "specs" in tree]
    folders = [folder for one in named for folder in (one if isinstance(one, list) else [one])]
    return tuple(dict.fromkeys(folder for folder in folders if isinstance(folder, str))) or ("specs",)


def _asked_environment(tree: dict[str, Any], chosen: tuple[str, str] | None) -> str | None:
    return usual_environment(tree) if chosen is None else chosen[1]


def _account(tree: dict[str, Any]) -> Account | None:
    if "account" not in tree:
        return None
    at = locate((Layer(FILE, tree, ()),), ("account", "project"))
    return Account(project=tree["account"]["project"], location=at)


def _first(*choices: tuple[str, str | None]) -> tuple[str, str] | None:
    return next(((name, value) for name, value in choices if value is not None), None)


def _url(source: str, value: str) -> str:
    try:
        return api_address(value)
    except AddressError as wrong:
        detail = "give `sandbox` or a URL like https://eversince.ai/api/v1"
        raise ConfigError((error(Code.URL, f"{source} {wrong}", detail),)) from None


def _state(source: str, value: str) -> str:
    if not value.strip() or "\0" in value:
        raise ConfigError((error(Code.BLANK, f"{source}: {quoted(value)} is not a valid place for the state"),))
    return value


def folder_name(root: Path) -> str:
    """The directory's name as a workspace's name."""
    name = re.sub("[^A-Za-z0-9._-]+", "-", root.resolve().name)
    return re.sub("^[^A-Za-z0-9]+", "", name)[:64].rstrip("-") or "workspace"


def _read(root: Path) -> tuple[dict[str, Any], str, list[Diagnostic]]:
    """The file's tree, not checked yet, its text, and what keeps it from being one; empty if there is no file."""
    if not (root / FILE).exists() and not (root / FILE).is_symlink():
        for name in MISTAKEN:
            if (root / name).exists():
                at = Location(name)
                raise ConfigError((error(Code.UNREADABLE, f"{name} is never read", f"call it {FILE}", location=at),))
        return {}, "", []
    try:
        text = read_text(inside(root, FILE), FILE, MAX_BYTES)
    except FileProblem as problem:
        at = Location(FILE, problem.line)
        raise ConfigError((error(problem.code, problem.summary, problem.detail, location=at),)) from None
    parsed = parse(text, FILE)
    found = list(parsed.problems)
    documents = [(tree, mark) for tree, mark in parsed.documents if tree is not None]
    for number, (tree, mark) in enumerate(documents):
        if number or not isinstance(tree, dict):
            found.append(error(Code.TYPE, f"{FILE} is one mapping", location=Location(FILE, *mark)))
    tree = documents[0][0] if documents else {}
    if not isinstance(tree, dict):
        tree = {}
    return tree if isinstance(tree, YamlMap) else dict(tree), text, found


def _check(tree: dict[str, Any], explain: Explain, env: Mapping[str, str]) -> list[Diagnostic]:
    layers, known = (Layer(FILE, tree, ()),), shapes.current()
    found: list[Diagnostic] = []
    for problem in _shape_problems(tree, explain, env):
        value = _at(tree, problem.path)
        checked_filled = problem.code in _BY_VALUE or (problem.path and problem.path[-1] in known.flag_keys)
        own = problem.path[2:] if problem.path[:1] == (BLOCKS,) else problem.path
        if checked_filled and own[:1] == ("defaults",) and isinstance(value, str) and "$" in value:
            continue  # checked once its variables are filled in
        at = locate(layers, problem.path, on_key=problem.on_key)
        found.append(error(problem.code, problem.summary, problem.detail, location=at))
    if found:
        return found
    problems = list(environment_problems(tree))
    for path in ((), *((BLOCKS, name) for name in tree.get(BLOCKS, ()))):
        if "specs" in (block := _at(tree, path)):
            problems += spec_folder_problems(block["specs"], (*path, "specs"))
    return _located(tree, problems)


def _shape_problems(tree: dict[str, Any], explain: Explain, env: Mapping[str, str]) -> list[Problem]:
    problems: list[Problem] = []
    for version, part in by_version(tree, env):
        with contract.kept():
            contract.choose(version)
            problems += problems_of(shapes.current().config_file, part, explain)
    return problems


def _located(tree: dict[str, Any], problems: Iterable[Problem]) -> list[Diagnostic]:
    layers = (Layer(FILE, tree, ()),)
    return [
        error(p.code, p.summary, p.detail, location=locate(layers, p.path, on_key=p.on_key) if p.path else None)
        for p in problems
    ]


def _chosen(tree: dict[str, Any], named: tuple[str, str] | None, text: str) -> str | None:
    """The environment to work in. Raises ConfigError: there is no such one, or none is named where there are some."""
    known = tree.get(BLOCKS, {})
    source, name = named or ("", tree.get(DEFAULT))
    problem = None
    if named is not None and name not in known:
        problem = unknown_environment(named[1], tree, prefix=f"{source}: ")
    elif known and name is None:
        problem = none_chosen(tree)
    if problem is not None:
        raise ConfigError(with_sources(tuple(_located(tree, [problem])), {FILE: text}))
    return name


def _check_places(root: Path, tree: dict[str, Any]) -> list[Diagnostic]:
    """Folders and files that the file names, and that lie outside."""
    specs = tree.get("specs", "specs")
    alone = isinstance(specs, str)
    places = [(("specs",) if alone else ("specs", i), name) for i, name in enumerate([specs] if alone else specs)]
    if "vars_file" in tree:
        places.append((("vars_file",), tree["vars_file"]))
    problems = []
    for path, name in places:
        try:
            within_repository(root, name)
        except FileProblem as problem:
            problems.append(Problem(problem.code, path, f"{path[0]}: {problem.summary}", problem.detail))
    return _located(tree, problems)


def _check_trust(
    root: Path, tree: dict[str, Any], env: Mapping[str, str], *, url_given: bool, state_given: bool
) -> list[Diagnostic]:
    """What a file of the right shape may not decide."""
    api = tree.get("api", {})
    problems = [*unallowable(tree.get("policy", {}).get("allowed_env", ()), api.get("key_env", KEY_ENV))]
    if "url" in api and not url_given:
        problems += filter(None, [untrusted_destination(api["url"], env)])
    if "state" in tree and not state_given:
        problems += filter(None, [outside_state(root, tree["state"])])
    return _located(tree, problems)


def _at(tree: Any, path: tuple[str | int, ...]) -> Any:
    for part in path:
        try:
            tree = tree[part]
        except (KeyError, IndexError, TypeError):
            return None
    return tree
