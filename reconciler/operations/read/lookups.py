"""Looking things up before money is spent: the models and the account's own skills that specs name, and the balance.

All of it is beyond the contract. Where the API has none of it, or a call fails, nothing is said; that it lacks a call is
remembered for a day.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from typing import Final

from msgspec import Struct, field

from reconciler.adapters.api.client import CREDITS, MODELS, SKILLS, ApiClient
from reconciler.adapters.cache import Cache
from reconciler.model import contract
from reconciler.model.contract_conversions import UUID
from reconciler.model.desired import CreateOrigin, DesiredProject
from reconciler.model.errors import ApiError, Diagnostic, HaltedError, Severity
from reconciler.model.live import Model

_KINDS: Final = {"video_model": "video", "image_model": "image"}
"""The settings that name a model, and its type."""
_LISTED: Final = 8


def ignore(_: str) -> None:
    pass


class Lookup(Struct, frozen=True, kw_only=True):
    """How to look something up. ``tell`` hears why something was not found out; ``api_url`` is the account's."""

    api: ApiClient
    api_url: str
    now: str
    severity: Severity
    cache: Cache = field(default_factory=Cache)
    tell: Callable[[str], None] = ignore

    async def check(self, projects: Iterable[DesiredProject]) -> tuple[Diagnostic, ...]:
        """What the API does not have of what these projects name. One call for each type of model, and one for skills, if
        any are named.
        """
        projects = list(projects)
        found: list[Diagnostic] = []
        for name, kind in _KINDS.items():
            naming = [project for project in projects if isinstance(project.settings.get(name), str)]
            known = await self._models(kind) if naming else {}
            found += [d for project in naming if known for d in self._model(project, name, kind, known)]
        owners = {project.address: skills for project in projects if (skills := _own_skills(project))}
        ids = await self._skills() if owners else None
        if ids is not None:
            by_address = {project.address: project for project in projects}
            found += [
                self._finding(
                    by_address[address],
                    f"the account has no skill `{skill}`",
                    "`skills` takes names, or UUIDs of skills of this account. Correct it, or use the key of the account "
                    "that has it.",
                )
                for address, skills in owners.items()
                for skill in skills
                if skill not in ids
            ]
        return tuple(found)

    async def _models(self, kind: str) -> dict[str, Model]:
        """The API's models by their ids; empty where it does not tell."""
        key = ("models", self.api_url, contract.current().version, kind)
        models = self.cache.get(key, list[Model], now=self.now)
        if models is None:
            if self._is_lacking(MODELS):
                return {}
            try:
                models = await self.api.models(kind)
            except HaltedError:
                raise
            except ApiError as error:
                self.tell(f"The {kind} models were not checked: {error.diagnostics[0].summary}.")
                return {}
            if models is None:
                self._remember_lacking(MODELS)
                return {}
            self.cache.put(key, models, now=self.now)
        return {model.id: model for model in models}

    async def balance(self) -> int | None:
        """The credits that are left, if the API tells."""
        if self._is_lacking(CREDITS):
            return None
        found = await self.api.credits(needed=False)
        self._remember_lacking(CREDITS)
        return found

    def _is_lacking(self, path: str) -> bool:
        """Whether the API had no such call in the last day."""
        return self.cache.get(self._lack(path), bool, now=self.now) is True

    def _remember_lacking(self, path: str) -> None:
        """Remember that the API has no such call, if it said so."""
        if path in self.api.lacking:
            self.cache.put(self._lack(path), True, now=self.now)  # noqa: FBT003  the value that is kept

    def _lack(self, path: str) -> tuple[str, ...]:
        return ("lacking", self.api_url, contract.current().version, path)

    async def _skills(self) -> frozenset[str] | None:
        if self._is_lacking(SKILLS):
            return None
        try:
            found = await self.api.skills()
        except HaltedError:
            raise
        except ApiError as error:
            self.tell(f"Skills were not checked: {error.diagnostics[0].summary}.")
            return None
        self._remember_lacking(SKILLS)
        return found

    def _model(self, project: DesiredProject, name: str, kind: str, known: dict[str, Model]) -> Iterable[Diagnostic]:
        wanted = str(project.settings[name])
        model = known.get(wanted)
        if model is None:
            near = difflib.get_close_matches(wanted, known, 1)
            hint = f"Did you mean `{near[0]}`? " if near else ""
            listed = ", ".join(f"`{each}`" for each in list(known)[:_LISTED])
            more = f" and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
            yield self._finding(
                project, f"`{name}`: the API has no {kind} model `{wanted}`", f"{hint}It has {listed}{more}."
            )
            return
        ratio = _ratio(project)
        if ratio is not None and model.aspect_ratios and ratio not in model.aspect_ratios:
            able = [each for each, other in known.items() if ratio in other.aspect_ratios][:_LISTED]
            others = f" These can: {', '.join(f'`{each}`' for each in able)}." if able else ""
            yield self._finding(
                project,
                f"`{name}`: `{wanted}` can't do the aspect ratio {ratio}",
                f"It can do {', '.join(model.aspect_ratios)}.{others}",
            )

    def _finding(self, project: DesiredProject, summary: str, detail: str) -> Diagnostic:
        return Diagnostic(
            severity=self.severity, address=project.address, summary=summary, detail=detail, location=project.location
        )


def _ratio(project: DesiredProject) -> str | None:
    """The aspect ratio that the project is created with; of one that exists already, it is not known."""
    if not isinstance(project.origin, CreateOrigin):
        return None
    ratio = project.creation.get("aspect_ratio", contract.current().creation_defaults.get("aspect_ratio"))
    return ratio if isinstance(ratio, str) else None


def _own_skills(project: DesiredProject) -> list[str]:
    """The UUIDs that it names, in small letters."""
    named: list[str] = []
    for each in contract.current().fields_of("settings"):
        value = project.settings.get(each.name)
        if each.kind == "set" and isinstance(value, list | tuple):
            named += [item.lower() for item in value if isinstance(item, str) and re.fullmatch(UUID, item)]
    return list(dict.fromkeys(named))
