"""The digests of secrets in state, journal and plan: a short secret is not found by trying, and old ones are still known."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.model import values
from reconciler.model.desired import CreateOrigin, Desired, DesiredMessage, DesiredProject, seal
from reconciler.model.values import Revealed, Secret, canonical, secret_digest
from reconciler.sandbox.server import BackgroundServer
from reconciler.sandbox.store import Fault, Options
from reconciler.sandbox.veil import Veil
from tests.cli.cli_support import make_space

KEY = "sk-digests"
PIN = "4711"
CONFIG = "workspace: acme\npolicy: {allowed_env: [WEBHOOK_TOKEN, OTHER]}\n"
MESSAGES = '"Softer, ${env.WEBHOOK_TOKEN}.", "Louder."'
SPEC = f"""\
projects:
  teaser:
    brief: Ten seconds. ${{env.WEBHOOK_TOKEN}}
    references: [{{url: "https://example.com/${{env.WEBHOOK_TOKEN}}.png", type: image}}]
    settings:
      title: Teaser
      webhook_url: https://hooks.example.com/${{env.WEBHOOK_TOKEN}}/in
    messages: [{MESSAGES}]
"""
MORE = (
    SPEC.replace('"Louder."', '"Louder.", "Once more: ${env.WEBHOOK_TOKEN}"')
    + '  second: {brief: "Twenty. ${env.WEBHOOK_TOKEN}", settings: {title: Second}}\n'
)
TEMPLATES = (
    "{}",
    "Ten seconds. {}",
    "Twenty. {}",
    "https://example.com/{}.png",
    "https://hooks.example.com/{}/in",
    "Softer, {}.",
    "Once more: {}",
    "Now {}",
)
APPLY = ("apply", "--auto-approve", "--poll-interval", "0.05", "--settle", "0")
OLD = Path(__file__).parent / "fixtures" / "before_scrypt"
"""State and journal of a run that was killed, as the version before wrote them: digests are HMACs under the lineage."""


@pytest.fixture
def world(tmp_path):
    """An account on a socket, and a workspace whose secret has four digits."""
    options = Options(speed=200, requests_per_minute=0, strict=True)
    with BackgroundServer(tmp_path / "account.db", options=options, key=KEY) as server:
        env = {"EVERSINCE_API_URL": server.url, "EVERSINCE_API_KEY": KEY, "WEBHOOK_TOKEN": PIN}
        space = make_space(tmp_path / "w", SPEC, CONFIG, **env)
        yield space, server


def spent(server):
    return [event.kind for event in server.store.ledger()]


def state_of(space):
    return json.loads((space.root / "reconciler.state.json").read_text())


def digests_in(text):
    """Everything in a file that may be a digest."""
    return set(re.findall(r"[0-9a-f]{32,64}", text))


def guesses(lineage):
    """What a reader of the file gets by trying all values of four digits with what stands in it, at no cost."""
    for number in range(10_000):
        for template in TEMPLATES:
            text = template.format(f"{number:04}")
            for key in (lineage, ""):
                yield hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()
            for form in (text, canonical(text), lineage + text):
                yield hashlib.sha256(form.encode()).hexdigest()


@pytest.mark.sweep
def test_a_secret_of_four_digits_is_not_found_by_trying(world):
    """Intent: what was seen in the issue: 10,000 tries told the value. State, calls of unknown fate and saved plan."""
    space, server = world
    space.run(*APPLY)
    space.write("specs/a.yaml", MORE.replace("/in", "/out"))
    server.store.person_sets(state_of(space)["projects"]["teaser"]["project_id"], title=f"Now {PIN}")
    space.run("plan", "--out", "saved.plan")
    server.store.add_fault(Fault(kind="reset", method="POST", path="^/projects$", when="after"))
    server.store.add_fault(Fault(kind="status", status=403, method="GET", path="^/projects$", skip=1, times=0))
    space.run(*APPLY, code=None)
    assert state_of(space)["pending"]
    kept = {path: data.decode() for path, (data, _) in space.files().items() if "state.json" in path or "plan" in path}
    found = {path: digests_in(text) for path, text in kept.items()}
    assert sum(map(len, found.values())) > 20
    assert PIN not in "".join(re.findall(r"Now (\S+)", "".join(kept.values())))
    tried = set()
    for guess in guesses(state_of(space)["lineage"]):
        tried |= {guess, guess[:32]}
    for path, digests in found.items():
        assert not digests & tried, path


def test_a_guess_costs_a_memory_hard_derivation(monkeypatch):
    """Intent: the cost stands in one place for each kind of file, and is what is asked for."""
    asked = []
    monkeypatch.setattr(hashlib, "scrypt", lambda password, **how: asked.append(how) or bytes(how["dklen"]))
    values._derived.cache_clear()
    secret_digest("lineage", Revealed("x"), (Revealed(PIN),))
    Veil([PIN * 2], b"salt").hide(PIN * 2)
    values._derived.cache_clear()
    assert [how["n"] * how["r"] * 128 >= 16 << 20 for how in asked] == [True, True]


def test_a_digest_depends_on_the_lineage_and_the_text():
    assert secret_digest("lineage", Revealed("x"), (Revealed(PIN),)).startswith("s1:")
    assert len({secret_digest(lineage, Revealed(text), (Revealed(PIN),)) for lineage in "ab" for text in "xy"}) == 4


@pytest.fixture
def derivations(monkeypatch):
    counted = []
    real = hashlib.scrypt

    def counting(password, **how):
        counted.append(password)
        return real(password, **{**how, "n": 2})

    monkeypatch.setattr(hashlib, "scrypt", counting)
    values._derived.cache_clear()
    yield counted
    values._derived.cache_clear()


@pytest.mark.sweep
def test_a_value_is_derived_once_however_many_texts_hold_it(derivations):
    """Intent: ten thousand projects with one token in as many texts take one derivation, not ten thousand."""

    def secret(text, *parts):
        return Secret("${env.A}", "", Revealed(text), tuple(map(Revealed, parts)))

    projects = {
        f"a{n}": DesiredProject(
            f"a{n}",
            CreateOrigin({"brief": secret(f"{n} {PIN}", PIN)}),
            {"webhook_url": secret(f"https://h/{PIN}/{n}/{PIN}", PIN, PIN)},
            (DesiredMessage("1", {"message": secret(f"{n} {PIN} other", PIN, "other")}),),
        )
        for n in range(10_000)
    }
    sealed = seal(Desired("w", projects), "lineage").projects
    assert sorted(derivations) == [PIN.encode(), b"other"]
    briefs = {project.creation["brief"].digest for project in sealed.values()}
    assert len(briefs) == 10_000


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ("https://h/${env.WEBHOOK_TOKEN}", "https://h/${env.OTHER}", False),
        ("https://h/${env.WEBHOOK_TOKEN}", "https://g/${env.WEBHOOK_TOKEN}", True),
    ],
)
def test_what_counts_is_the_value_not_the_name_of_its_variable(world, before, after, changes):
    """Intent: a digest tells a change of the text, and nothing else does."""
    space, _ = world
    spec = "projects: {a: {brief: x, settings: {webhook_url: 'HOOK'}}}\n"
    space.write("specs/a.yaml", spec.replace("HOOK", before))
    space.run(*APPLY)
    space.write("specs/a.yaml", spec.replace("HOOK", after))
    assert space.run("plan", "--detailed-exitcode", code=None, OTHER=PIN).code == 2 * changes
    assert space.run("plan", "--detailed-exitcode", code=None, OTHER="9999", WEBHOOK_TOKEN="9999").code == 2


def old_files(space, server, *, journal):
    """Put the files of the version before in the place of ours, about the projects and messages that there are."""
    ids = [event.detail["message_id"] for event in server.store.ledger() if event.kind == "message"]
    project = state_of(space)["projects"]["teaser"]["project_id"]
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    (space.root / "reconciler.state.json").unlink()
    for name, target in (("state.json", ""), ("journal.jsonl", ".journal"))[: 1 + journal]:
        text = (OLD / name).read_text()
        text = re.sub(r"http://127\.0\.0\.1:\d+/api/v1", server.url, text)
        text = re.sub(r"\bproj_[0-9a-f]{16}", project, text)
        text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", now, text)
        for number, old in enumerate(
            dict.fromkeys(re.findall(r"\bmsg_[0-9a-f]{16}", (OLD / "state.json").read_text()))
        ):
            text = text.replace(old, ids[number])
        (space.root / f"reconciler.state.json{target}").write_text(text)


@pytest.mark.sweep
def test_a_state_of_the_version_before_plans_nothing_and_is_sealed_anew(world):
    """Intent: no change, no "edited after it was sent", no second message; the next write has digests that cost."""
    space, server = world
    space.run(*APPLY)
    before = spent(server)
    old_files(space, server, journal=False)
    for _ in range(2):
        ran = space.run("plan", "--detailed-exitcode", "--format", "json")
        assert ran.document["steps"] == [] and ran.document["diagnostics"] == []
    space.run("validate")
    space.run(*APPLY)
    assert spent(server) == before
    found = state_of(space)
    entry = found["projects"]["teaser"]
    secrets = re.findall(r'"\$secret": "([^"]*)"', json.dumps(entry))
    assert len(secrets) == 3 and all(secret.startswith("s1:") for secret in secrets)
    assert entry["messages"][0]["content"].startswith("s1:")
    assert not digests_in((OLD / "state.json").read_text()) & digests_in(json.dumps(entry)) - {entry["messages"][1][k] for k in ("digest", "content")}  # fmt: skip
    serial = found["serial"]
    space.run(*APPLY)
    assert state_of(space)["serial"] == serial


@pytest.mark.sweep
def test_a_saved_plan_applies_to_a_state_of_the_version_before(world):
    """Intent: that the digests are of another kind makes no plan stale, and nothing is sent but what was planned."""
    space, server = world
    space.run(*APPLY)
    old_files(space, server, journal=False)
    space.write("specs/a.yaml", SPEC.replace("title: Teaser", "title: Now"))
    space.run("plan", "--out", "saved.plan")
    before = spent(server)
    space.run("apply", "saved.plan")
    assert spent(server) == [*before, "settings"]
    space.run("plan", "--detailed-exitcode")


@pytest.mark.sweep
def test_calls_of_unknown_fate_of_the_version_before_are_found(world):
    """Intent: its journal's create and message, both with the secret, are known again: nothing is made or sent twice."""
    space, server = world
    space.write("specs/a.yaml", MORE)
    space.run(*APPLY)
    before = spent(server)
    assert before.count("create") == 2 and before.count("message") == 3
    old_files(space, server, journal=True)
    space.run(*APPLY)
    assert spent(server) == before
    assert not state_of(space)["pending"]
    assert space.run("plan", "--detailed-exitcode").code == 0


