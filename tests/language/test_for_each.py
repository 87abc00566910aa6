"""``for_each``: lists, maps and matrices, and addresses that stay."""

from __future__ import annotations

import json
import time

import pytest

from reconciler.adapters.specs.validation.size_limits import PROJECTS_MAX
from reconciler.model.desired import ADDRESS, NAME
from reconciler.model.errors import SpecError
from reconciler.model.plan import idempotency_key
from tests.adapters.specs_support import load_one
from tests.language.language_support import make, reconciler

MATRIX = """\
projects:
  promo:
    for_each: {market: [%s], ratio: ["16:9", "9:16"]}
    brief: ${each.market} in ${each.ratio}, ${address}, ${each.key}
    aspect_ratio: ${each.ratio}
    settings: {title: "${each.market} ${each.ratio}"}
    messages: ["Softer for ${each.market}."]
"""


def briefs(desired):
    return {address: project.origin.creation["brief"] for address, project in desired.projects.items()}


@pytest.mark.parametrize(
    ("for_each", "text", "expected"),
    [
        ("[us, '16:9']", "${each.key} ${each.value}", {"a[us]": "us us", "a[16:9]": "16:9 16:9"}),
        ("{us: English, de: 5}", "${each.key} ${each.value}", {"a[us]": "us English", "a[de]": "de 5"}),
        ("{us: true, de: 1.5}", "${each.value}", {"a[us]": "true", "a[de]": "1.5"}),
        ("{us: {v: Ann, n: 1}, de: {v: Jo}}", "${each.key} ${each.v}", {"a[us]": "us Ann", "a[de]": "de Jo"}),
        ("{m: [us, de], r: [x]}", "${each.key} ${each.m} ${each.r}", {"a[us,x]": "us,x us x", "a[de,x]": "de,x de x"}),
        ("{m: [us]}", "${each.key}", {"a[us]": "us"}),
        ("[]", "x", {}),
        ("{}", "x", {}),
        ("{m: [us], r: []}", "x", {}),
        ("[us]", "$${each.key}", {"a[us]": "${each.key}"}),
    ],
)
def test_each_form_gives_its_keys_and_values(tmp_path, for_each, text, expected):
    spec = f"projects:\n  a:\n    for_each: {for_each}\n    brief: '{text}'\n"
    assert briefs(load_one(tmp_path, spec)) == expected


def test_a_matrix_fills_everything_and_its_addresses_stay(tmp_path):
    """Another market, in whatever place, renames none of the others."""
    before = load_one(tmp_path, MATRIX % "us, de").projects
    assert list(before) == ["promo[us,16:9]", "promo[us,9:16]", "promo[de,16:9]", "promo[de,9:16]"]
    one = before["promo[de,9:16]"]
    assert one.origin.creation == {"brief": "de in 9:16, promo[de,9:16], de,9:16", "aspect_ratio": "9:16"}
    assert one.settings == {"title": "de 9:16"}
    assert one.messages[0].body == {"message": "Softer for de."}
    after = load_one(tmp_path, MATRIX % "fr, us, de").projects
    assert len(after) == 6
    assert {address: after[address] for address in before} == before


def test_a_missing_name_of_a_map_is_an_error_of_that_key_alone(tmp_path):
    spec = "projects:\n  a:\n    for_each: {us: {v: Ann}, de: {w: Jo}}\n    brief: '${each.v}'\n"
    with pytest.raises(SpecError) as failure:
        load_one(tmp_path, spec)
    (found,) = failure.value.diagnostics
    assert (found.code, found.address, str(found.location)) == ("E130", "a[de]", "specs/a.yaml:4:12")


def test_one_mistake_is_one_error_however_many_projects_it_makes(tmp_path):
    with pytest.raises(SpecError) as failure:
        load_one(tmp_path, MATRIX % "us, de" + "    state: gone\n")
    assert [d.code for d in failure.value.diagnostics] == ["E112"]


