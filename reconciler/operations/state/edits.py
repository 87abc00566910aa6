"""Editing the state: import, rename, remove, accept a message log, decide calls of unknown fate, recover lost entries."""

from __future__ import annotations

from collections.abc import Callable
from shlex import quote

from msgspec.structs import replace

from reconciler.adapters.api.client import ApiClient
from reconciler.model.desired import ADDRESS, Desired, DesiredMessage, seal
from reconciler.model.errors import NotFoundError, UsageError
from reconciler.model.journal import Bind, Delivered, Draft, Drop, Effect, End, Learn, Rename
from reconciler.model.live import LiveProject
from reconciler.model.state import Entry, Intent, Known, SentMessage, Shared, State
from reconciler.model.values import from_portable
from reconciler.operations.apply.entries import creation_of, found_render, retired_ids
from reconciler.operations.calls.message import declared_sent, logged_message
from reconciler.operations.calls.render import rendered_by
from reconciler.operations.read.account import require_account
from reconciler.operations.read.refresh import list_filtered, merge
from reconciler.operations.recovery.lost_state import Choose, Finding, bind_chosen, find_lost
from reconciler.operations.workspace import Workspace
from reconciler.planning.creation import creation_with_defaults
from reconciler.planning.delivery import is_doubtful, may_be_it
from reconciler.planning.findings import did_you_mean
from reconciler.planning.knowledge import brief_matches
from reconciler.planning.message_log import CODE, Accepted, accept, compare
from reconciler.planning.resealing import Resealing


def change_state(
    workspace: Workspace, effects: Callable[[State], tuple[Effect, ...] | End], *, command: str, lock_timeout: float
) -> State:
    """Change the state under its lock, without a call. An ``End`` settles a call of unknown fate, too.

    Raises:
        StateError: it can't be locked, read or written.
        UsageError: ``effects`` refuses.

    """
    with workspace.store.lock(command, lock_timeout):
        state, _ = workspace.load()
        wanted = effects(state)
        if not wanted:
            return state
        workspace.store.begin(state)
        draft = Draft(state)
        draft.fold(wanted if isinstance(wanted, End) else End(effects=wanted))
        after = draft.state(state.serial + 1)
        workspace.store.save(after)
        return after


def check_address(address: str) -> str:
    """Return the address. Raises UsageError for what is not a valid one."""
    if not ADDRESS.fullmatch(address):
        raise UsageError(
            f"`{address}` is not a valid address",
            "Use up to 63 lowercase letters, digits, `-` and `_`, starting with a letter or a digit. `for_each` adds keys like "
            "`[us,16:9]`.",
        )
    return address


async def bind(workspace: Workspace, api: ApiClient, address: str, project_id: str, *, lock_timeout: float) -> str:
    """Bind an existing project to an address. Returns its status. Where it is unknown whether a create of the address was
    done, it was: this is its project.

    Raises:
        UsageError: the address or the project is taken, or there is no such project.
        AccountError: the key is of another account.
        ApiError: the project can't be read.

    """
    check_address(address)
    await require_account(api, workspace.config, workspace.load()[0].projects, at=workspace.now())
    try:
        live = await api.project(project_id)
    except NotFoundError as error:
        raise UsageError(f"the account has no project `{project_id}`", error.diagnostics[0].detail) from error
    listed = next((p for p in await list_filtered(api) if p.id == project_id), None)
    live = merge(listed, live) if listed else live

    def effects(state: State) -> tuple[Effect, ...] | End:
        holder = next((a for a, e in state.projects.items() if e.project_id == project_id), None)
        if holder is not None:
            raise UsageError(f"`{project_id}` is already managed as `{holder}`")
        create = next((i for i in state.pending.values() if (i.kind, i.address) == ("create", address)), None)
        old = state.projects.get(address)
        if old is not None and create is None:
            raise UsageError(
                f"`{address}` is already bound to `{old.project_id}`",
                f"Remove it from the state first: `reconciler state rm {quote(address)}`.",
            )
        at = workspace.now()
        clean = workspace.redact.fields(live.settings)
        entry = Entry(
            project_id=project_id,
            origin="imported",
            settings={name: Known(value, live.source, at) for name, value in clean.items()},
            studio_id=live.source_project_id,
            rendered=found_render(live.status, at=at) if live.assembled_url is not None else None,
        )
        if create is None:
            return (Bind(address=address, entry=entry),)
        return _settled(create, sent=True, effects=(Bind(address=address, entry=_made_by(create, entry, live, old)),))

    change_state(workspace, effects, command="reconciler import", lock_timeout=lock_timeout)
    return live.status


