"""The Eversince projects API of April 2026: what differs from the version before it.

Source: the vendor's public documentation.
"""

from __future__ import annotations

from typing import Final

from msgspec import UNSET
from msgspec.structs import replace

from reconciler.model.contract_2025_03 import V2025_03
from reconciler.model.contract_tables import Conversion, later

_CRAFTS: Final = ("auto", "general", "cinema", "animation", "ugc", "music", "photography", "motion-graphics")
_AGENTS: Final = ("opus-4.7", "opus-4.6", "sonnet-4.6")

V2026_04: Final = later(
    V2025_03,
    version="2026-04",
    fields={
        "brief": (replace(V2025_03.field("brief"), max_length=8_000),),
        "message": (replace(V2025_03.field("message"), max_length=8_000),),
        "craft": (replace(V2025_03.field("craft"), values=_CRAFTS),),
        "agent_model": (
            replace(
                V2025_03.field("agent_model"),
                values=_AGENTS,
                default=UNSET,
                help="The model that the agent works with.",
            ),
        ),
    },
    limits={"create_credits": 50, "low_credits": 101},  # the API warns of a balance of 100 or below
    renders={"1080p": 10, "4k": 10},
    own_skills=True,
    source_header="X-Eversince-Source",
    conversions=(
        Conversion(name="agent_model", to="agent_model", values={"opus": "opus-4.7", "sonnet": "sonnet-4.6"}),
    ),
)
