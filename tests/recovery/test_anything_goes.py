"""Spec edits, people, faults and kills in any order: a calm apply brings it all in order, with nothing twice or lost."""

import contextlib
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from reconciler.model import contract
from reconciler.model.errors import ReconcilerError
from reconciler.sandbox.store import Fault
from tests.recovery.mortal import Killed, Virtual

ADDRESSES = st.sampled_from(["a", "b", "c", "d"])
LONG = "A long brief about the sea, waves & <gulls>, told calmly 🎬 with \u00fc. " * 5
BRIEFS = st.sampled_from(["A first brief.", "A second brief.", LONG.strip(), "This one will [fail]"])
TITLES = st.sampled_from(["One", "Two", "Three"])
CRAFTS = st.sampled_from(["cinema", "humor", "ugc"])
DELIVERED = {"a": {"render": "4k", "share": {"title": "One"}}, "b": {"share": {}}, "c": {"render": "1080p"}}
WORDS = st.sampled_from(["go", "go", "more", 'Say "A & B < C" 🎬 and it\'s u\u0308ber'])
SERVERS = st.fixed_dictionaries(
    {
        "title_habits": st.lists(st.sampled_from(["trim", "fold", "lower", "escape", "nfd"]), max_size=2, unique=True),
        "message_habits": st.lists(
            st.sampled_from(["trim", "fold", "escape", "controls", "quotes", "emoji", "joiners", "nfc", "nfd"]),
            max_size=3,
            unique=True,
        ),
        "message_max": st.sampled_from([0, 0, 20]),
        "message_line": st.sampled_from(["", "", "1 reference attached."]),
        "list_brief": st.sampled_from(["plain", "ellipsis", "dots"]),
        "list_utf16": st.booleans(),
        "list_lag": st.sampled_from([0.0, 0.0, 20.0]),
        "page_max": st.sampled_from([100, 100, 2, 5]),
        "unknown_cursor": st.sampled_from(["refuse", "empty"]),
    }
)
"""What a server does to text, and how it shows it (see `reconciler sandbox faults --help`)."""
FAULTS = st.builds(
    Fault,
    kind=st.sampled_from(["reset", "status", "html", "truncated", "empty"]),
    method=st.sampled_from(["GET", "POST", "POST", "PATCH"]),
    when=st.sampled_from(["before", "after"]),
    code=st.just("internal_error"),
    skip=st.integers(0, 5),
    times=st.integers(1, 2),
)