def _made_by(create: Intent, found: Entry, live: LiveProject, old: Entry | None) -> Entry:
    """The entry of a project that the user says a create has made; ``old`` is the one that it was to replace."""
    body = from_portable(create.body)
    entry = replace(found, generation=create.generation, retired=retired_ids(old))
    if not brief_matches(body["brief"], live):
        return entry
    return replace(entry, origin="created", creation=creation_with_defaults(creation_of(body)))


def rename(workspace: Workspace, old: str, new: str, *, lock_timeout: float) -> None:
    """Rename an address. Raises UsageError where it is unknown, or the new one is taken."""
    check_address(new)

    def effects(state: State) -> tuple[Effect, ...]:
        require_entry(state, old)
        if new in state.projects:
            raise UsageError(f"the state already has `{new}`")
        return (Rename(from_address=old, to_address=new),)

    change_state(workspace, effects, command="reconciler state mv", lock_timeout=lock_timeout)


def remove(workspace: Workspace, addresses: tuple[str, ...], *, lock_timeout: float) -> None:
    """Remove addresses from the state; their projects stay as they are. Raises UsageError for an unknown address."""

    def effects(state: State) -> tuple[Effect, ...]:
        for address in addresses:
            require_entry(state, address)
        return tuple(Drop(address=address) for address in addresses)

    change_state(workspace, effects, command="reconciler state rm", lock_timeout=lock_timeout)


def require_entry(state: State, address: str) -> Entry:
    """Return the entry of an address. Raises UsageError where there is none."""
    if address not in state.projects:
        hint = did_you_mean(address, state.projects) or "`reconciler state list` shows its addresses."
        raise UsageError(f"the state has no `{address}`", hint)
    return state.projects[address]


def accept_log(
    workspace: Workspace, desired: Desired, addresses: tuple[str, ...], *, lock_timeout: float
) -> dict[str, Accepted]:
    """Accept the specs' messages as what was sent. Returns the addresses whose log changes.

    Raises:
        UsageError: the state or the specs have no such address, or the address has a message of unknown fate.
        ReconcilerError: the state can't be read or written.

    """
    accepted: dict[str, Accepted] = {}

    def effects(state: State) -> tuple[Effect, ...]:
        sealed = seal(desired, state.lineage)
        projects, again = sealed.projects, Resealing(sealed, state.lineage)
        moved = {
            m.to_address: m.from_address
            for m in desired.moved
            if m.to_address not in state.projects and m.from_address in state.projects
        }
        binds = []
        for address in addresses:
            held_as = moved.get(address, address)
            entry = again(require_entry(state, held_as))
            if address not in projects:
                raise UsageError(
                    f"the specs have no `{address}`",
                    "The message log is taken from the spec, so the specs must declare it.",
                )
            if any(intent.kind == "message" and intent.address == held_as for intent in state.pending.values()):
                raise UsageError(
                    f"it is not known yet whether a message of `{address}` was sent",
                    "Run `reconciler apply`, which finds out, or decide it with `reconciler state resolve`.",
                )
            project = projects[address]
            if not any(d.code == CODE for d in compare(address, project.messages, entry.messages).diagnostics):
                continue

            def unsent(message: DesiredMessage) -> SentMessage:
                return logged_message(
                    message.id, message.body, lineage=state.lineage, at=workspace.now(), how="declared"
                )

            accepted[address] = accept(project.messages, entry.messages, unsent=unsent)
            binds.append(Bind(address=held_as, entry=replace(entry, messages=accepted[address].log)))
        return tuple(binds)

    change_state(workspace, effects, command="reconciler state accept", lock_timeout=lock_timeout)
    return accepted


def decide(workspace: Workspace, address: str, *, sent: bool, lock_timeout: float, renders: bool = True) -> list[str]:
    """Record the user's decision whether an address's calls of unknown fate were done, or else whether the video that it
    was found with has its link, or (where the spec ``renders``) was rendered as the spec says. Returns their names.

    Raises:
        UsageError: the address has no such call; or it is a create that was done: its project has to be named (see
            :func:`bind`); or a link that was made and can't be told from others.
        ReconcilerError: the environment lacks what the message's secret needs.

    """
    with workspace.store.lock("reconciler state resolve", lock_timeout):
        state, _ = workspace.load()
        open_ = [intent for intent in state.pending.values() if intent.address == address]
        entry = state.projects.get(address)
        doubts = (
            [] if open_ or entry is None else _doubts(address, entry, sent=sent, at=workspace.now(), renders=renders)
        )
        if not (open_ or doubts):
            raise UsageError(
                f"no call of `{address}` has an unknown outcome", "`reconciler plan` lists the calls that have one."
            )
        workspace.store.begin(state)
        draft = Draft(state)
        for intent in open_:
            draft.fold(_decision(workspace, intent, state.lineage, sent=sent))
        draft.fold(End(effects=tuple(doubts)))
        workspace.store.save(draft.state(state.serial + 1))
    if not open_ and entry is not None:
        return ["share link" if is_doubtful(entry.shared) else "render"]
    return [_named(intent) for intent in open_]


