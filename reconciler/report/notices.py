"""Facts as people and machines receive them: JSON for webhooks, text for Slack, Markdown for a job's summary.

Receivers act on what they get, so untrusted text is made inert: no markup, mentions or links of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from reconciler.model.facts import Fact, FactKind
from reconciler.model.values import Json
from reconciler.model.version import VERSION
from reconciler.report.comment import code
from reconciler.report.heading import Where, api_host, environment_name
from reconciler.report.safe_text import clean

FORMAT_VERSION: Final = "1.0"
FACTS_MAX: Final = 50
"""Facts in one notice; more are counted."""
TEXT_MAX: Final = 500
"""Characters of one text."""
TITLES: Final[dict[FactKind, str]] = {
    "applied": "Applied",
    "apply_failed": "Apply failed",
    "waits": "Waits for feedback",
    "project_failed": "Project failed",
    "drift": "Drift",
    "credits": "Low credits",
}
Redact = Callable[[str], str]


def fact_id(where: Where, fact: Fact) -> str:
    """What a receiver knows a fact by."""
    parts = (where.workspace, where.environment or "", where.api_url, fact.key)
    return sha256("\0".join(parts).encode()).hexdigest()[:32]


def webhook_body(facts: Sequence[Fact], where: Where, *, at: str, redact: Redact) -> bytes:
    """The JSON document of a signed webhook."""

    def text(value: str | None) -> Json:
        return None if value is None else _short(redact(value))

    told: list[Json] = [
        {
            "id": fact_id(where, fact),
            "kind": fact.kind,
            "address": text(fact.address),
            "project_id": text(fact.project_id),
            "summary": text(fact.summary),
            "detail": text(fact.detail),
            "url": text(_https(fact.url)),
        }
        for fact in facts[:FACTS_MAX]
    ]
    document: dict[str, Json] = {
        "format_version": FORMAT_VERSION,
        "reconciler_version": VERSION,
        "at": at,
        "workspace": where.workspace,
        "environment": where.environment,
        "api": redact(api_host(where.api_url)),
        "facts": told,
        "more": max(0, len(facts) - FACTS_MAX),
    }
    return json.dumps(document).encode()


def slack_body(facts: Sequence[Fact], where: Where, *, redact: Redact) -> bytes:
    """The document of Slack's incoming webhooks."""

    def safe(text: str) -> str:
        return _short(redact(text)).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    lines = [f"reconciler, workspace {safe(environment_name(where))}"]
    for fact in facts[:FACTS_MAX]:
        subject = f" `{safe(fact.address)}`" if fact.address else ""
        lines.append(f"• {TITLES[fact.kind]}{subject}: {safe(fact.summary)}")
        lines += [f"> {safe(line)}" for line in fact.detail.splitlines()[:10] if line.strip()]
        if url := _https(fact.url):
            lines.append(f"> {safe(url)}")
    lines += [f"and {len(facts) - FACTS_MAX} more"] if len(facts) > FACTS_MAX else []
    return json.dumps({"text": "\n".join(lines), "unfurl_links": False, "unfurl_media": False}).encode()


def summary_markdown(facts: Sequence[Fact], where: Where) -> str:
    """A section of a job's summary."""
    lines = [f"### Notices of workspace {code(environment_name(where))}\n"]
    for fact in facts[:FACTS_MAX]:
        subject = f" {code(fact.address)}" if fact.address else ""
        lines.append(f"* **{TITLES[fact.kind]}**{subject}: {code(fact.summary)}")
        lines += [f"  {code(line)}" for line in fact.detail.splitlines()[:10] if line.strip()]
    lines += [f"* and {len(facts) - FACTS_MAX} more"] if len(facts) > FACTS_MAX else []
    return "\n".join(lines) + "\n"


def _https(url: str | None) -> str | None:
    """A link to follow; the server could send another scheme."""
    return url if url and url.startswith("https://") else None


def _short(text: str) -> str:
    text = clean(text, multiline=True)
    return text if len(text) <= TEXT_MAX else f"{text[: TEXT_MAX - 1]}…"
