"""Plans as JSON documents and as files."""

import copy
import hashlib
import json
import stat
import string

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler import files
from reconciler.adapters import plan_file
from reconciler.adapters.plan_file import read_plan, write_plan
from reconciler.model import contract
from reconciler.model.desired import DesiredMessage, Lifecycle
from reconciler.model.errors import Diagnostic, Location, PlanFileError
from reconciler.model.events import ApplyResult
from reconciler.model.plan import (
    Adopt,
    Basis,
    Cancel,
    Change,
    Create,
    FileUpload,
    Forget,
    Import,
    Message,
    Move,
    Plan,
    Release,
    Replace,
    Update,
    idempotency_key,
    sent_body,
)
from reconciler.model.plan_json import decode_plan, encode_plan, json_text
from reconciler.model.references import files_in
from reconciler.model.values import Revealed, Secret, has_secret, masked
from reconciler.report.documents import apply_document, error_document
from tests.cli.report_samples import FAILED, PLAN, STEPS, applied
from tests.sampling import examples, tried

# Strategies: any plan at all


WORKSPACE = "acme-videos"
TEXT = st.text(st.characters(), max_size=20)
NAME = st.text(st.characters(), min_size=1, max_size=20)
ADDRESSES = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=8)
COUNTS = st.integers(0, 10**6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
SECRETS = st.builds(Secret, TEXT, TEXT, st.just("plain value"))
VALUES = JSON | SECRETS | st.lists(SECRETS | JSON, max_size=2) | st.dictionaries(TEXT, SECRETS, max_size=2)
BEFORES = st.tuples(JSON, st.sampled_from(["list", "status", "patch", "sent", "none"]), st.booleans(), st.none() | TEXT)
"""What a change says besides its field and the value that is sent: before, its source, drift, forces."""
COMMON = {
    "address": ADDRESSES,
    "reason": TEXT,
    "waits_for": st.none() | TEXT,
    "after": st.sampled_from([(), ("of-another-name",), ("one-more[us]", "of-another-name")]),
}


def showing(step, befores):
    """The step with the changes that show its body, each with something before it where there can be something."""
    body = {} if isinstance(step, Message) else getattr(step, "body", {})
    changes = []
    for (name, value), (before, source, drift, forces) in zip(body.items(), befores, strict=False):
        if name == "project_id":
            continue
        fresh = isinstance(step, Create | Adopt)
        changes.append(
            Change(
                path=name if name in contract.current().creation_fields else f"settings.{name}",
                before=None if fresh or source == "none" else before,
                after=masked(value),
                before_source="none" if fresh else source,
                sensitive=has_secret(value),
                drift=drift,
                forces=forces,
            )
        )
    return replace(step, changes=tuple(changes))


def consistent(steps):
    """Every address is about one project, and a new one has no id yet."""
    new = set()
    result = []
    for step in steps:
        known = None if step.address in new or isinstance(step, Create | Adopt) else f"proj \u202e{step.address}"
        result.append(replace(step, project_id=known))
        if isinstance(step, Create | Replace):
            new.add(step.address)
    return tuple(result)


def uploading(plan, some):
    """The plan with some of the files that its steps refer to as those to upload; without steps where it only refreshes."""
    files = [(file, digest) for step in plan.steps for digest, file in files_in(sent_body(step)).items()]
    uploads = tuple(FileUpload(*file) for file, take in zip(files, some, strict=False) if take)
    return replace(plan, uploads=uploads, refresh_only=plan.refresh_only and not plan.steps)


REFERENCES = st.lists(
    st.dictionaries(TEXT, VALUES, max_size=2).filter(lambda item: not {"project", "file"} & item.keys())
    | st.fixed_dictionaries({"project": ADDRESSES, "type": TEXT})
    | st.fixed_dictionaries({"file": NAME, "digest": NAME}),
    max_size=3,
)


def bodies(allowed, *required):
    optional = dict.fromkeys(set(allowed) - set(required), VALUES)
    if "references" in optional:
        optional["references"] = REFERENCES
    return st.fixed_dictionaries(dict.fromkeys(required, TEXT | SECRETS), optional=optional)


def keyed(kind):
    """Creates and replacements: their key goes with workspace, address and generation."""

    def build(generation, address, **rest):
        key = idempotency_key(WORKSPACE, address, generation)
        return kind(address=address, generation=generation, key=key, **rest)

    body = bodies((*contract.current().creation_fields, *contract.current().settings), "brief")
    return st.builds(build, generation=COUNTS, body=body, **COMMON)


MESSAGES = st.builds(
    DesiredMessage,
    NAME,
    bodies(contract.current().message_fields, "message"),
    st.none() | st.just(Location("specs/a.yaml", 1, 2)),
)
ANY_STEP = st.one_of(
    keyed(Create),
    keyed(Replace),
    st.builds(Adopt, body=bodies(("mode",), "project_id"), **COMMON),
    st.builds(Import, studio_id=st.none() | NAME, **COMMON),
    st.builds(Update, body=bodies(contract.current().settings), **COMMON),
    st.builds(Message, message=MESSAGES, **COMMON),
    st.builds(Cancel, **COMMON),
    st.builds(Release, **COMMON),
    st.builds(Forget, **COMMON),
    st.builds(Move, from_address=ADDRESSES, **COMMON),
)
DIAGNOSTICS = st.builds(
    Diagnostic,
    severity=st.sampled_from(["error", "warning", "note"]),
    summary=TEXT,
    detail=TEXT,
    address=st.none() | TEXT,
    location=st.none() | st.builds(Location, TEXT, st.none() | COUNTS, st.none() | COUNTS),
    code=st.none() | TEXT,
    kind=st.none() | st.just("drift"),
    attention=st.booleans(),
)
BASES = st.builds(
    Basis,
    entry=st.none() | TEXT,
    status=st.sampled_from(["absent", "active", "idle", "failed", "cancelled", "unread"]),
    observed=st.dictionaries(TEXT, JSON, max_size=2),
    former=st.lists(ADDRESSES, max_size=2).map(tuple),
)
LIFECYCLES = st.builds(
    Lifecycle,
    st.sampled_from(["stop", "cancel", "release", "forget", "protect"]),
    st.sampled_from(["keep", "recreate"]),
    st.sampled_from(["replace", "error", "ignore"]),
    st.lists(TEXT, max_size=2).map(tuple),
)
ANY_PLAN = st.builds(
    Plan,
    id=NAME,
    reconciler_version=TEXT,
    workspace=st.just(WORKSPACE),
    api_url=TEXT,
    created_at=TEXT,
    lineage=TEXT,
    serial=COUNTS,
    families=st.lists(ADDRESSES, max_size=2).map(tuple),
    left_out=st.lists(ADDRESSES, max_size=2).map(tuple),
    steps=st.lists(st.builds(showing, ANY_STEP, st.lists(BEFORES, min_size=20, max_size=20)), max_size=3).map(
        consistent
    ),
    basis=st.dictionaries(ADDRESSES, BASES, max_size=2),
    lifecycles=st.dictionaries(ADDRESSES, LIFECYCLES, max_size=2),
    diagnostics=st.lists(DIAGNOSTICS, max_size=2).map(tuple),
    unchanged=COUNTS,
    managed=COUNTS,
    requests_used=COUNTS,
    destroy=st.booleans(),
    refresh_only=st.booleans(),
)


def resealed(document):
    """An edited document as someone who knows the format would leave it: with a digest of its own."""
    content = {key: value for key, value in document.items() if key != "digest"}
    return {
        **content,
        "digest": hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest(),
    }


PLANS = st.builds(uploading, ANY_PLAN, st.lists(st.booleans(), max_size=5))

# The interface


TEXT_OR_NULL = {"type": ["string", "null"]}
NUMBER = {"type": "integer", "minimum": 0}


def an_object(**properties):
    return {"type": "object", "required": list(properties), "properties": properties}


A_CHANGE = an_object(
    path={"type": "string"},
    before={},
    after={},
    before_source={"enum": ["list", "status", "patch", "sent", "none"]},
    sensitive={"type": "boolean"},
)
A_REQUEST = an_object(
    method={"enum": ["POST", "PATCH"]},
    path={"type": "string", "pattern": "^/projects"},
    body={"type": ["object", "null"]},
)
A_DIAGNOSTIC = an_object(
    severity={"enum": ["error", "warning", "note"]},
    address=TEXT_OR_NULL,
    summary={"type": "string"},
    detail={"type": "string"},
    file=TEXT_OR_NULL,
    line={"type": ["integer", "null"]},
    code=TEXT_OR_NULL,
    kind={"enum": ["drift", None]},
)
ACTIONS = [
    "create",
    "adopt",
    "import",
    "update",
    "message",
    "render",
    "share",
    "cancel",
    "replace",
    "release",
    "forget",
    "move",
]
A_STEP = an_object(
    address={"type": "string"},
    action={"enum": ACTIONS},
    project_id=TEXT_OR_NULL,
    reason={"type": "string"},
    ready={"type": "boolean"},
    waits_for=TEXT_OR_NULL,
    after={"type": "array", "items": {"type": "string"}},
    changes={"type": "array", "items": A_CHANGE},
    request={"anyOf": [A_REQUEST, {"type": "null"}]},
)
COUNTED = [*(action for action in ACTIONS if action not in ("move", "render", "share")), "unchanged"]
SUMMARY = an_object(**dict.fromkeys([*COUNTED, "attention"], NUMBER)) | {"additionalProperties": False}
A_PLAN = an_object(
    format_version={"const": "1.2"},
    reconciler_version={"type": "string"},
    environment={"type": "null"},
    digest={"type": "string", "pattern": "^[0-9a-f]{64}$"},
    workspace={"type": "string"},
    api_url={"type": "string"},
    created_at={"type": "string"},
    state=an_object(lineage={"type": "string"}, serial=NUMBER) | {"additionalProperties": False},
    summary=SUMMARY,
    requests=an_object(used=NUMBER, apply_at_least=NUMBER) | {"additionalProperties": False},
    steps={"type": "array", "items": A_STEP},
    diagnostics={"type": "array", "items": A_DIAGNOSTIC},
)
OUTCOME = an_object(
    outcome={"enum": ["done", "deferred", "failed", "skipped", "unknown"]},
    error={"anyOf": [{"type": "null"}, A_DIAGNOSTIC]},
)
AN_APPLY = {"allOf": [A_PLAN, an_object(converged={"type": "boolean"}, steps={"type": "array", "items": OUTCOME})]}
PLAN_SHAPE = jsonschema.Draft202012Validator(A_PLAN)


@examples(20, 200)
def test_every_plan_has_the_shape_of_the_interface(examples):
    """Intent: outside tools find exactly the keys and values that the format promises (decisions/0013), whatever the plan."""
    tried(lambda plan: PLAN_SHAPE.validate(encode_plan(plan)), examples, plan=PLANS)


@pytest.mark.parametrize(
    ("step", "request_of_it"),
    [
        (
            STEPS[0],
            (
                "POST",
                "/projects",
                {
                    **STEPS[0].body,
                    "webhook_url": {"$secret": "d" * 32, "template": "https://hooks.example.com/${env.TOKEN}"},
                    "idempotency_key": "acme-videos/summer-teaser/0",
                },
            ),
        ),
        (STEPS[2], ("POST", "/projects/{id}/messages", {"message": "Add a female voiceover."})),
        (STEPS[3], ("POST", "/projects", {**STEPS[3].body, "idempotency_key": "acme-videos/intro/2"})),
        (STEPS[4], ("POST", "/projects/adopt", {"project_id": "6f1c", "mode": "collaborative"})),
        (STEPS[5], None),
        (STEPS[6], None),
        (
            Update(address="a", project_id="p", reason="", body={"title": None}),
            ("PATCH", "/projects/p/settings", {"title": None}),
        ),
        (STEPS[8], ("POST", "/projects/proj_4/cancel", None)),
        (STEPS[9], ("PATCH", "/projects/proj_5/settings", {"mode": "none"})),
        (STEPS[10], None),
    ],
)
def test_each_step_names_its_request(step, request_of_it):
    """Intent: the call that a step will make is told exactly, and null where there is none."""
    document = encode_plan(replace(PLAN, steps=(step,)))
    expected = request_of_it and dict(zip(("method", "path", "body"), request_of_it, strict=True))
    assert document["steps"][0]["request"] == expected


def test_an_apply_document_adds_outcomes():
    """Intent: apply's JSON is the plan's with what became of it, each finding once."""
    document = apply_document(applied())
    jsonschema.validate(document, AN_APPLY)
    assert [step["outcome"] for step in document["steps"]] == [result.outcome for result in applied().results]
    assert document["steps"][0]["project_id"] == "proj_9"
    assert document["steps"][3]["error"]["summary"] == "the API refused the create"
    assert document["converged"] is False
    assert document["state"] == {"lineage": "1b2c", "serial": 4}
    assert document["requests"]["used"] == 12
    assert [found["summary"] for found in document["diagnostics"]].count(FAILED.summary) == 1


def test_steps_that_nothing_is_told_of_count_as_deferred():
    """Intent: an apply that was cut short still has an outcome for every step."""
    document = apply_document(ApplyResult(plan=PLAN, results=applied().results[:1], interrupted=True))
    jsonschema.validate(document, AN_APPLY)
    assert [step["outcome"] for step in document["steps"]] == ["done", *["deferred"] * (len(STEPS) - 1)]


def test_a_failure_before_there_is_a_plan_is_one_document_too():
    """Intent: `--format json` prints a document also when the command fails."""
    document = error_document([FAILED])
    jsonschema.validate(document, an_object(format_version={"const": "1.2"}, diagnostics={"items": A_DIAGNOSTIC}))
    assert document["diagnostics"][0]["line"] == 3


# There and back


def stored(plan):
    """What a file keeps of a plan: not the lines that diagnostics point at."""
    return replace(plan, diagnostics=tuple(replace(d, source=None) for d in plan.diagnostics))


@examples(20, 200)
def test_a_plan_comes_back_equal(examples):
    """Intent: what is executed is what was approved, for every kind of step and any text in it."""
    tried(comes_back_equal, examples, plan=PLANS)


def comes_back_equal(plan):
    text = json_text(encode_plan(plan))
    assert decode_plan(json.loads(text)) == stored(plan)
    assert "plain value" not in text


def test_a_secret_in_a_change_is_masked_not_written():
    """Intent: even a planner's slip does not put a plain secret on disk."""
    secret = Secret("${env.TOKEN}", "d" * 32, Revealed("hunter22"))
    change = Change(path="settings.webhook_url", before=secret, after=[secret], before_source="sent")
    plan = replace(PLAN, steps=(Update(address="a", reason="", body={}, changes=(change,)),))
    assert "hunter22" not in json_text(encode_plan(plan))


def test_a_file_comes_back_equal_and_is_private(tmp_path):
    """Intent: a saved plan survives the disk, nobody else may read it, no temp file stays."""
    path = tmp_path / "out.plan"
    path.write_text("an older one")
    path.chmod(0o644)
    write_plan(path, PLAN)
    assert read_plan(path) == stored(PLAN)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [item.name for item in tmp_path.iterdir()] == ["out.plan"]


def test_half_a_surrogate_pair_survives_the_file(tmp_path):
    """Intent: a list that cuts a brief within an emoji does not make the plan file unreadable."""
    change = Change(path="settings.title", before="cut \ud83d", after="cut 🎬", before_source="list")
    plan = replace(PLAN, steps=(Update(address="a", reason="\ud83d", body={"title": "cut 🎬"}, changes=(change,)),))
    write_plan(tmp_path / "plan", plan)
    assert read_plan(tmp_path / "plan") == stored(plan)


# Refusals


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    """Intent: a full disk costs the new plan, not the old one, and leaves no rubbish."""
    path = tmp_path / "out.plan"
    write_plan(path, PLAN)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(PlanFileError, match="No space left"):
        write_plan(path, replace(PLAN, id="other"))
    assert read_plan(path) == stored(PLAN)
    assert [item.name for item in tmp_path.iterdir()] == ["out.plan"]


def test_a_folder_that_is_not_there_is_an_error_with_a_remedy(tmp_path):
    """Intent: library errors never reach the user bare."""
    with pytest.raises(PlanFileError, match="can't write the plan file") as caught:
        write_plan(tmp_path / "no" / "plan", PLAN)
    assert caught.value.diagnostics[0].detail
    with pytest.raises(PlanFileError, match="can't read the plan file") as caught:
        read_plan(tmp_path / "no" / "plan")
    assert caught.value.diagnostics[0].detail
    with pytest.raises(PlanFileError, match="can't read"):
        read_plan(tmp_path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"projects:\n",
        b"\xff\xfe{}",
        b"[" * 100_000,
        b'{"serial": NaN}',
        b"1" * 10_000,
        b"null",
        b"{}",
        b'{"format_version": 1}',
        b'{"format_version": "one"}',
    ],
)
def test_other_files_are_refused_with_the_place(tmp_path, data):
    """Intent: any file that is no plan gives one error that names the file and a remedy."""
    path = tmp_path / "x.plan"
    path.write_bytes(data)
    with pytest.raises(PlanFileError) as caught:
        read_plan(path)
    found = caught.value.diagnostics[0]
    assert str(path) in f"{found.location} {found.summary}"
    assert "reconciler plan --out FILE" in found.detail