@pytest.mark.sweep
def test_too_many_are_refused_before_they_are_made(tmp_path):
    """A matrix of a billion, many projects of many each, a list beyond measure: an error at once."""
    axis = "[" + ", ".join(f"k{n}" for n in range(1000)) + "]"
    matrix = f"projects:\n  a:\n    brief: x\n    for_each: {{a: {axis}, b: {axis}, c: {axis}}}\n"
    many = f"variables: {{l: {{type: list, default: {axis}}}}}\nprojects:\n" + "".join(
        f"  p{n}: {{brief: x, for_each: '${{var.l}}'}}\n" for n in range(300)
    )
    start = time.monotonic()
    for text, count in ((matrix, 1), (many, 1)):
        with pytest.raises(SpecError) as failure:
            load_one(tmp_path, text)
        assert [d.code for d in failure.value.diagnostics] == ["E106"] * count
        assert f"{PROJECTS_MAX:,}" in failure.value.diagnostics[0].summary
    assert time.monotonic() - start < 30


@pytest.mark.parametrize(
    "text", ["promo", "promo[us]", "promo[us,16:9]", "a-b_c[A.b:-_]", "a" * 63, "a[" + "k" * 125 + "]"]
)
def test_addresses(text):
    assert ADDRESS.fullmatch(text)
    assert bool(NAME.fullmatch(text)) == ("[" not in text)
    assert len(idempotency_key("w" * 64, text, 10**6)) <= 256


@pytest.mark.parametrize(
    "text",
    ["", "A", "-a", "a[]", "a[,]", "a[us,]", "a[,us]", "a[us", "a]", "a[us]x", "a[us][de]", "a[u s]", "a[u/s]", "a[é]",
     "a[us]\n", "a" * 64, "a[" + "k" * 126 + "]"],
)  # fmt: skip
def test_no_addresses(text):
    assert not ADDRESS.fullmatch(text)


@pytest.mark.sweep
def test_the_commands_take_such_addresses(tmp_path):
    """Plan, apply, target, a saved plan, status, state, moves in and out."""
    root = make(tmp_path, {"specs/a.yaml": "projects:\n  promo:\n    brief: us in 16:9\n    aspect_ratio: '16:9'\n"})
    assert reconciler(root, "apply", "--auto-approve").returncode == 0
    project = json.loads(reconciler(root, "state", "list", "--format", "json").stdout)["promo"]
    spec = "projects:\n  promo:\n    for_each: [us, de]\n    brief: ${each.key} in 16:9\n    aspect_ratio: '16:9'\n"
    (root / "specs" / "a.yaml").write_text(spec + "moved: [{from: promo, to: 'promo[us]'}]\n")
    shown = json.loads(reconciler(root, "plan", "--format", "json", "--out", "p.plan").stdout)
    assert [(s["action"], s["address"]) for s in shown["steps"]] == [("move", "promo[us]"), ("create", "promo[de]")]
    targeted = reconciler(root, "plan", "--target", "promo[de]", "--format", "json")
    assert [s["address"] for s in json.loads(targeted.stdout)["steps"]] == ["promo[de]"]
    assert "promo[de]" in reconciler(root, "show", "p.plan").stdout
    applied = reconciler(root, "apply", "p.plan", "--wait", "idle")
    assert applied.returncode == 0, applied.stderr
    held = json.loads(reconciler(root, "state", "list", "--format", "json").stdout)
    assert held["promo[us]"] == project
    assert set(held) == {"promo[us]", "promo[de]"}
    assert "promo[de]" in reconciler(root, "status", "promo[de]").stdout
    assert reconciler(root, "plan", "--detailed-exitcode").returncode == 0
    assert reconciler(root, "state", "mv", "promo[us]", "promo[us,x]").returncode == 0
    refused = reconciler(root, "state", "mv", "promo[us,x]", "promo[us,]")
    assert refused.returncode == 1 and "is not a valid address" in refused.stderr
    (root / "specs" / "a.yaml").write_text("projects: {}\nremoved: [{address: 'promo[us,x]', action: forget}]\n")
    planned = json.loads(reconciler(root, "plan", "--format", "json").stdout)
    assert ("forget", "promo[us,x]") in [(s["action"], s["address"]) for s in planned["steps"]]
