"""APIs with one field more. The one place that a new setting takes is its entry here.

The command runs with it in a process that has every module imported already (``tests/zygote.py``), as a workspace's
configuration would choose it: what was computed at import would not know the setting.
"""

from msgspec.structs import replace

from reconciler.model.contract_2025_03 import V2025_03
from reconciler.model.contract_tables import Field

BOTH = frozenset({"create", "settings"})
PATCHED = frozenset({"settings"})
LISTED = frozenset({"list", "settings"})
SETTINGS = {
    field.name: field
    for field in (
        Field(
            name="effort_for_tests",
            kind="choice",
            calls=BOTH,
            shown_in=PATCHED,
            values=("low", "high"),
            default="low",
            help="How long the agent thinks.",
        ),
        Field(name="narrate", kind="flag", calls=BOTH, shown_in=PATCHED, default=False, help="Let a voice tell it."),
        Field(
            name="voice",
            calls=BOTH,
            shown_in=PATCHED,
            nullable=True,
            secret=True,
            max_length=12,
            default=None,
            help="The voice's name.",
            help_null="null removes it.",
        ),
        Field(
            name="subtitles",
            kind="choice",
            calls=BOTH,
            shown_in=LISTED,
            nullable=True,
            values=("none", "burned-in"),
            default=None,
            help="Subtitles.",
        ),
        Field(name="order", calls=BOTH, shown_in=LISTED, max_length=8, default="up", help="A word of SQL."),
        Field(
            name="quality", kind="choice", calls=PATCHED, shown_in=PATCHED, values=("draft", "final"), help="Quality."
        ),
        Field(
            name="moods",
            kind="set",
            calls=BOTH,
            shown_in=PATCHED,
            values=("calm", "loud", "odd"),
            default=[],
            help="Moods.",
        ),
        Field(name="seed", calls=frozenset({"create"}), max_length=8, help="Same seed, same film."),
    )
}


def with_field(name):
    """The contract with one field more."""
    return replace(V2025_03, fields=(*V2025_03.fields, SETTINGS[name]))