def test_the_place_in_broken_json_is_told(tmp_path):
    """Intent: a hand-edited file says where the edit went wrong."""
    path = tmp_path / "x.plan"
    path.write_text('{"id": 1,\n  oops}')
    with pytest.raises(PlanFileError) as caught:
        read_plan(path)
    assert caught.value.diagnostics[0].location == Location(str(path), 2, 3)


def test_a_file_too_large_to_be_a_plan_is_not_parsed(tmp_path, monkeypatch):
    """Intent: the reader's memory is bounded."""
    monkeypatch.setattr(plan_file, "MAX_BYTES", 1 << 20)
    path = tmp_path / "x.plan"
    path.write_bytes(b" " * ((1 << 20) + 1))
    with pytest.raises(PlanFileError, match="too large"):
        read_plan(path)


@pytest.mark.parametrize("number", ["Infinity", "-Infinity", "NaN", "1e999", "-1e999"])
def test_a_number_outside_json_is_refused(tmp_path, number):
    """Intent: what Python would read and could not write again never gets into a plan."""
    path = tmp_path / "x.plan"
    write_plan(path, PLAN)
    path.write_text(path.read_text().replace('"mode": "autonomous"', f'"mode": {number}'))
    with pytest.raises(PlanFileError, match="not usable JSON"):
        read_plan(path)


