"""What one version of the API says for a setting of another."""

from __future__ import annotations

import re
from typing import Final

from reconciler.model.contract_tables import Contract, Conversion, Field
from reconciler.model.values import Json

UUID: Final = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"


def converted(name: str, value: Json, *, of: Contract, to: Contract) -> tuple[str, Json] | None:
    """The setting and value in ``to`` that say what these say in ``of``; None if nothing does."""
    if to.has(name) and fits(to.field(name), value):
        return name, value
    if to.version > of.version:
        said = next((rule for rule in to.conversions if rule.name == name), None)
        if said is None or said.to is None or not isinstance(value, str) or value not in said.values:
            return None
        return said.to, said.values[value]
    for rule in of.conversions:
        earlier = rule.inverse(of.field(name).canonical(value)) if rule.to == name and of.has(name) else None
        if earlier is not None and to.has(rule.name) and fits(to.field(rule.name), earlier):
            return rule.name, earlier
    return None


def new_name(name: str, *, of: Contract, to: Contract) -> str | None:
    """The setting in ``to`` that says at least a part of what this one says in ``of``; None if none does."""
    if to.has(name):
        return name
    rules: tuple[Conversion, ...] = max(of, to, key=lambda api: api.version).conversions
    pairs = [(rule.name, rule.to) if to.version > of.version else (rule.to, rule.name) for rule in rules]
    return next((later for earlier, later in pairs if earlier == name and later is not None and to.has(later)), None)


def fits(field: Field, value: Json) -> bool:
    """Whether a field may have a value, as far as its values are listed."""
    if field.kind == "choice":
        return value in field.allowed("settings") or (value is None and field.nullable)
    if field.kind == "set":
        return isinstance(value, list) and all(
            isinstance(item, str) and (item in field.values or re.fullmatch(UUID, item) is not None) for item in value
        )
    return True
