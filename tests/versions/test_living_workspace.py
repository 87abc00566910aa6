"""``api.version`` of a workspace that lives: nothing replaced, nothing sent that is gone, its knowledge dropped with a note."""

from __future__ import annotations

import json

import pytest

from reconciler.sandbox.store import Fault
from tests.cli.cli_support import APPLY, CONFIG, make_space

OLD, MIDDLE, NEW = "2025-03", "2026-04", "2026-05"
FULL = {
    OLD: "craft: cinema, craft_auto: false, expected_output: assembled, agent_model: sonnet, ",
    MIDDLE: "craft: music, craft_auto: false, expected_output: assembled, agent_model: sonnet-4.6, ",
    NEW: "skills: [cinema], reasoning_mode: fast, agent_model: sonnet-4.6, ",
}
COMMON = "title: T, mode: collaborative, video_model: kling-3.0"
GONE = {
    (OLD, NEW): {"craft", "craft_auto", "expected_output"},
    (MIDDLE, NEW): {"craft", "craft_auto", "expected_output"},
    (NEW, OLD): {"skills", "reasoning_mode"},
    (NEW, MIDDLE): {"skills", "reasoning_mode"},
    (OLD, MIDDLE): set(),
    (MIDDLE, OLD): set(),
}


def spec(settings):
    return f"projects:\n  a:\n    brief: Ten seconds.\n    settings: {{{settings}}}\n    messages: [Softer.]\n"


def config(version):
    return CONFIG.replace("sandbox}", f"sandbox, version: {version}}}")


def known(space):
    return space.state["projects"]["a"]["settings"]


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("before", "after"), GONE)
def test_what_is_gone_is_dropped_with_a_note_and_the_plan_is_empty(tmp_path, before, after):
    # Intent: both directions, and each pair: no replacement, no PATCH, and the state says what can be said.
    space = make_space(tmp_path, spec(FULL[before] + COMMON), config(before))
    space.run(*APPLY)
    assert space.run("plan", "--format", "json").document["steps"] == []
    space.write("reconciler.yaml", config(after))
    space.write("specs/a.yaml", spec(COMMON))
    files = space.files()
    planned = space.run("plan", "--format", "json", "--detailed-exitcode").document
    notes = [d for d in planned["diagnostics"] if "forgets" in d["summary"]]
    assert planned["steps"] == [] and len(notes) == bool(GONE[before, after])
    assert all(name in notes[0]["summary"] for name in GONE[before, after])
    assert space.files() == files, "a plan writes nothing"
    held = set(known(space))
    assert space.run(*APPLY, "--format", "json").document["steps"] == []
    assert {*known(space)} >= held - GONE[before, after] and not {*known(space)} & GONE[before, after]
    again = space.run("plan", "--format", "json").document
    assert again["steps"] == [] and not any("forgets" in d["summary"] for d in again["diagnostics"])
    with space.account() as store:
        assert [effect.kind for effect in store.ledger()] == ["create", "message"]


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [(OLD, NEW, "sonnet-4.6"), (OLD, MIDDLE, "sonnet-4.6"), (NEW, OLD, "sonnet"), (MIDDLE, OLD, "sonnet")],
)
def test_a_value_that_is_said_in_another_way_is_no_change(tmp_path, before, after, expected):
    space = make_space(tmp_path, spec(f"{FULL[before]} {COMMON}"), config(before))
    space.run(*APPLY)
    space.write("reconciler.yaml", config(after))
    space.write("specs/a.yaml", spec(f"agent_model: {expected}, {COMMON}"))
    assert space.run("plan", "--format", "json").document["steps"] == []
    space.run(*APPLY)
    assert space.run("plan", "--format", "json").document["steps"] == []


def test_a_new_setting_is_one_patch_with_nothing_else_in_it(tmp_path):
    space = make_space(tmp_path, spec(FULL[OLD] + COMMON), config(OLD))
    space.run(*APPLY)
    space.run("fmt", "--upgrade-api", NEW)
    (step,) = space.run("plan", "--format", "json").document["steps"]
    assert (step["action"], step["request"]["body"]) == ("update", {"skills": ["cinema"]})
    space.run(*APPLY)
    assert space.run("plan", "--format", "json").document["steps"] == []