def test_a_workspace_too_long_for_its_keys_is_refused():
    """Intent: an idempotency key beyond the contract's limit is an error of the plan file, not a crash."""
    document = encode_plan(PLAN)
    document["workspace"] = "w" * contract.current().max_length("idempotency_key")
    with pytest.raises(PlanFileError, match="makes the idempotency key too long"):
        decode_plan(document)


@pytest.mark.parametrize(("version", "word"), [("2.0", "newer"), ("1.3", "newer"), ("1.1", "older"), ("0.9", "older")])
def test_another_format_names_the_program_that_wrote_it(version, word):
    """Intent: a plan of another format is refused as such, with the version that can read it."""
    document = {"format_version": version, "reconciler_version": "7.8.9", "whatever": 1}
    with pytest.raises(PlanFileError, match=f"format {version}, {word} than 1.2") as caught:
        decode_plan(document)
    assert "reconciler 7.8.9" in caught.value.diagnostics[0].detail


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        (("steps", 0, "request", "body", "idempotency_key"), "other", "steps[0].request.body.idempotency_key"),
        (("steps", 0, "generation"), 1, "steps[0].request.body.idempotency_key"),
        (("steps", 0, "generation"), True, "steps[0].generation"),
        (("steps", 0, "generation"), -1, "steps[0].generation"),
        (("steps", 0, "address"), "../x", "steps[0].address"),
        (("steps", 0, "ready"), False, "steps[0].ready"),
        (("steps", 0, "request"), None, "steps[0].request"),
        (("steps", 0, "request", "body", "brief"), 1, "steps[0].request.body.brief"),
        (("steps", 0, "request", "body", "prompt"), "x", "steps[0].request.body.prompt"),
        (("steps", 1, "request", "path"), "/projects/p/cancel", "steps[1].request.path"),
        (("steps", 1, "message_id"), "", "steps[1].message_id"),
        (("steps", 0, "after"), ["../x"], "steps[0].after[0]"),
        (("steps", 0, "after"), "clip", "steps[0].after"),
        (("steps", 0, "after"), ["summer-teaser"], "steps"),
        (("steps", 1, "request", "body", "references"), "x", "steps[1].request.body.references"),
        (("steps", 1, "request", "body", "references"), ["x"], "steps[1].request.body.references[0]"),
        (
            ("steps", 1, "request", "body", "references"),
            [{"project": 5}],
            "steps[1].request.body.references[0].project",
        ),
        (("steps", 1, "request", "body", "references"), [{"file": "a"}], "steps[1].request.body.references[0].digest"),
        (("uploads",), [{"file": ""}], "uploads[0].file"),
        (("steps", 5, "request"), {}, "steps[5].request"),
        (("steps", 8, "action"), "delete", "steps[8].action"),
        (("steps", 8, "note"), "x", "steps[8].note"),
        (("steps",), [], "summary.create"),
        (("summary", "create"), 0, "summary.create"),
        (("summary", "create"), True, "summary.create"),
        (("requests", "apply_at_least"), "x", "requests.apply_at_least"),
        (("basis", "A/B"), {}, "basis.A/B"),
        (("basis", "clip", "status"), "busy", "basis.clip.status"),
        (("lifecycles", "clip", "ignore_changes"), "title", "lifecycles.clip.ignore_changes"),
        (("state", "serial"), 1.0, "state.serial"),
        (("id",), "", "id"),
        (("force",), True, "force"),
    ],
)
def test_a_hand_edit_is_refused_with_its_place(path, value, place):
    """Intent: a plan that was approved can't be changed into another one unnoticed by its own bookkeeping."""
    document = json.loads(json_text(encode_plan(PLAN)))
    target = document
    for part in path[:-1]:
        target = target[part]
    target[path[-1]] = value
    with pytest.raises(PlanFileError) as caught:
        decode_plan(document)
    found = caught.value.diagnostics[0]
    assert f"`{place}` " in found.summary
    assert "Make a new plan" in found.detail


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (("id",), None, "`id` must be a string"),
        (("id",), "", "`id` must not be empty"),
        (("destroy",), 1, "`destroy` must be true or false"),
        (("serial",), 1, "`serial` is not a known key"),
        (("steps",), {}, "`steps` must be a list"),
        (("steps", 0), "x", "`steps[0]` must be an object"),
        (("steps", 0, "generation"), "0", "`steps[0].generation` must be a whole number of at least 0"),
        (("steps", 0, "generation"), -1, "`steps[0].generation` must be a whole number of at least 0"),
        (("steps", 0, "address"), "A/B", "`steps[0].address` is not a valid address"),
        (("steps", 0, "action"), "delete", "`steps[0].action` has an unknown value"),
        (("steps", 0, "waits_for"), 5, "`steps[0].waits_for` must be a string or null"),
        (("steps", 0, "\ud83d"), 5, "`steps[0]` contains half of a surrogate pair"),
        (("steps", 0, "changes", 1, "sensitive"), None, "`steps[0].changes[1].sensitive` must be true or false"),
        (("steps", 0, "changes", 1), {}, "`steps[0].changes[1].path` is missing"),
        (
            ("steps", 0, "changes", 1, "before_source"),
            "a - at `$.b`",
            "`steps[0].changes[1].before_source` has an unknown",
        ),
        (("steps", 2, "message_id"), 2, "`steps[2].message_id` must be a string"),
        (("diagnostics", 0), {"file": "a.yaml", "line": "3"}, "`diagnostics[0].line` must be a whole number or null"),
        (("diagnostics", 0, "source"), "x", "`diagnostics[0].source` is not a known key"),
        (("basis", "clip"), [], "`basis.clip` must be an object"),
        (("basis", "clip", "status"), "busy", "`basis.clip.status` has an unknown value"),
        (("basis", "clip", "observed"), 1, "`basis.clip.observed` must be an object"),
        (("requests", "used"), True, "`requests.used` must be a whole number of at least 0"),
    ],
)
def test_a_value_of_the_wrong_type_is_named_in_plain_words(path, value, problem):
    """Intent: a user who wrote the file with a program reads what is wrong and where, not a library's notation."""
    document = json.loads(json_text(encode_plan(PLAN)))
    target = document
    for part in path[:-1]:
        target = target[part]
    target[path[-1]] = value
    with pytest.raises(PlanFileError) as caught:
        decode_plan(resealed(document))
    assert caught.value.diagnostics[0].summary.startswith(f"the plan file is not valid: {problem}")


