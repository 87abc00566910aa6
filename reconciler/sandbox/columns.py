"""Columns of a project that hold fields of the API: which there are, what is in them, and how they are shown."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from sqlite3 import Row

from msgspec import UNSET

from reconciler.model.contract_tables import Contract, Field
from reconciler.model.values import Json


@functools.cache
def plain_fields(api: Contract) -> tuple[Field, ...]:
    """The fields with a column of their name. Brief and references have columns of their own kind."""
    return tuple(
        field
        for field in api.fields
        if field.declared and (field.changeable or field.create_only) and field.kind != "references" and not field.block
    )


def quoted(name: str) -> str:
    """A column's name in SQL: a field may be called like a word of SQL. Double quotes would make a wrong one a string."""
    return f"[{name}]"


def storage_class(field: Field) -> str:
    """The column's type in SQLite. Rows of before there was the field have null in it."""
    return "INTEGER" if field.kind == "flag" else "TEXT"


def defaults(api: Contract, given: Mapping[str, Json]) -> dict[str, Json]:
    """What the API takes for the fields that a create does not give, by column."""
    usual = {field.name: field.default for field in plain_fields(api) if field.default is not UNSET}
    values = {**usual, **given}
    derived = {field.name: _is_true(field, values.get) for field in plain_fields(api) if field.true_if is not None}
    return {**usual, **derived}


def stored(api: Contract, values: Mapping[str, Json]) -> dict[str, Json]:
    """The values as the columns have them."""
    sets = {field.name for field in plain_fields(api) if field.kind == "set"}
    return {name: json.dumps(value) if name in sets else value for name, value in values.items()}


def shown(project: Row, field: Field, api: Contract) -> Json:
    """A field's value as the API shows it; one that was set in an earlier version, in the words of this one."""
    value = project[field.name]
    if field.kind == "set":
        return [] if value is None else sorted(json.loads(value))
    if value is None and not field.nullable:
        value = _is_true(field, project.__getitem__) if field.true_if is not None else field.default
        value = None if value is UNSET else value
    if field.kind == "choice" and value not in field.allowed("settings"):
        rules = (rule.values for rule in api.conversions if rule.name == rule.to == field.name)
        return next((values[value] for values in rules if value in values), value)
    return bool(value) if field.kind == "flag" else value


def _is_true(field: Field, value_of: Callable[[str], Json]) -> bool:
    name, value = field.true_if or ("", "")
    return bool(value_of(name) == value)