def _named(intent: Intent) -> str:
    if intent.kind == "share":
        return "share link"
    return f"{intent.kind} `{intent.message_id}`" if intent.message_id else intent.kind


def _doubts(address: str, entry: Entry, *, sent: bool, at: str, renders: bool) -> list[Delivered]:
    """Decide what the account could not tell of a project's video: its link, or else its render; never both at once.

    Raises:
        UsageError: its link can't be told from others.

    """
    rendered, shared = entry.rendered, entry.shared
    if shared is not None and is_doubtful(shared):
        if not sent:
            none = replace(shared, how="declared", outdated=True, may_be=())
            return [Delivered(address=address, shared=none)]
        if len(shared.may_be) != 1:
            raise UsageError(
                f"nothing tells which share link is that of `{address}`",
                f"{may_be_it(shared)}.\nNothing was changed. `reconciler state resolve {quote(address)} --not-sent` "
                "only makes one more link, which is free.",
            )
        return [Delivered(address=address, shared=shared.may_be[0])]
    if rendered is None or not renders or not is_doubtful(rendered):
        return []
    if sent:
        return [Delivered(address=address, rendered=replace(rendered, how="declared", at=at))]
    again = [Delivered(address=address)]
    if shared is None:  # no link that is there is that of the new video
        again.append(Delivered(address=address, shared=Shared(at=at, outdated=True, how="declared")))
    return again


def _decision(workspace: Workspace, intent: Intent, lineage: str, *, sent: bool) -> End:
    effects: tuple[Effect, ...] = ()
    if sent and intent.kind == "message":
        effects = (declared_sent(intent, workspace.env, lineage=lineage, at=workspace.now()),)
    elif sent and intent.kind == "render":
        effects = (rendered_by(intent, at=workspace.now()),)
    elif sent and intent.kind == "share":
        link = intent.near[0] if len(intent.near) == 1 else None
        effects = (Delivered(address=intent.address, shared=Shared(at=workspace.now(), share_url=link)),)
    elif intent.near and intent.kind == "message":
        effects = (Learn(address=intent.address, not_ours=intent.near),)
    elif sent and intent.kind == "create":
        raise UsageError(
            "a create can't be declared done without its project",
            f"Run `reconciler import {quote(intent.address)} PROJECT_ID`, which declares that it made this one.",
        )
    return _settled(intent, sent=sent, effects=effects)


def _settled(intent: Intent, *, sent: bool, effects: tuple[Effect, ...]) -> End:
    done = sent and intent.plan is not None
    return End(
        op=intent.op,
        result="done" if sent else "not_done",
        effects=effects,
        address=intent.address if done else None,
        plan=intent.plan if done else None,
        done=intent.step + intent.final,
        note="decided by the user",
    )


async def recover_state(
    workspace: Workspace,
    api: ApiClient,
    desired: Desired,
    *,
    choose: Choose,
    confirm: Callable[[list[Finding]], bool],
    lock_timeout: float,
) -> list[Finding]:
    """``state recover``: find what the state lost, show it, ask, bind. Returns what was found.

    ``choose`` is asked about each address for which the account shows projects but nothing tells which one is meant.

    Raises:
        UsageError: the user said no, or the state is one that only has to move into an environment.
        AccountError: the key is of another account.
        ReconcilerError: the state or the account can't be read.

    """
    with workspace.store.lock("reconciler state recover", lock_timeout):
        state, _ = workspace.load()
        workspace.store.begin(state)
        await require_account(api, workspace.config, state.projects, at=workspace.now())
        if before := workspace.elsewhere().before:
            place, way = (
                next(iter(before.values())).place,
                "`reconciler state mv --to-environment NAME` moves it into one.",
            )
            raise UsageError(f"the state in `{place}`, from before there were environments, is not lost", way)
        findings = await find_lost(workspace, api, desired, state)
        findings = await bind_chosen(workspace, api, desired, state, findings, choose)
        bound = [finding for finding in findings if finding.entry is not None]
        if not bound:
            return findings
        if not confirm(findings):
            raise UsageError("not approved: nothing was bound")
        draft = Draft(state)
        draft.fold(End(effects=tuple(Bind(address=f.address, entry=f.entry) for f in bound if f.entry is not None)))
        workspace.store.save(draft.state(state.serial + 1))
        return findings
