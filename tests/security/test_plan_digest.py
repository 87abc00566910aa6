"""The digest of a saved plan: printed in every format, and `apply --digest` takes that plan and no other."""

from __future__ import annotations

import hashlib
import json
import re

import pytest

from reconciler.adapters.plan_file import read_plan
from reconciler.model.errors import PlanFileError
from reconciler.model.plan_json import decode_plan, encode_plan, json_text, plan_digest
from tests.cli.cli_support import make_space
from tests.cli.report_samples import PLAN

DIGEST = plan_digest(PLAN)
HEX = re.compile(r"\b[0-9a-f]{64}\b")


def resealed(document):
    """What someone who can write the file and knows the format makes of an edited plan: it names its own digest."""
    content = {key: value for key, value in document.items() if key != "digest"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return {**content, "digest": hashlib.sha256(text.encode()).hexdigest()}


@pytest.fixture
def space(tmp_path):
    return make_space(tmp_path / "w")


def saved(space):
    """Save a plan; its digest."""
    space.run("plan", "--out", "saved.plan")
    return json.loads((space.root / "saved.plan").read_text())["digest"]


def asked(space):
    """The calls that the account heard of, if there is one at all."""
    if not space.db.exists():
        return []
    with space.account() as store:
        return [event.kind for event in store.ledger()]


# What it is over


def test_the_digest_is_the_sha256_of_the_rest_of_the_document():
    """Intent: any tool in any language can compute it: sorted keys, no white space, ASCII, without `digest` itself."""
    assert resealed(encode_plan(PLAN)) == encode_plan(PLAN)
    assert encode_plan(PLAN)["digest"] == DIGEST


@pytest.mark.parametrize(
    "layout", [{"indent": 8}, {"ensure_ascii": False}, {"separators": (",", ":")}, {"sort_keys": True}]
)
def test_a_file_laid_out_anew_keeps_its_digest(tmp_path, layout):
    """Intent: a tool that indents, sorts or re-encodes the file changes nothing that is approved."""
    path = tmp_path / "x.plan"
    path.write_text(json.dumps(encode_plan(PLAN), **layout), encoding="utf-8")
    assert plan_digest(read_plan(path)) == DIGEST


def test_an_edited_plan_that_names_its_old_digest_is_refused():
    """Intent: what nothing else can tell from an honest plan, such as another time, is told by the digest."""
    document = {**encode_plan(PLAN), "created_at": "2030-01-01T00:00:00Z"}
    with pytest.raises(PlanFileError, match="was changed after it was written"):
        decode_plan(document)
    assert plan_digest(decode_plan(resealed(document))) != DIGEST


@pytest.mark.parametrize("digest", [None, "", "x" * 64, DIGEST.upper(), DIGEST[:16], "missing"])
def test_a_plan_without_its_digest_is_refused(digest):
    document = {**encode_plan(PLAN), "digest": digest}
    if digest == "missing":
        del document["digest"]
    with pytest.raises(PlanFileError):
        decode_plan(document)


def test_a_plan_with_a_key_twice_is_refused(tmp_path):
    """Intent: of two values of one key, another reader may show the first while we send the last."""
    path = tmp_path / "x.plan"
    twice = json_text(encode_plan(PLAN)).replace('"brief": ', '"brief": "harmless", "brief": ', 1)
    path.write_text(twice)
    with pytest.raises(PlanFileError, match="not usable JSON"):
        read_plan(path)


# Where it is shown


@pytest.mark.sampled(3)
@pytest.mark.parametrize("format_", ["text", "markdown", "html", "json"])
@pytest.mark.parametrize("command", ["plan", "show"])
def test_saving_and_showing_print_the_digest(space, command, format_):
    """Intent: in each format a reviewer reads the digest on the screen, in the comment, on the page, or in its key."""
    digest = saved(space)
    if command == "plan":
        ran = space.run("plan", "--out", "saved.plan", "--format", format_)
        digest = json.loads((space.root / "saved.plan").read_text())["digest"]
        assert digest in ran.err  # the command that applies it
    else:
        ran = space.run("show", "saved.plan", "--format", format_)
    assert digest in HEX.findall(ran.out)
    if format_ == "text":
        assert ran.out.splitlines()[-2] == f"Digest: {digest}"
        assert "for acme from state 0 of sandbox" in ran.out
    if format_ == "json":
        assert ran.document["digest"] == digest


def test_a_plan_that_is_not_saved_prints_no_digest(space):
    """Intent: there is nothing that it could be held against."""
    for format_ in ("text", "markdown", "html"):
        assert "Digest" not in space.run("plan", "--format", format_).out


# What apply makes of it


def test_apply_takes_the_plan_with_that_digest(space):
    digest = saved(space)
    space.run("apply", "saved.plan", "--digest", digest.upper())
    assert asked(space) == ["create"]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("edit", ["another plan", "its brief", "a webhook"])
def test_apply_refuses_any_other_plan_before_a_call(space, edit):
    """Intent: between review and apply nobody can put another plan in the place of the one that was approved."""
    digest = saved(space)
    path = space.root / "saved.plan"
    document = json.loads(path.read_text())
    step = document["steps"][0]
    change = {"before": None, "before_source": "none", "sensitive": False, "drift": False, "forces": None}
    if edit == "another plan":
        assert saved(space) != digest
    elif edit == "its brief":
        step["request"]["body"]["brief"] = step["changes"][0]["after"] = "Something dear."
        path.write_text(json.dumps(resealed(document)))
    else:
        step["request"]["body"]["craft"] = "cinema"
        step["changes"].append({**change, "path": "settings.craft", "after": "cinema"})
        path.write_text(json.dumps(resealed(document)))
    before = space.files()
    ran = space.run("apply", "saved.plan", "--digest", digest, code=1)
    assert "is not the plan that was approved" in ran.err
    assert asked(space) == []
    assert space.files() == before
    space.run("show", "saved.plan")


@pytest.mark.parametrize(
    "args", [("--digest", DIGEST[:12], "saved.plan"), ("--digest", "", "saved.plan"), ("--digest", DIGEST)]
)
def test_a_part_of_a_digest_or_one_without_a_plan_is_a_usage_error(space, args):
    """Intent: a part could be met by another plan; without a plan file there is nothing to hold it against."""
    saved(space)
    ran = space.run("apply", "--auto-approve", *args, code=1)
    assert "--digest" in ran.err
    assert asked(space) == []


def test_a_digest_in_the_environment_binds_as_well(space):
    """Intent: a variable that pins the plan is not forgotten where no plan file is given."""
    digest = saved(space)
    space.run("apply", "--auto-approve", code=1, RECONCILER_APPLY_DIGEST=digest)
    space.run("apply", "saved.plan", code=1, RECONCILER_APPLY_DIGEST="0" * 64)
    assert asked(space) == []
    space.run("apply", "saved.plan", RECONCILER_APPLY_DIGEST=digest)
    assert asked(space) == ["create"]
