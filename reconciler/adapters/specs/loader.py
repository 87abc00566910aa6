"""Loader of specification files: all projects of a workspace as one :class:`Desired`, checked across files."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from reconciler.adapters.specs.config_file import FILE
from reconciler.adapters.specs.language.dependency_checks import (
    dependency_cycles,
    unknown_dependencies,
    with_families_expanded,
)
from reconciler.adapters.specs.language.layers import Layer, locate
from reconciler.adapters.specs.language.membership import Names, membership_problems
from reconciler.adapters.specs.language.project import Mentions, ProjectReader
from reconciler.adapters.specs.language.variable_declarations import Declarations, Given
from reconciler.adapters.specs.language.variable_files import configured_values
from reconciler.adapters.specs.language.variables import Filler, Scope
from reconciler.adapters.specs.validation import shapes
from reconciler.adapters.specs.validation.checks import Explain, problems_of
from reconciler.adapters.specs.validation.codes import Code, error, in_order, with_sources
from reconciler.adapters.specs.validation.size_limits import (
    DEPENDENCIES_MAX,
    NODES_MAX,
    SHOWN_MAX,
    Findings,
    Room,
    TooMuchError,
    bounds_of,
    too_many_projects,
)
from reconciler.adapters.specs.validation.suggestions import did_you_mean, printable, quoted
from reconciler.adapters.specs.workspace_files import FileProblem, inside, read_text, walk, within_repository
from reconciler.adapters.specs.yaml.parsing import MAX_BYTES, parse
from reconciler.model import contract
from reconciler.model.config import Config
from reconciler.model.desired import NAME, AdoptOrigin, Desired, DesiredProject, ImportOrigin, Moved, Removed
from reconciler.model.errors import Diagnostic, Location, SpecError

_NONE: Mapping[str, str | Given] = MappingProxyType({})
_LEADS = "a move leads to a project that the specs declare"


def load_specs(
    config: Config,
    *,
    env: Mapping[str, str],
    explain: Explain,
    variables: Mapping[str, str | Given] = _NONE,
    flags: Collection[str] = (),
    mentions: Mentions | None = None,
) -> Desired:
    """Everything that the workspace's specifications declare, every variable filled; in the configuration's version of
    the API.

    ``env`` is where ``${env.…}`` is looked up (only names in ``policy.allowed_env``), ``variables`` are given for
    ``${var.…}``; they win over ``RECONCILER_VAR_…`` in ``env``, over the configuration, and over declared defaults. Those of ``flags`` must
    be declared or used: the user typed them for these specs. ``mentions`` gets the files that projects name, also where an
    error is raised.

    Raises:
        SpecError: with all errors of all files, by file and place.

    """
    with contract.kept():
        contract.choose(config.api_version)
        return _Workspace(config, env, explain, variables, flags, [] if mentions is None else mentions).load()


class _File(Struct):
    """The parts of one file that are used: its documents' projects, and its defaults."""

    name: str
    projects: list[tuple[str, Layer]] = field(default_factory=list)
    defaults: Layer | None = None


def _ends(moves: Mapping[str, Moved]) -> dict[str, str | None]:
    """Where each moved address leads in the end, however many moves go on from there; ``None``: in a circle."""
    ends: dict[str, str | None] = {}
    for start in moves:
        passed: set[str] = set()
        address = start
        while address in moves and not (address in ends or address in passed):
            passed.add(address)
            address = moves[address].to_address
        ends |= dict.fromkeys(passed, ends.get(address, None if address in passed else address))
    return ends