def test_how_many_calls_apply_needs_may_be_counted_otherwise():
    """Intent: a later release that needs fewer calls still reads the plans of this one."""
    document = encode_plan(PLAN)
    document["requests"]["apply_at_least"] += 5
    plan = decode_plan(resealed(document))
    assert replace(plan, requests_told=None) == stored(PLAN)
    assert plan.requests_needed == PLAN.requests_needed + 5
    assert encode_plan(plan) == resealed(document)


@given(JSON)
def test_any_json_is_read_or_refused(document):
    """Intent: whatever the file holds, the only exception is PlanFileError."""
    with pytest.raises(PlanFileError):
        decode_plan(document)


def places(value, path=()):
    """Every place in a document, as a path of keys."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


PLACES = [path for path in places(encode_plan(PLAN)) if path]


@pytest.mark.sweep
@given(
    st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(["set", "drop", "add"]), JSON), min_size=1, max_size=3)
)
def test_a_changed_document_is_refused_or_means_what_it_says(edits):
    """Intent: no edit crashes the reader, and what it accepts is written again as the very same document."""
    document = copy.deepcopy(encode_plan(PLAN))
    for path, how, value in edits:
        edit(document, path, how, value)
    document = resealed(document)
    try:
        plan = decode_plan(document)
    except PlanFileError:
        return
    assert encode_plan(plan) == document


def edit(document, path, how, value):
    """One edit; nothing where an earlier one took its place away."""
    target = document
    try:
        for part in path[:-1]:
            target = target[part]
    except (KeyError, IndexError, TypeError):
        return
    if isinstance(target, dict):
        if how == "drop":
            target.pop(path[-1], None)
        else:
            target[path[-1] if how == "set" else "extra"] = value
    elif isinstance(target, list) and how == "add":
        target.append(value)


@pytest.mark.sweep
def test_a_document_too_deep_for_the_stack_is_refused():
    """Intent: a hostile nesting gives an error, not a crash."""
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    document = encode_plan(PLAN)
    document["steps"][0]["request"]["body"]["references"] = [{"x": deep}]
    with pytest.raises(PlanFileError, match="nested too deeply"):
        decode_plan(document)
