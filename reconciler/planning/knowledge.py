"""Known values of a project's fields, their sources, and whether they agree with the spec."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import to_builtins

from reconciler.model import contract
from reconciler.model.likeness import begins, reads_alike
from reconciler.model.live import LiveProject, Snapshot
from reconciler.model.plan import Basis, Change, Step
from reconciler.model.state import Entry, Known, State
from reconciler.model.values import (
    Json,
    Revealed,
    Secret,
    Value,
    digest,
    exposed,
    has_secret,
    is_sealed,
    masked,
    sealed,
    shown,
)
from reconciler.planning.kept_values import is_form, is_in_effect, lags, may_have_a_form

_STATUS_CLASS: Mapping[str, str] = {
    contract.Status.IDLE: "idle",
    contract.Status.FAILED: "failed",
    contract.Status.CANCELLED: "cancelled",
}

_MARK_OF_A_CUT = 3
"""How long the mark of a cut may be (`...`)."""


def agrees(desired: Value, known: Json) -> bool:
    """Whether a known value (sealed, or read from the account) reads the same as the desired one."""
    if isinstance(desired, Secret) and isinstance(known, str):
        return reads_alike(exposed(desired), known)
    return reads_alike(sealed(desired), known)


def setting_known(name: str, entry: Entry | None, live: LiveProject | None, at: str) -> Known | None:
    """The best known value of a setting: what was just read, unless the state's is newer."""
    asked = entry.settings.get(name) if entry else None
    if live is not None and not (asked is not None and lags(name, asked, live, at)):
        if name in live.differing:  # no search finds a form that was not seen yet
            return asked if asked is not None and may_have_a_form(asked) else None
        if name in live.settings:
            return Known(live.settings[name], live.source, at)
    return asked


def setting_changes(
    settings: Mapping[str, Value], entry: Entry | None, live: LiveProject | None, *, lineage: str, at: str
) -> dict[str, Change]:
    """The declared settings that are not known to be as desired, by name.

    A setting that no GET shows and whose value is unknown counts as different: only a PATCH makes it known.
    """
    recorded = entry.settings if entry else {}
    changes: dict[str, Change] = {}
    for name, wanted in settings.items():
        now = setting_known(name, entry, live, at)
        if wanted is None and name in recorded and contract.current().field(name).null_detects:
            # null asks for auto-detection, and the list may show what was detected: only what was asked for counts
            now = recorded[name]
        if now is not None and agrees(wanted, now.value):
            continue
        before = recorded.get(name)
        asked = before is not None and agrees(wanted, before.value)
        if asked and is_in_effect(name, wanted, entry, live, lineage):
            continue
        secret = has_secret(wanted)
        hidden = secret or (before is not None and is_sealed(before.value))
        changes[name] = Change(
            path=f"settings.{name}",
            before=None if now is None else "(secret)" if hidden and now.value is not None else shown(now.value),
            after=masked(wanted),
            before_source="none" if now is None else now.source,
            sensitive=secret,
            drift=asked,
        )
    return changes


def brief_matches(brief: Value, live: LiveProject) -> bool:
    """Whether what the list shows of a brief is the start of this one, however the server cuts and normalizes it."""
    return live.brief is not None and begins(
        plain_text(brief).expose(), live.brief, contract.current().limits.list_brief
    )


def is_whole(listed: str) -> bool:
    """Whether a brief in the list is so short that it was not cut, however the server counts."""
    return len(listed.encode("utf-16-le")) // 2 < contract.current().limits.list_brief - _MARK_OF_A_CUT


def title_matches(title: Value, live: LiveProject) -> bool:
    """Whether a project has this title, perhaps normalized by the account."""
    shown = live.settings.get("title")
    return agrees(title, shown) or is_form("title", title, shown)


def is_as_asked(fields: Mapping[str, Value], live: LiveProject) -> bool:
    """Whether a project has the brief and the title of a create, as far as the list shows them."""
    return (live.brief is None or brief_matches(fields["brief"], live)) and (
        "title" not in fields or "title" not in live.settings or title_matches(fields["title"], live)
    )


def plain_text(value: Value) -> Revealed:
    """The plain text of a value, empty for ``None``."""
    return Revealed(str(exposed(value) or ""))


def entry_digest(entry: Entry) -> str:
    """What a saved plan compares with the state: the entry without what is only informative, such as settings that were
    merely seen, and without the addresses it refers to, which the same plan may rename.
    """
    informs = dict.fromkeys(("outputs", "cursor", "lifecycle", "replacing"))
    values = {name: known.value for name, known in entry.settings.items() if known.source in {"patch", "sent"}}
    held = {**to_builtins(entry.renamed(lambda _: "")), **informs, "settings": values}
    for name in ("not_ours", "reads"):  # informative too, and not in the digests of earlier versions
        del held[name]
    for name in ("rendered", "shared"):  # unknown to earlier versions
        if held[name] is None:
            del held[name]
    held["messages"] = [{n: v for n, v in message.items() if n != "reads"} for message in held["messages"]]
    return digest(held)


def subject(steps: Iterable[Step], live: Snapshot) -> LiveProject | None:
    """The live project that the steps are about, where the state does not say: one to be bound."""
    return next((live.projects[i] for i in (step.project_id for step in steps) if i and i in live.projects), None)


def basis(
    entry: Entry | None,
    live: LiveProject | None,
    *,
    missing: bool,
    fields: tuple[str, ...],
    former: tuple[str, ...] = (),
    hide: Callable[[Json], Json] = lambda value: value,
) -> Basis:
    """What the steps of an address were computed from. ``hide`` removes secrets before values are digested, since a digest
    of a short one can be guessed.
    """
    if live is not None:
        status = _STATUS_CLASS.get(live.status, "active")
    else:
        status = "absent" if missing or entry is None else "unread"
    seen = live.settings if live else {}
    return Basis(
        entry=entry_digest(entry) if entry else None,
        status=status,  # type: ignore[arg-type]  # the table's values are the literal's
        observed={name: digest(hide(seen[name])) for name in fields if name in seen},
        former=() if entry else former,
    )


def remembered_projects(state: State) -> dict[str, LiveProject]:
    """Managed projects as the state remembers them (``--no-refresh``), by id."""
    return {
        entry.project_id: LiveProject(
            id=entry.project_id,
            status=entry.outputs.status or contract.Status.IDLE,
            source="status",
            settings={"mode": mode.value} if mode is not None else {},
            assembled_url=entry.outputs.assembled_url,
        )
        for entry in state.projects.values()
        for mode in (entry.settings.get("mode"),)
    }
