"""The type checker refuses the plain text of a secret wherever it would be kept or shown (reconciler/model/values.py)."""

import json
import re
import textwrap

import msgspec
import pytest

from reconciler.model.values import Revealed, Secret, WireBody
from tests.architecture.type_checked import ROOT, mypy, type_checked
from tests.made_once import made_once

PRELUDE = """
from collections.abc import Mapping

from reconciler.adapters.api.client import ApiClient
from reconciler.adapters.state.format import encode_record
from reconciler.model.desired import CreateOrigin, DesiredMessage
from reconciler.model.errors import Diagnostic, ReconcilerError
from reconciler.model.events import Noted, StepEnded
from reconciler.model.journal import Begin, Bind, End, Learn, Log
from reconciler.model.plan import Basis, Change, Create, Message, Step, Update
from reconciler.model.plan_json import json_text
from reconciler.model.state import Entry, Intent, Known, Outputs, SentMessage
from reconciler.model.values import (
    Json, Portable, Revealed, Sealed, Secret, Value, WireBody, canonical, digest, filled, from_portable, masked,
    masked_fields, masked_text, portable, reveal, sealed, sealed_fields, shown,
)
from reconciler.planning.knowledge import plain_text
from reconciler.report.fields import value_text
from reconciler.report.tables import status_document

async def case(
    plain: Revealed, secret: Secret, value: Value, body: Mapping[str, Value], wire: WireBody, env: Mapping[str, str],
    message: DesiredMessage, api: ApiClient,
) -> None:
"""

REFUSED = {
    "a wire body in an entry of the state": 'Entry(project_id="p", origin="created", creation=wire)',
    "a declared body in an entry of the state": 'Entry(project_id="p", origin="created", creation=body)',
    "a portable body in an entry of the state": 'Entry(project_id="p", origin="created", creation=portable(body))',
    "revealed text in a setting of the state": 'Known(plain, "sent", "now")',
    "a secret in a setting of the state": 'Known(secret, "sent", "now")',
    "a declared value in a setting of the state": 'Known(value, "sent", "now")',
    "revealed text as what the account keeps": 'Known("x", "sent", "now", kept=plain)',
    "revealed text in a sent message": 'SentMessage(id="m", digest="d", text=plain, content="c", at="now")',
    "a secret in a sent message": 'SentMessage(id="m", digest="d", text=secret, content="c", at="now")',
    "a text that nothing has masked in a sent message": (
        'SentMessage(id="m", digest="d", text="what was sent", content="c", at="now")'
    ),
    "the plain text of a message in the log": (
        'SentMessage(id="m", digest="d", text=plain_text(message.body["message"]), content="c", at="now")'
    ),
    "revealed text in the outputs": "Outputs(agent_message=plain)",
    "a wire body in an intent": 'Intent(op="1", kind="create", address="a", at="now", body=wire)',
    "a declared body in an intent": 'Intent(op="1", kind="create", address="a", at="now", body=body)',
    "a sealed body in an intent, which could not be sent": (
        'Intent(op="1", kind="create", address="a", at="now", body=sealed_fields(body))'
    ),
    "a wire body in a record of the journal": "encode_record(Begin(intent=wire))",
    "a wire body in an effect": 'Learn(address="a", settings=wire)',
    "revealed text in an outcome's note": "End(note=plain)",
    "a wire body in a step": 'Create(address="a", reason="r", body=wire, generation=1, key="k")',
    "revealed text in a step": 'Update(address="a", reason="r", body={"title": plain})',
    "a wire body in a step's message": 'Message(address="a", reason="r", message=DesiredMessage("m", wire))',
    "revealed text in a step's reason": 'Update(address="a", reason=plain, body={})',
    "revealed text in a change": 'Change(path="title", before=plain, after=None, before_source="sent")',
    "a secret in a change": 'Change(path="title", before=None, after=secret, before_source="sent")',
    "revealed text in a plan's basis": 'Basis(observed={"title": plain})',
    "a wire body in a document": "json_text(wire)",
    "a declared body in a document": "json_text(body)",
    "revealed text inside a document": 'json_text({"steps": [{"text": plain}]})',
    "a secret inside a document": 'json_text({"steps": [{"text": secret}]})',
    "revealed text in a report": "value_text(plain)",
    "a wire body in a report": "value_text(wire)",
    "a secret in a report": "value_text(secret)",
    "a wire body for people": "shown(wire)",
    "revealed text in a diagnostic": 'Diagnostic(severity="error", summary=plain)',
    "a wire body in a diagnostic": 'Diagnostic(severity="error", summary="s", detail=wire)',
    "revealed text in an error": "ReconcilerError(plain)",
    "revealed text in an event": 'StepEnded(step=Update(address="a", reason="r", body={}), outcome="done", note=plain)',
    "a wire body in a digest": "digest(wire)",
    "revealed text in a text to digest": "canonical(plain)",
    "a declared body sent without being revealed": "await api.create(body)",
    "a masked body sent": "await api.create(masked_fields(body))",
    "a portable body sent": 'await api.send_message("p", portable(body))',
    "a sealed body sent": 'await api.patch_settings("p", sealed_fields(body))',
    "a wire body made portable, too late": "portable(wire)",
    "a wire body read like a mapping": 'wire["brief"]',
    "a state's fields read as a body to send": "from_portable(sealed_fields(body))",
}
ACCEPTED = {
    "sealed fields in the state": 'Entry(project_id="p", origin="created", creation=sealed_fields(body))',
    "a sealed value in the state": 'Known(sealed(secret), "sent", "now")',
    "a masked text in the message log": (
        'SentMessage(id="m", digest="d", text=masked_text(secret), content="c", at="now")'
    ),
    "a portable body in an intent": 'Intent(op="1", kind="create", address="a", at="now", body=portable(body))',
    "an intent's body, read again and revealed for the API": (
        'reveal(from_portable(Intent(op="1", kind="create", address="a", at="now").body), env, "lineage")'
    ),
    "a declared body in a step": 'Create(address="a", reason="r", body=body, generation=1, key="k")',
    "a masked value in a change": 'Change(path="title", before=None, after=masked(secret), before_source="none")',
    "a masked body in a document": "json_text(masked_fields(body))",
    "a portable body in a document": 'json_text({"body": portable(body)})',
    "a masked value in a report": "value_text(masked(value))",
    "a template in a diagnostic": 'Diagnostic(severity="error", summary=secret.template)',
    "a revealed body sent": 'await api.create(reveal(body, env, "lineage"))',
    "account values in a document": 'status_document([]); json_text({"a": [1, 2.0, None, True, {"b": "c"}]})',
}