class _Workspace:
    def __init__(
        self,
        config: Config,
        env: Mapping[str, str],
        explain: Explain,
        variables: Mapping[str, str | Given],
        flags: Collection[str],
        mentions: Mentions,
    ) -> None:
        self._explain = explain
        self._mentions = mentions
        self._config = config
        self._env = env
        self._given = variables
        self._flags = flags
        self._found: list[Diagnostic] = Findings()
        self._bounds = bounds_of(env)
        self._room = Room(self._bounds.text)
        self._nodes = self._read = 0
        self._declarations = Declarations(self._found)
        self._texts: dict[str, str] = {}
        self._all_read = True
        self._count = 0
        self._named = Names(config.environments)
        self._places: dict[str, Location | None] = {}
        self._projects: dict[str, DesiredProject] = {}
        self._families: dict[str, list[str]] = {}
        self._layers: dict[str, tuple[Layer, ...]] = {}
        """Where the projects that depend on others are written."""
        self._moved: list[Moved] = []
        self._removed: list[Removed] = []

    def load(self) -> Desired:
        try:
            files = self._load()
        except TooMuchError as much:
            list.append(
                self._found,
                error(Code.TOO_LARGE, much.summary, much.detail, location=much.location, address=much.address),
            )
            files = []
        if self._found:
            raise SpecError(self._sourced())
        return Desired(
            self._config.workspace,
            self._projects,
            tuple(self._moved),
            tuple(self._removed),
            files={file.name: len(file.projects) for file in files},
        )

    def _load(self) -> list[_File]:
        """Read everything; the files, and what is wrong in ``_found``. Raises TooMuchError."""
        config = self._config
        name = config.file or FILE
        defaults = Layer(name, config.defaults, ())
        self._declarations.add(Layer(name, config.variables, ()), set())
        files = [self._file(name) for name in self._names()]
        variables = self._declarations.values(self._given, self._env, configured_values(config))
        filler = Filler(
            workspace=config.workspace,
            environment=config.environment,
            variables=variables,
            env=self._env,
            allowed=config.policy.allowed_env,
            failed=self._declarations.failed,
            room=self._room,
        )
        reader = ProjectReader(config.root, filler, self._found, self._explain, self._mentions)
        for layer in (defaults, *(file.defaults for file in files)):
            if layer is not None and layer.tree:
                reader.check_defaults(layer)
        for file in files:
            below = (defaults,) if file.defaults is None else (file.defaults, defaults)
            for project, layer in file.projects:
                self._project(reader, project, (layer, *below))
        self._check_flags(filler)
        self._check_targets()
        self._check_dependencies()
        self._check_moved()
        self._check_removed()
        return files

    def _check_flags(self, filler: Filler) -> None:
        known = self._declarations.names | filler.used
        for name in sorted(set(self._flags) - known):
            if not any(f"${{var.{name}}}" in text for text in self._texts.values()):  # of a project made no times, say
                summary = f"--var gives {quoted(name)}, which no specification declares or uses"
                self._error(Code.VARIABLE, summary, did_you_mean(name, known), None)

    def _sourced(self) -> tuple[Diagnostic, ...]:
        """What was found, in order, with the lines it is about."""
        found = in_order(self._found)
        if (beyond := len(found) - SHOWN_MAX) > 0:
            found = (*found[:SHOWN_MAX], error(Code.TOO_LARGE, f"{beyond:,} more errors are not listed"))
        name = self._config.file
        if name is not None and any(finding.location and finding.location.file == name for finding in found):
            with contextlib.suppress(FileProblem):
                self._texts[name] = read_text(inside(self._config.root, name), name, MAX_BYTES)
        return with_sources(found, self._texts)

    def _error(self, code: Code, summary: str, detail: str, location: Location | None, address: str = "") -> None:
        self._found.append(error(code, summary, detail, location=location, address=address or None))

    def _names(self) -> list[str]:
        folders = self._config.spec_folders
        missing = [name for name in folders if not os.path.isdir(self._config.root / name)]  # noqa: PTH112  takes any name
        for folder in missing:
            detail = f"run `reconciler init`, or create the folder; specs: in {FILE} names another one"
            summary = f"there is no folder {printable(folder)} with specifications"
            self._error(Code.NO_SPECS, summary, detail, None)
        if missing:
            return []
        names, problems = walk(self._config.root, folders)
        for name, problem in problems:
            self._error(problem.code, problem.summary, problem.detail, Location(printable(name)))
        return [name for name in names if name != FILE]

    def _file(self, name: str) -> _File:
        """Read a file: report what is wrong with it as YAML and with its frame, keep its moves and removals."""
        file = _File(printable(name))
        try:
            text = read_text(within_repository(self._config.root, name), name, MAX_BYTES)
        except FileProblem as problem:
            self._error(problem.code, problem.summary, problem.detail, Location(file.name, problem.line))
            self._all_read = False
            return file
        self._texts[file.name] = text
        self._read += len(text)
        if self._read > self._bounds.text:
            raise self._room.overrun(self._read, at_least=True)
        parsed = parse(text, file.name)
        self._nodes += parsed.nodes
        if self._nodes > NODES_MAX:
            summary = f"the specifications up to {file.name} have {self._nodes:,} keys and values"
            raise TooMuchError(f"{summary}, and {NODES_MAX:,} are allowed", "split the workspace")
        for finding in parsed.problems:
            self._found.append(finding)
        self._all_read = self._all_read and not parsed.problems
        for root, mark in parsed.documents:
            if isinstance(root, dict):
                self._document(file, root)
            elif root is not None:
                summary = f"a specification must be a mapping, not {quoted(root)}"
                detail = f"valid keys: {', '.join(shapes.current().document.names)}"
                self._error(Code.TYPE, summary, detail, Location(file.name, *mark))
        return file

    def _document(self, file: _File, root: dict[str, Any]) -> None:
        frame = Layer(file.name, root, ())
        wrong = set()
        for problem in problems_of(shapes.current().document, root, self._explain):
            wrong.add(problem.path[: 2 if problem.path[0] == "variables" else 1])
            at = locate((frame,), problem.path, on_key=problem.on_key)
            self._error(problem.code, problem.summary, problem.detail, at)
        if "variables" in root and ("variables",) not in wrong:
            broken = {str(path[1]) for path in wrong if len(path) > 1}
            self._declarations.add(Layer(file.name, root, ("variables",)), broken)
        if "defaults" in root and ("defaults",) not in wrong:
            if file.defaults is not None:
                at = locate((frame,), ("defaults",), on_key=True)
                first = locate((file.defaults,), (), on_key=True)
                self._error(Code.DUPLICATE_KEY, "this file has defaults already", f"at {first}", at)
            else:
                file.defaults = Layer(file.name, root, ("defaults",))
        if ("projects",) not in wrong:
            file.projects += [
                (address, Layer(file.name, root, ("projects", address))) for address in root.get("projects", ())
            ]
        if ("moved",) not in wrong:
            for index, entry in enumerate(root.get("moved", ())):
                self._moved.append(Moved(entry["from"], entry["to"], locate((frame,), ("moved", index))))
        if ("removed",) not in wrong:
            for index, entry in enumerate(root.get("removed", ())):
                self._removed.append(Removed(entry["address"], entry["action"], locate((frame,), ("removed", index))))

    def _project(self, reader: ProjectReader, name: str, layers: tuple[Layer, ...]) -> None:
        at = locate(layers[:1], (), on_key=True)
        if not NAME.fullmatch(name):
            better = re.sub("[^a-z0-9_-]+", "-", name[:63].lower()).strip("-_")
            hint = "the part in brackets comes from for_each" if "[" in name else ""
            hint = f"{hint or f'did you mean {quoted(better)}?'} " if better else ""
            detail = f"{hint}An address has 1 to 63 of a-z, 0-9, _ and -, and starts with a letter or digit"
            self._error(Code.ADDRESS, f"{quoted(name)} is not a valid address", detail, at)
            return
        if not self._is_here(name, layers[0], at):
            return
        scopes = reader.scopes(name, layers, self._bounds.projects)
        if scopes is None:
            self._all_read = False
            return
        self._count += len(scopes)
        if self._count > self._bounds.projects:
            summary, detail = too_many_projects(self._count, self._bounds.projects)
            summary = f"with {name} and all before it, {summary}"
            raise TooMuchError(summary, detail, location=at, address=name)
        if isinstance(own := layers[0].tree, dict) and "for_each" in own:
            self._families[name] = [scope.address for scope in scopes]
        self._make(reader, scopes, layers, at)

    def _is_here(self, name: str, own: Layer, at: Location | None) -> bool:
        """Whether a project is in this environment. Environments may each have their own of one name."""
        config = self._config
        problems = list(membership_problems(own.tree, config.environments))
        for problem in problems:
            where = locate((own,), problem.path, on_key=problem.on_key)
            self._error(problem.code, problem.summary, problem.detail, where, name)
            self._places[name] = at
        members = self._named.members(None if problems else own.tree)
        twice = self._named.add(name, members, at)
        if twice is not None:
            summary, detail = f"the project {quoted(name)} is declared twice", f"first at {twice[1]}"
            if config.environments:
                summary += f" in environment {twice[0]}"
                detail += "; only or except can keep them in different environments"
            self._error(Code.DUPLICATE_ADDRESS, summary, detail, at, name)
        return not (problems or twice) and config.environment in members

    def _make(self, reader: ProjectReader, scopes: list[Scope], layers: tuple[Layer, ...], at: Location | None) -> None:
        """Take in the projects of these scopes. Raises TooMuchError, with what all of them would come to."""
        before = self._room.used
        for made, scope in enumerate(scopes):
            self._places[scope.address] = at
            try:
                project = reader.project(scope, layers, at)
            except TooMuchError as stop:
                much = stop
                if made and self._room.used > self._room.limit:
                    much = self._room.overrun(before + (self._room.used - before) / made * len(scopes))
                much.location = at
                raise much from None
            if project:
                self._projects[scope.address] = project
                if project.dependencies:
                    self._layers[scope.address] = layers

    def _check_targets(self) -> None:
        """No project is adopted or imported twice."""
        taken: dict[str, DesiredProject] = {}
        for project in self._projects.values():
            if not isinstance(origin := project.origin, AdoptOrigin | ImportOrigin):
                continue
            if first := taken.get(origin.target):
                verb = "adopts" if isinstance(first.origin, AdoptOrigin) else "imports"
                summary = f"{first.address} {verb} {quoted(origin.target)} already"
                detail = f"at {first.location}; one project has one address"
                self._error(Code.DUPLICATE_TARGET, summary, detail, project.location, project.address)
            taken.setdefault(origin.target, project)

    def _check_dependencies(self) -> None:
        """Whatever a project refers to or waits for is declared, and nothing waits for itself."""
        waiting = {address: self._projects[address] for address in self._layers}
        count = sum(len(self._families.get(name, ".")) for project in waiting.values() for name in project.depends_on)
        if count > DEPENDENCIES_MAX:
            summary = f"depends_on makes {count:,} dependencies, and {DEPENDENCIES_MAX:,} are allowed in a workspace"
            raise TooMuchError(
                summary, "let projects wait for fewer others: the name of a for_each stands for all of it"
            )
        found, elsewhere = (
            list(dependency_cycles(waiting, self._families)),
            self._named.elsewhere(self._config.environment),
        )
        for address, project in waiting.items() if self._all_read else ():
            found += (
                (address, p)
                for p in unknown_dependencies(project, self._projects, self._places, self._families, elsewhere)
            )
        for address, problem in found:
            at = locate(self._layers[address], problem.path)
            self._error(problem.code, problem.summary, problem.detail, at, address)
        self._projects |= {
            address: with_families_expanded(project, self._families) for address, project in waiting.items()
        }

    def _check_moved(self) -> None:
        """Moves lead from addresses that are not declared to one that is, perhaps over others: states are behind by different
        numbers of renames. Each is kept with the address that it leads to in the end; one to a project of other
        environments is theirs.
        """
        elsewhere = self._named.elsewhere(self._config.environment)
        moves = [move for move in self._moved if move.to_address.partition("[")[0] not in elsewhere]
        steps: dict[str, Moved] = {}
        for move in moves:
            steps.setdefault(move.from_address, move)
        theirs = {move.from_address for move in self._moved} - steps.keys()
        self._moved = []
        ends = _ends(steps)
        circle = next((move for move in moves if ends[move.from_address] is None), None)
        for move in moves:
            a, b = move.from_address, ends[move.from_address]
            if b in theirs:
                continue
            if a in self._places:
                summary = f"{a} is moved away but still declared"
                detail = f"declared at {self._places[a]}; rename it there, or drop the move"
            elif move is not steps[a]:
                summary, detail = f"{a} is moved away twice", f"first at {steps[a].location}"
            elif move is circle:
                summary, detail = f"the moves from {a} lead in a circle", _LEADS
            elif b == move.to_address and b not in self._places and self._all_read:
                summary = f"{a} is moved to {b}, which is not declared"
                detail = did_you_mean(b, self._places) or _LEADS
            else:
                self._moved += [replace(move, to_address=b)] if b is not None else []
                continue
            self._error(Code.MOVED, summary, detail, move.location, a)

    def _check_removed(self) -> None:
        seen: dict[str, Removed] = {}
        leaving = {move.from_address: move for move in self._moved}
        for removal in self._removed:
            name = removal.address
            if name in self._places:
                detail = f"declared at {self._places[name]}; drop it there, or here"
                self._error(Code.REMOVED, f"{name} is removed but still declared", detail, removal.location, name)
            if name in leaving:
                detail = f"moved at {leaving[name].location}; keep one of them"
                self._error(Code.REMOVED, f"{name} is removed and moved", detail, removal.location, name)
            if name in seen:
                detail = f"first at {seen[name].location}"
                self._error(Code.REMOVED, f"{name} is removed twice", detail, removal.location, name)
            seen.setdefault(name, removal)