class Anything(RuleBasedStateMachine):
    """``specs`` is what the files say; ``known`` every project that a state ever named."""

    figures: ClassVar = Counter()
    version: ClassVar = contract.DEFAULT_VERSION

    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp(prefix="recovery-"))
        self.world = Virtual(self.folder, self.version)
        self.specs, self.known, self.foreign, self.typed = {}, set(), set(), Counter()
        self.touched = Counter()
        self.findable, self.renamed = True, False
        self.forgotten = 0  # what the ledger had when the API last forgot all keys
        self.specs["teaser"] = {"brief": "A teaser.", "settings": {"title": "Teaser"}, "messages": []}
        for address, messages in (("a", ["go", "go"]), ("b", ["more"])):
            self.add(address=address, brief="A first brief.", title="One", messages=messages, fed=False)

    def teardown(self):
        if hasattr(self, "world"):
            self.settle_down()
            self.world.close()
            shutil.rmtree(self.folder)

    def direction(self, craft):
        """How the version says it."""
        return {"craft": craft}

    # ── edits ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def save(self, moved=()):
        self.world.specs(self.specs, moved)

    @rule(address=ADDRESSES, brief=BRIEFS, title=TITLES, messages=st.lists(WORDS, max_size=3), fed=st.booleans())
    def add(self, address, brief, title, messages, fed):
        """``fed``: with the video of the teaser, which nobody disturbs.

        Not where an apply has still to part with one of that name: its log would count as edited.
        """
        if address not in self.specs and address not in self.world.entries():
            settings = {"title": f"{title} {address}"}
            self.specs[address] = {"brief": f"({address}) {brief}", "settings": settings, "messages": messages}
            if address in DELIVERED:
                self.specs[address]["deliver"] = DELIVERED[address]
            if fed:
                self.specs[address]["references"] = [{"project": "teaser"}]
            self.save()

    @rule(address=ADDRESSES, action=st.sampled_from(["stop", "cancel", "forget", "release"]))
    def remove(self, address, action):
        if address in self.specs:
            self.findable = False
            self.specs[address]["lifecycle"] = {"on_remove": action}
            self.save()
            self.settle_down()
            del self.specs[address]
            self.save()

    @rule(address=ADDRESSES, title=TITLES, craft=CRAFTS)
    def edit(self, address, title, craft):
        if address in self.specs:
            self.specs[address]["settings"] = {"title": f"{title} {address}", **self.direction(craft)}
            self.save()

    @rule(address=ADDRESSES, brief=BRIEFS)
    def rewrite(self, address, brief):
        if address in self.specs:
            self.specs[address]["brief"] = f"({address}) {brief}"
            self.save()

    @rule(address=ADDRESSES, words=WORDS)
    def say(self, address, words):
        if address in self.specs:
            self.specs[address]["messages"] = [*self.specs[address]["messages"], words]
            self.save()

    @rule(address=ADDRESSES)
    def cancel(self, address):
        if address in self.specs:
            self.findable = False
            self.specs[address]["state"] = "cancelled"
            self.save()

    @rule(old=ADDRESSES, new=ADDRESSES, points=st.integers(0, 12))
    def rename(self, old, new, points):
        if old in self.specs and new not in self.specs:
            self.settle_down()
            if new in self.world.entries():
                return
            self.renamed = True
            self.specs[new] = self.specs.pop(old)
            self.save([(old, new)])
            self.disturbed(points, "none")
            self.settle_down()
            self.save()

    # ── people ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def project(self, address):
        entry = self.world.entries().get(address)
        return entry and entry["project_id"]

    @rule(address=ADDRESSES, words=WORDS)
    def person_writes(self, address, words):
        project = self.project(address)
        if project:
            self.world.store.person_writes(project, words)
            self.typed[project, words] += 1
            self.touched[project] += 1

    @rule(address=ADDRESSES, title=TITLES)
    def person_sets(self, address, title):
        if self.project(address):
            self.world.store.person_sets(self.project(address), title=title)

    @rule(address=ADDRESSES, status=st.sampled_from(["cancelled", "idle", "running"]))
    def person_stops(self, address, status):
        project = self.project(address)
        if project:
            now = next(p["status"] for p in self.world.store.projects() if p["id"] == project)
            if now not in ("cancelled", "failed"):
                self.world.store.set_status(project, status)
                self.touched[project] += 1

    @rule(address=ADDRESSES)
    def person_renders(self, address):
        project = self.project(address)
        if project and next(p["status"] for p in self.world.store.projects() if p["id"] == project) == "idle":
            self.world.store.person_renders(project)
            self.touched[project] += 1

    @rule(brief=BRIEFS, title=TITLES)
    def person_creates(self, brief, title):
        self.foreign.add(self.world.store.person_creates(brief=brief, title=title))

    # ── trouble ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @rule(fault=FAULTS)
    def fault(self, fault):
        self.world.store.add_fault(fault)

    @rule(habits=SERVERS)
    def server_changes_its_habits(self, habits):
        self.figures["machine: habits of servers"] += 1
        self.world.store.change(habits)

    @rule()
    def server_forgets_cursors(self):
        self.figures["machine: cursors forgotten"] += 1
        self.world.store.forget_cursors()

    @rule(points=st.integers(0, 40), wait=st.sampled_from(["none", "steps", "steps"]))
    def disturbed(self, points, wait):
        self.figures["machine: disturbed runs"] += 1
        with contextlib.suppress(Killed, ReconcilerError):
            self.world.apply(wait=wait, points=points, timeout=120.0)
        self.learn()

    @rule(points=st.integers(0, 12))
    def disturbed_early(self, points):
        self.disturbed(points, "steps")

    @rule(first=st.integers(0, 40), second=st.integers(0, 15))
    def disturbed_twice(self, first, second):
        self.disturbed(first, "steps")
        self.disturbed(second, "steps")

    @rule(
        first=st.sampled_from(["apply", "recover"]),
        address=ADDRESSES,
        change=st.sampled_from(["nothing", "nothing", "brief", "title"]),
        aged=st.booleans(),
    )
    def state_is_lost(self, first, address, change, aged):
        """The user applies without a state, or goes the way that its plan names: recovers what is shown, imports the rest.

        Perhaps the API has forgotten the keys, and a spec was changed at the same time. Not where projects were forgotten
        or released: the account has them, and no one can tell them from those that are managed.
        """
        self.settle_down()
        if not self.findable:
            return
        ids = {a: e["project_id"] for a, e in self.world.entries().items()}
        before = self.spent()
        (self.folder / "reconciler.state.json").unlink()
        changed = self.change(address, change) if address in self.specs else False
        if aged:
            with self.world.store.account() as account:  # not the clock: URLs of videos would expire
                account.run("UPDATE projects SET created_at = created_at - ?", 48 * 3600)
            self.world.store.forget_keys()
            self.forgotten = len(self.world.store.ledger())
        if first == "apply" and not self.renamed:  # the keys of old names tell nothing: see the manual
            self.world.apply(wait="steps")
            self.learn()
            self.kept(ids, before, {address} if changed else set())
            self.figures["machine: states lost, then applied"] += 1
        lost = ids.keys() - self.world.entries().keys()
        if lost and not self.world.recover(ids):
            self.figures["machine: recoveries that the user refused"] += 1
        for name in lost - self.world.entries().keys():
            self.world.bind(name, ids[name])
            self.figures["machine: imported by hand"] += 1
        self.settle_down()
        self.kept(ids, before, {address} if changed else set())
        self.figures["machine: states lost"] += 1

    def change(self, address, what):
        """Whether the address wants another project now."""
        spec = self.specs[address]
        if what == "brief":
            spec["brief"] += " And more."
        if what == "title":
            spec["settings"] = {**spec["settings"], "title": f"Four {address}"}
        self.save()
        return what == "brief"

    def spent(self):
        """What was bought, by project."""
        bought = [e for e in self.world.store.ledger() if e.kind in ("create", "message")]
        return Counter((e.kind, e.project_id) for e in bought)

    def kept(self, ids, before, changed):
        """Of a lost state's projects none was bought again, none got a message again, and none is left to itself."""
        now, entries = self.spent(), self.world.entries()
        assert {k: now[k] for k in before} == before
        new = {project for _, project in now.keys() - before.keys()}
        bound = {a: e["project_id"] for a, e in entries.items()}
        assert new <= {bound.get(a) for a in changed}, (new, bound, ids)
        assert all(bound[a] == ids[a] or a in changed for a in ids.keys() & bound.keys()), (bound, ids)
        self.figures["machine: projects looked for after a loss"] += len(ids)

    def learn(self):
        for entry in self.world.entries().values():
            self.known |= {entry["project_id"], *entry["retired"]}

    @rule()
    def settle_down(self):
        """The claim: without further trouble an apply leaves nothing to do, a second one where a project failed or turned
        out to be there already.
        """
        world = self.world
        world.store.clear_faults()
        for project in world.store.projects():  # whoever a person left at work gets done
            if project["status"] in ("running", "rendering") and project["id"] not in self.foreign:
                world.store.set_status(project["id"], "idle")
        world.store.finish_all()
        for last in (False, True):
            result = world.apply(wait="idle")
            self.learn()
            for _ in range(10 if not last else 0):  # one message after the other may need a decision
                if not self.user_decides():
                    break
                world.apply(wait="idle")
                self.learn()
            left = [r for r in result.results if r.outcome in ("failed", "unknown", "deferred")]
            left = [r for r in left if r.error is None or r.error.kind != "undecided"]  # a question that stays
            assert not last or not left, [(r.step.address, r.step.action, r.outcome, r.error) for r in result.results]
        assert not world.pending()
        left = world.plan()
        assert not left.steps, [(s.address, s.action, s.reason) for s in left.steps]
        assert not left.errors, left.errors
        self.judge()

    def user_decides(self):
        """Say what became of the messages of which nothing could tell, as one does who looks into the conversation."""
        ledger = self.world.store.ledger()
        pending = self.world.pending()
        for intent in pending:
            if intent["kind"] in ("render", "share"):
                done = [e.kind for e in ledger if e.project_id == intent["project_id"]]
                last = "message" if intent["kind"] == "render" else "render"
                since = done[len(done) - done[::-1].index(last) :] if last in done else done
                self.world.decide(intent["address"], sent=intent["kind"] in since)
                self.figures["machine: decided by the user"] += 1
                continue
            assert intent["kind"] == "message", intent
            project, words = intent["project_id"], intent["body"]["message"]
            there = sum(
                e.kind == "message" and e.project_id == project and e.detail["message"] == words for e in ledger
            )
            logged = sum(m["text"] == words for m in self.world.entries()[intent["address"]]["messages"])
            self.world.decide(intent["address"], sent=there + self.typed[project, words] > logged)
            self.figures["machine: decided by the user"] += 1
        return bool(pending)

    def judge(self):
        world = self.world
        ledger = world.store.ledger()
        keys = Counter(e.idempotency_key for e in ledger[self.forgotten :] if e.kind == "create")
        assert max(keys.values(), default=1) == 1, keys
        assert {e.project_id for e in ledger if e.kind == "create"} <= self.known
        assert not {e.project_id for e in ledger} & self.foreign
        for address, entry in world.entries().items():
            if address not in self.specs:
                continue
            project, wanted = entry["project_id"], self.specs[address]["messages"]
            sent = [e.detail["message"] for e in ledger if e.kind == "message" and e.project_id == project]
            logged = wanted[: len(entry["messages"])]
            status = next(p["status"] for p in world.store.projects() if p["id"] == project)
            rest = iter(
                logged
            )  # after a loss, the log of a project that is over stays empty: nothing more is sent to it
            in_order = all(words in rest for words in sent) or (not logged and status in ("cancelled", "failed"))
            assert in_order, f"{sent} is not in the order of {logged}"
            for words, times in Counter(logged).items():
                assert sent.count(words) + self.typed[project, words] >= times, f"{words} is lost"
            assert status != "idle" or len(logged) == len(wanted)
            self.judge_delivery(address, entry, [e.kind for e in ledger if e.project_id == project])

    def judge_delivery(self, address, entry, kinds):
        """Rendered and shared at most once for what the agent was told, but for what people did in between."""
        told = 1 + kinds.count("message") + self.touched[entry["project_id"]]
        assert kinds.count("render") <= told, kinds
        assert kinds.count("share") <= told, kinds
        self.figures["machine: renders and links"] += kinds.count("render") + kinds.count("share")


def machine(examples, steps, figures, kind=Anything):
    kind.figures = figures
    run_state_machine_as_test(
        kind,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            suppress_health_check=list(HealthCheck),
        ),
    )
    figures["machine: examples"] += examples


def test_anything_in_any_order(figures):
    machine(16, 14, figures)


@pytest.mark.sweep
@pytest.mark.timeout(3600)
def test_anything_in_any_order_for_long(figures):
    machine(150, 20, figures)