@pytest.mark.sweep
def test_a_message_with_a_secret_is_known_among_others_of_its_words(world):
    """Intent: the same secret words twice, plain words between, the last answer lost: each is sent once."""
    space, server = world
    spec = "projects: {a: {brief: x, messages: [MESSAGES]}}\n"
    space.write("specs/a.yaml", spec.replace("MESSAGES", "'Say ${env.WEBHOOK_TOKEN}', Plain."))
    space.run(*APPLY)
    space.write(
        "specs/a.yaml", spec.replace("MESSAGES", "'Say ${env.WEBHOOK_TOKEN}', Plain., 'Say ${env.WEBHOOK_TOKEN}'")
    )
    server.store.add_fault(Fault(kind="reset", method="POST", path="/messages$", when="after"))
    space.run(*APPLY)
    assert spent(server) == ["create", "message", "message", "message"]
    space.run("plan", "--detailed-exitcode")


@pytest.mark.sweep
def test_a_saved_plan_binds_what_its_key_has_made_from_a_secret_brief(world):
    """Intent: a saved plan knows its own brief in the account, though it holds a digest of it alone."""
    space, server = world
    space.run("plan", "--out", "saved.plan")
    space.run("apply", "saved.plan", "--poll-interval", "0.05")
    before = spent(server)
    (space.root / "reconciler.state.json").unlink()
    space.run("plan", "--out", "again.plan")
    ran = space.run("apply", "again.plan", "--poll-interval", "0.05", code=None)
    assert "made from another brief" not in ran.out + ran.err
    assert [kind for kind in spent(server) if kind != "settings"] == before
