"""Reader of one project: defaults are merged, variables filled, the result checked and made into a value."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any, Final, Literal

from reconciler.adapters.specs.language.for_each import scopes_of
from reconciler.adapters.specs.language.layers import Layer, locate, merged
from reconciler.adapters.specs.language.local_files import LocalMedia, local_media
from reconciler.adapters.specs.language.media_references import (
    complete_references,
    reference_problems,
    referenced_files,
)
from reconciler.adapters.specs.language.variables import Filled, Filler, Scope, VariableProblem
from reconciler.adapters.specs.validation import shapes
from reconciler.adapters.specs.validation.checks import Explain, problems_of
from reconciler.adapters.specs.validation.codes import Code, error
from reconciler.adapters.specs.validation.problem import Problem, dotted
from reconciler.adapters.specs.validation.shape_types import Shape
from reconciler.adapters.specs.validation.shapes import ORIGINS
from reconciler.adapters.specs.validation.suggestions import quoted
from reconciler.adapters.specs.workspace_files import FileProblem, folder_inside, inside, read_text
from reconciler.adapters.specs.yaml.parsing import Path
from reconciler.model import contract
from reconciler.model.desired import (
    AdoptOrigin,
    CreateOrigin,
    Deliver,
    DesiredMessage,
    DesiredProject,
    ImportOrigin,
    Lifecycle,
    Origin,
)
from reconciler.model.errors import Diagnostic, Location

Mentions = list[tuple[Literal["brief", "asset"], str]]
"""Files of the workspace that projects name, whether they can be read or not."""
BRIEF_FILE_MAX: Final = 1_000_000
"""Bytes of a ``brief_file``."""


class ProjectReader:
    """Makes projects of trees; what is wrong is added to ``found``, the files that they name to ``mentions``."""

    def __init__(
        self, root: FilePath, filler: Filler, found: list[Diagnostic], explain: Explain, mentions: Mentions
    ) -> None:
        self._explain = explain
        self._mentions = mentions
        self._root = root
        self._filler = filler
        self._found = found
        self._layers: tuple[Layer, ...] = ()
        self._address: str | None = None
        self._brief: Path = ()
        self._read: dict[str, LocalMedia | FileProblem] = {}

    def check_defaults(self, layer: Layer) -> None:
        """Check defaults by themselves, whether a project uses them or not."""
        self._layers, self._address, self._brief = (layer,), None, ("brief",)
        tree = Filled(dict(layer.tree), self._filler, Scope("x"), self._variable)
        self._check(tree, shapes.current().defaults, _origin(tree.value, needed=False))

    def scopes(self, name: str, layers: tuple[Layer, ...], limit: int) -> list[Scope] | None:
        """The projects that this name stands for: one, or those of its ``for_each``, at most ``limit``; None if that is
        wrong.
        """
        own = layers[0].tree
        if not isinstance(own, dict) or "for_each" not in own:
            return [Scope(name)]
        self._layers, self._address = layers[:1], name
        before = len(self._found)
        tree = Filled({"for_each": own["for_each"]}, self._filler, Scope(name), self._variable)
        if tree.failed:
            return None
        scopes, problems = scopes_of(name, tree.value["for_each"], limit)
        for problem in problems:
            self._report(problem)
        return scopes if len(self._found) == before else None

    def project(self, scope: Scope, layers: tuple[Layer, ...], at: Location | None) -> DesiredProject | None:
        """The project of this scope, which stands ``at``, its own layer first, then the defaults; nothing if something
        is wrong.
        """
        before = len(self._found)
        address = scope.address
        self._layers, self._address, self._brief = layers, address, ("brief",)
        if not isinstance(own := layers[0].tree, dict):
            detail = "a project is a mapping" + ("; write {} for an empty one" if own is None else "")
            self._report(Problem(Code.TYPE, (), f"a project can't be {quoted(own)}", detail))
            return None
        whole = merged(layers)
        whole.pop("for_each", None)
        tree = Filled(_long_form(whole), self._filler, scope, self._variable)
        self._read_brief(tree)
        self._check(tree, shapes.current().project, [*_origin(tree.value), *_message_ids(tree.value)])
        if len(self._found) > before:
            return None
        return self._desired(address, tree.sealed(), at)

    def _check(self, tree: Filled, shape: Shape, rules: list[Problem]) -> None:
        """Report what the model and the rules between fields find, but for strings that failed already."""
        for problem in (
            *problems_of(shape, tree.value, self._explain, tree.secrets),
            *rules,
            *reference_problems(tree.value),
            *self._files(tree),
            *self._download(tree),
        ):
            if problem.path not in tree.failed:
                self._report(problem)

    def _files(self, tree: Filled) -> Iterator[Problem]:
        """Files that references name and that can't be uploaded."""
        for path, name in referenced_files(tree.value):
            try:
                if path not in tree.failed:
                    self._media(name)
            except FileProblem as problem:
                code = Code.OUTSIDE if problem.code is Code.OUTSIDE else Code.FILE
                yield Problem(code, path, f"{dotted(path)}: {problem.summary}", problem.detail)

    def _download(self, tree: Filled) -> Iterator[Problem]:
        """A folder for downloads that is not inside the workspace, is hidden, or is a file."""
        deliver = tree.value.get("deliver")
        name = deliver.get("download") if isinstance(deliver, dict) else None
        path: Path = ("deliver", "download")
        if isinstance(name, str) and name.strip() and path not in tree.failed:
            try:
                folder_inside(self._root, name)
            except FileProblem as problem:
                yield Problem(problem.code, path, f"{dotted(path)}: {problem.summary}", problem.detail)

    def _media(self, name: str) -> LocalMedia:
        """A file of the workspace, read once however often it is named. Raises FileProblem."""
        if name not in self._read:
            self._mentions.append(("asset", name))
            try:
                self._read[name] = local_media(self._root, name)
            except FileProblem as problem:
                self._read[name] = problem
        found = self._read[name]
        if isinstance(found, FileProblem):
            raise found
        return found

    def _report(self, problem: Problem) -> None:
        path = self._brief if problem.path == ("brief",) else problem.path
        location = locate(self._layers, path, on_key=problem.on_key)
        self._found.append(
            error(problem.code, problem.summary, problem.detail, location=location, address=self._address)
        )

    def _variable(self, problem: VariableProblem, path: Path) -> None:
        self._report(Problem(problem.code, path, f"{dotted(path)}: {problem.summary}", problem.detail))

    def _read_brief(self, tree: Filled) -> None:
        """Put the text of ``brief_file`` in the place of the brief; what is wrong with it stands at ``brief_file``."""
        name = tree.value.get("brief_file")
        if not isinstance(name, str) or "brief" in tree.value or ("brief_file",) in tree.failed:
            return
        self._brief = ("brief_file",)
        self._mentions.append(("brief", name))
        text = ""
        try:
            text = read_text(inside(self._root, name), name, BRIEF_FILE_MAX)
            if "\0" in text:
                raise FileProblem(Code.BRIEF_FILE, f"{quoted(name)} is not a text file")  # noqa: TRY301  as any other
        except FileProblem as problem:
            code = Code.OUTSIDE if problem.code is Code.OUTSIDE else Code.BRIEF_FILE
            self._report(Problem(code, ("brief_file",), f"brief_file: {problem.summary}", problem.detail))
            tree.failed.add(("brief",))
        del tree.value["brief_file"]
        tree.value["brief"] = tree.text(text.replace("\r\n", "\n").rstrip("\n"), ("brief",))

    def _desired(self, address: str, tree: dict[str, Any], at: Location | None) -> DesiredProject:
        origin: Origin
        complete_references(tree, lambda name: self._media(name).digest)
        if "adopt" in tree:
            origin = AdoptOrigin(tree["adopt"])
        elif "import" in tree:
            origin = ImportOrigin(tree["import"])
        else:
            origin = CreateOrigin({name: tree[name] for name in contract.current().creation_fields if name in tree})
        settings, lifecycle = tree.get("settings", {}), tree.get("lifecycle", {})
        lifecycle = {name: tuple(value) if isinstance(value, list) else value for name, value in lifecycle.items()}
        changeable = contract.current().fields_of("settings")
        messages = tuple(
            DesiredMessage(
                message.get("id", str(index + 1)),
                {name: message[name] for name in contract.current().message_fields if name in message},
                locate(self._layers, ("messages", index)),
            )
            for index, message in enumerate(tree.get("messages", ()))
        )
        return DesiredProject(
            address,
            origin,
            {f.name: f.canonical(settings[f.name]) for f in changeable if f.name in settings},
            messages,
            Lifecycle(**lifecycle),
            cancelled=tree.get("state") == "cancelled",
            depends_on=tuple(tree.get("depends_on", ())),
            tags=tuple(dict.fromkeys(tree.get("tags", ()))),
            deliver=Deliver(**tree.get("deliver", {})),
            location=at,
        )


