"""The Eversince projects API of May 2026: what differs from the version before it.

Source: the vendor's public documentation.
"""

from __future__ import annotations

from typing import Final

from reconciler.model.contract_2026_04 import V2026_04
from reconciler.model.contract_tables import Conversion, Field, Status, StatusRule, later

_SKILLS: Final = ("cinema", "animation", "ugc", "music", "photography", "motion-graphics")
_OVER: Final = StatusRule(active=False, calls=frozenset({"settings", "message"}))

V2026_05: Final = later(
    V2026_04,
    version="2026-05",
    fields={
        "agent_model": (
            V2026_04.field("agent_model"),
            Field(
                name="reasoning_mode",
                kind="choice",
                calls=frozenset({"create", "settings"}),
                shown_in=frozenset({"settings"}),
                values=("thinking", "fast"),
                default="thinking",
                help="How the agent thinks: thinking (the API's default) or fast.",
            ),
        ),
        "craft": (
            Field(
                name="skills",
                kind="set",
                calls=frozenset({"create", "settings"}),
                shown_in=frozenset({"settings"}),
                values=_SKILLS,
                default=[],
                help="Skills of the agent, in any order: names, or UUIDs of your own skills. The list replaces all active "
                "skills; [] removes them.",
                examples=(["cinema", "music"],),
            ),
        ),
        "craft_auto": (),
        "expected_output": (),
    },
    limits={"create_credits": 30, "renders_per_day": 10},  # 50 with a subscription
    renders={"1080p": 0, "4k": 10},
    statuses={**V2026_04.statuses, Status.FAILED: _OVER, Status.CANCELLED: _OVER},
    conversions=(
        *V2026_04.conversions,
        Conversion(name="craft", to="skills", values={"general": [], **{name: [name] for name in _SKILLS}}),
    ),
)
