"""References to media in specifications: their checks, and what is stored of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from reconciler.adapters.specs.validation.codes import Code
from reconciler.adapters.specs.validation.problem import Problem, dotted
from reconciler.adapters.specs.validation.shapes import SENT_AS_URL, SOURCES
from reconciler.adapters.specs.yaml.parsing import Path
from reconciler.model import contract
from reconciler.model.references import PROJECT_TYPE

_ARTICLE: Final = {"upload_id": "an"}


def reference_lists(tree: dict[str, Any]) -> Iterator[tuple[Path, list[Any]]]:
    """Where a project's tree has lists of references, and these."""
    messages = tree.get("messages")
    within = enumerate(messages if isinstance(messages, list) else ())
    for path, holder in (((), tree), *((("messages", index), message) for index, message in within)):
        references = holder.get("references") if isinstance(holder, dict) else None
        if isinstance(references, list):
            yield (*path, "references"), references


def reference_problems(tree: dict[str, Any]) -> Iterator[Problem]:
    """References of the project and of its messages: one source each, and few of them URLs."""
    for path, references in reference_lists(tree):
        urls = 0
        for index, reference in enumerate(references):
            if isinstance(reference, dict):
                urls += any(source in reference for source in SENT_AS_URL)
                yield from _reference((*path, index), reference, urls)


def _reference(at: Path, reference: dict[str, Any], urls: int) -> Iterator[Problem]:
    where, limit = dotted(at), contract.current().limits.url_references
    there = [source for source in SOURCES if source in reference]
    if len(there) > 1:
        summary = f"{where} has {_a(there[0])} and {_a(there[1])}"
        yield Problem(Code.CONFLICT, (*at, there[1]), summary, "make it two references", on_key=True)
    elif reference.keys() <= {"type"}:
        summary = f"{where} has no {', no '.join(SOURCES[:-1])} and no {SOURCES[-1]}"
        yield Problem(Code.MISSING, at, summary, "give one of them")
    elif "type" in reference and there and there[0] not in SENT_AS_URL:
        summary = f"{where} has a type and {_a(there[0])}"
        yield Problem(Code.CONFLICT, (*at, "type"), summary, "only a url or a project takes a type", on_key=True)
    as_url = next((source for source in there if source in SENT_AS_URL), None)
    if as_url is not None and urls == limit + 1:
        summary = (
            f"{where} is one url too many: at most {limit} references are sent as a url, videos of projects among them"
        )
        detail = "give the others as a file, or upload them and give their upload_id"
        yield Problem(Code.LIMIT, (*at, as_url), summary, detail, on_key=True)


def _a(source: str) -> str:
    return f"{_ARTICLE.get(source, 'a')} {source}"


def referenced_files(tree: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """The files that references name, and where."""
    for path, references in reference_lists(tree):
        for index, reference in enumerate(references):
            name = reference.get("file") if isinstance(reference, dict) else None
            if isinstance(name, str) and name.strip():
                yield (*path, index, "file"), name


def complete_references(tree: dict[str, Any], digest: Callable[[str], str]) -> None:
    """Fill in what a checked tree leaves open: the type of a project's video, and the digest of a file."""
    for _, references in reference_lists(tree):
        for reference in references:
            if "project" in reference:
                reference.setdefault("type", PROJECT_TYPE)
            elif "file" in reference:
                reference["digest"] = digest(reference["file"])