def _long_form(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree with every message as a mapping."""
    if isinstance(messages := tree.get("messages"), list):
        tree["messages"] = [{"message": entry} if isinstance(entry, str) else entry for entry in messages]
    return tree


def _origin(tree: dict[str, Any], *, needed: bool = True) -> list[Problem]:
    """Check for exactly one origin (in defaults: at most one), and for create-only fields only with a brief."""
    there = [origin for origin in ORIGINS if origin in tree]
    if not there:
        detail = f"give one of {', '.join(ORIGINS)}"
        return [Problem(Code.MISSING, (), "the project has no brief", detail, on_key=True)] if needed else []
    found = [
        Problem(Code.CONFLICT, (other,), f"{other} can't be combined with {there[0]}", "keep one of them", on_key=True)
        for other in there[1:]
    ]
    if there[0] in ("adopt", "import"):
        found += [
            Problem(
                Code.CONFLICT,
                (name,),
                f"{name} can't be combined with {there[0]}",
                "it is only for projects that are created",
                on_key=True,
            )
            for name in shapes.current().creation_only
            if name in tree
        ]
    return found


def _message_ids(tree: dict[str, Any]) -> Iterator[Problem]:
    """No message id twice, given or by position."""
    first: dict[str, int] = {}
    messages = tree.get("messages")
    for index, message in enumerate(messages if isinstance(messages, list) else ()):
        given = message.get("id") if isinstance(message, dict) else None
        name = given if isinstance(given, str) else str(index + 1)
        if name in first:
            path: Path = ("messages", index, "id") if given is not None else ("messages", index)
            summary = f"the message id {quoted(name)} is already used by messages[{first[name]}]"
            detail = "give each message its own id; without one, its position is the id"
            yield Problem(Code.DUPLICATE_MESSAGE, path, summary, detail)
        first.setdefault(name, index)