def test_not_approving_keeps_what_is_known(tmp_path):
    space = make_space(tmp_path, spec(FULL[OLD] + COMMON), config(OLD))
    space.run(*APPLY)
    space.write("reconciler.yaml", config(NEW))
    space.write("specs/a.yaml", spec(COMMON.replace("T,", "Other,")))
    space.run("apply", code=1)
    assert "craft" in known(space)


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("made", "applied"), [(OLD, NEW), (NEW, OLD), (MIDDLE, NEW)])
def test_a_saved_plan_of_another_version_is_refused_as_stale(tmp_path, made, applied):
    space = make_space(tmp_path, spec(FULL[made] + COMMON), config(made))
    space.run("plan", "--out", "saved.plan")
    space.write("reconciler.yaml", config(applied))
    space.write("specs/a.yaml", spec(COMMON))
    refused = space.run("apply", "saved.plan", code=1)
    assert "stale" in refused.err and f"`{made}`" in refused.err and f"`{applied}`" in refused.err
    with space.account() as store:
        assert store.ledger() == []
    assert "will be created" in space.run("show", "saved.plan").out, "whatever the workspace's version is"
    space.write("reconciler.yaml", config(made))
    space.run("apply", "saved.plan", "--poll-interval", "0.05")


def test_a_plan_of_the_default_version_has_the_format_of_before(tmp_path):
    space = make_space(tmp_path, spec(COMMON))
    assert "api_version" not in space.run("plan", "--format", "json").document
    assert space.run("plan", "--format", "json", EVERSINCE_API_VERSION=NEW).document["api_version"] == NEW
    space.run("plan", "--out", "p")
    edited = json.loads((space.root / "p").read_text()) | {"api_version": "2027-01"}
    space.write("p", json.dumps(edited))
    assert "api_version" in space.run("show", "p", code=1).err


@pytest.mark.sampled(6)
@pytest.mark.parametrize("fault", ["reset", "timeout"])
def test_a_create_that_was_interrupted_under_another_version_is_found_and_not_repeated(tmp_path, fault):
    # Intent: the answer is lost and so is the run; by the next one the workspace has moved on.
    space = make_space(tmp_path, spec(FULL[OLD] + COMMON), config(OLD))
    with space.account() as store:
        for method, skip in (("POST", 0), ("GET", 1)):  # the plan reads once
            store.add_fault(Fault(kind=fault, method=method, skip=skip, when="after", times=0, seconds=0.01))
    space.run(*APPLY, "--timeout", "5s", code=1)
    with space.account() as store:
        store.clear_faults()
        assert [effect.kind for effect in store.ledger()] == ["create"]
    space.run("fmt", "--upgrade-api", NEW)
    space.run(*APPLY)
    with space.account() as store:
        assert [effect.kind for effect in store.ledger()].count("create") == 1
        assert len(store.projects()) == 1
    assert space.run("plan", "--format", "json").document["steps"] == []


@pytest.mark.sampled(6)
@pytest.mark.parametrize(
    ("before", "after", "gone", "come"),
    [
        ("[cinema]", "[ugc]", ["cinema"], ["ugc"]),
        ("[music, cinema]", "[cinema, ugc, animation]", ["music"], ["ugc", "animation"]),
        ("[cinema, ugc]", "[]", ["cinema", "ugc"], []),
        ("[]", "[cinema]", [], ["cinema"]),
    ],
)
def test_the_diff_of_a_set_shows_what_comes_and_what_goes_in_every_format(tmp_path, before, after, gone, come):
    space = make_space(tmp_path, spec(f"skills: {before}"), config(NEW))
    space.run(*APPLY)
    space.write("specs/a.yaml", spec(f"skills: {after}"))
    for format_ in ("text", "markdown"):
        lines = [line.strip() for line in space.run("plan", "--format", format_).out.splitlines()]
        assert [f'- "{name}"' in lines for name in gone] + [f'+ "{name}"' in lines for name in come] == [True] * len(
            gone + come
        ), format_
    page = space.run("plan", "--format", "html").out
    assert all(f"<del>{name}</del>" in page for name in gone) and all(f"<ins>{name}</ins>" in page for name in come)
    ((change,),) = [step["changes"] for step in space.run("plan", "--format", "json").document["steps"]]
    assert [sorted(change[end]) for end in ("before", "after")] == [
        sorted(text.strip("[]").replace(",", "").split()) for text in (before, after)
    ]
    space.run(*APPLY)
    with space.account() as store:
        assert store.ledger()[-1].kind == "settings"
    assert space.run("plan", "--format", "json").document["steps"] == []


def test_the_order_of_a_set_and_the_case_of_ids_mean_nothing(tmp_path):
    own = "01234567-89ab-cdef-0123-456789abcdef"
    space = make_space(tmp_path, spec(f"skills: [ugc, cinema, {own}]"), config(NEW))
    space.run(*APPLY)
    space.write("specs/a.yaml", spec(f"skills: [{own.upper()}, cinema, ugc]"))
    assert space.run("plan", "--format", "json").document["steps"] == []
    space.write("specs/a.yaml", spec("title: T"))
    assert space.run("plan", "--format", "json").document["steps"][0]["request"]["body"] == {"title": "T"}