def snippet(statement: str) -> str:
    return PRELUDE + textwrap.indent(statement, "    ") + "\n"


@pytest.fixture(scope="module")
def errors(tmp_path_factory):
    return made_once(tmp_path_factory, "secret-types", lambda: _errors(tmp_path_factory))


def _errors(tmp_path_factory):
    """What mypy says of each case, all checked in one run."""
    folder = tmp_path_factory.mktemp("cases") / "copy"
    type_checked(tmp_path_factory, folder)
    names = {}
    for number, (title, statement) in enumerate({**REFUSED, **ACCEPTED}.items()):
        path = folder / f"case_{number}.py"
        path.write_text(snippet(statement))
        names[path.name] = title
    found = {title: [] for title in names.values()}
    for line in mypy(folder, *sorted(names)).splitlines():
        at = re.match(r"(case_\d+\.py):\d+: error: (.*)", line)
        assert at is not None or ": note: " in line, line
        if at is not None:
            found[names[at[1]]].append(at[2])
    return found


@pytest.mark.sweep
@pytest.mark.parametrize("title", REFUSED)
def test_the_type_checker_refuses(errors, title):
    """Intent: a refactoring that puts a secret's plain text where it is kept or shown does not pass the checks."""
    assert len(errors[title]) == 1, errors[title]
    assert re.search(r"\[(arg-type|list-item|dict-item|index)\]$", errors[title][0]), errors[title]


@pytest.mark.sweep
@pytest.mark.parametrize("title", ACCEPTED)
def test_the_type_checker_accepts(errors, title):
    assert errors[title] == []


@pytest.mark.parametrize(
    "hidden",
    [
        Revealed("canary-7f3a"),
        WireBody({"brief": "canary-7f3a"}),
        Secret("${env.A}", "digest", Revealed("canary-7f3a"), (Revealed("canary-7f3a"),)),
    ],
    ids=["revealed text", "a wire body", "a secret"],
)
def test_no_text_or_encoder_shows_it_either(hidden):
    """Intent: what the type checker can't see (an f-string, a log line, ``Any``) shows nothing or fails."""
    for text in (repr(hidden), str(hidden), f"{hidden}", f"{hidden!r:>30}", "{}".format(hidden), "%s" % hidden):  # noqa: UP031, UP032
        assert "canary" not in text
    for encode in (json.dumps, msgspec.json.encode, msgspec.to_builtins):
        with pytest.raises(TypeError):
            encode({"value": hidden})


MAY_EXPOSE = {
    "reconciler/model/values.py",
    "reconciler/adapters/api/client.py",  # a refused field may be one of another version of the API
    "reconciler/adapters/api/sending.py",  # sends it
    "reconciler/adapters/specs/language/variables.py",  # made it, and checks its length and form
    "reconciler/operations/calls/create.py",
    "reconciler/operations/calls/own_messages.py",
    "reconciler/operations/calls/settings.py",
    "reconciler/planning/kept_values.py",
    "reconciler/planning/knowledge.py",
    "reconciler/planning/matching.py",
    "reconciler/planning/message_log.py",
    "reconciler/planning/resealing.py",
}
"""The modules that take the plain text out: to send it, or to compare it with what the account shows."""


def test_plain_text_comes_out_in_few_modules():
    """Intent: a new place that exposes a secret is seen in review, because this list changes with it."""
    exposing = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "reconciler").rglob("*.py")
        if re.search(r"\bexposed?\(", path.read_text())
    }
    assert exposing == MAY_EXPOSE
