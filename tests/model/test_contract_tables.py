"""What the tables of an API's versions refuse where they are made."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from reconciler.model.contract_2025_03 import V2025_03
from reconciler.model.contract_tables import Field


@pytest.mark.parametrize("field", V2025_03.fields, ids=lambda field: field.name)
def test_a_field_that_is_declared_twice_is_refused(field):
    """Intent: of two descriptions of one field, some parts would follow the first and some the last."""
    other = Field(name=field.name, calls=frozenset({"message"}))
    with pytest.raises(ValueError, match=f"the contract {V2025_03.version} declares the field `{field.name}` twice"):
        replace(V2025_03, fields=(*V2025_03.fields, other))


@pytest.mark.parametrize(
    "values",
    [
        {"values": ("a", "b", "a")},
        {"values": ("a",), "values_after_creation": ("a",)},
    ],
)
def test_a_value_that_a_choice_lists_twice_is_refused(values):
    with pytest.raises(ValueError, match="the field `mode` lists the value `a` twice"):
        Field(name="mode", kind="choice", calls=frozenset({"create"}), **values)


def test_the_same_name_in_another_version_is_another_field():
    """Intent: versions stand beside each other."""
    assert replace(V2025_03, version="2026-01").fields == V2025_03.fields
