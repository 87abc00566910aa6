"""Results that last, as a user gets them: the spec's `deliver`, files in the workspace or below `--out`, permanent links."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import reconciler
from reconciler.model import contract
from tests.cli.cli_support import APPLY, CONFIG, copied, make_space

SPEC = """\
projects:
  teaser:
    brief: Ten seconds, one product.
    messages: [Softer.]
    deliver:
      render: 1080p
      share: {title: Teaser}
      download: renders/
"""
PLAIN = "projects:\n  teaser: {brief: Ten seconds.}\n"


def space_with(root, text, config=CONFIG):
    space = make_space(root)
    space.write("reconciler.yaml", config)
    for path in (space.root / "specs").glob("*"):
        path.unlink()
    space.write("specs/all.yaml", text)
    return space


@pytest.fixture(scope="session")
def delivered_once(tmp_path_factory):
    space = space_with(tmp_path_factory.mktemp("delivered") / "w", SPEC)
    return space, space.run(*APPLY)


@pytest.fixture
def delivered(delivered_once, tmp_path):
    return copied(delivered_once[0], tmp_path / "w")


def test_apply_renders_shares_and_downloads_and_a_second_one_does_nothing(delivered_once, delivered):
    first = delivered_once[1]
    assert "1 rendered, 1 shared" in first.out
    assert "Downloads the video of teaser into renders/" in first.out
    assert "fetched: teaser.mp4" in first.out
    assert "spends credits" in first.out  # the create and the message do, the render in 1080p does not
    assert "1 render " not in next(line for line in first.out.splitlines() if "spend credits" in line)
    assert (delivered.root / "renders" / "teaser.mp4").read_bytes()[4:8] == b"ftyp"
    second = delivered.run(*APPLY, "--format", "json")
    assert second.document["steps"] == []
    assert second.document["downloaded"]["teaser"]["outcome"] == "kept"
    assert second.document["requests"]["used"] == 1


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("version", "costs"), [("2026-04", True), ("2026-05", False)])
def test_it_is_the_same_in_every_version_of_the_api(tmp_path, version, costs):
    space = space_with(tmp_path / "w", SPEC, CONFIG.replace("url: sandbox", f"url: sandbox, version: {version}"))
    first = space.run(*APPLY)
    assert "1 rendered, 1 shared" in first.out
    assert ("1 render " in next(line for line in first.out.splitlines() if "spend credits" in line)) is costs
    assert space.run("plan", "--detailed-exitcode").code == 0
    assert (space.root / "renders" / "teaser.mp4").is_file()


def test_the_permanent_link_is_shown_wherever_one_looks(delivered):
    url = delivered.state["projects"]["teaser"]["shared"]["share_url"]
    assert url in delivered.run("output").out
    assert delivered.run("output", "--format", "json").document["teaser"]["share_url"] == url
    assert url not in delivered.run("status").out
    assert url in delivered.run("status", "-o", "wide").out
    assert delivered.run("status", "--format", "json").document["teaser"]["shared"]["share_url"] == url
    delivered.run("report", "--out", "public")
    assert url in (delivered.root / "public" / "index.html").read_text()


def test_out_takes_the_place_of_the_workspace(delivered, tmp_path):
    out = tmp_path / "elsewhere"
    delivered.run(*APPLY, "--out", str(out))
    assert (out / "renders" / "teaser.mp4").is_file()


@pytest.mark.parametrize("where", ["../outside", "/tmp/outside", ".git/hooks", "a/../../b"])
def test_a_folder_outside_the_workspace_is_an_error_at_its_line(tmp_path, where):
    space = space_with(tmp_path / "w", f"projects:\n  a: {{brief: x, deliver: {{download: {json.dumps(where)}}}}}\n")
    ran = space.run("validate", code=1)
    assert "specs/all.yaml:2:" in ran.err
    assert "deliver.download" in ran.err


NO_FOLDER = {
    "the configuration": ("reconciler.yaml", "is not a folder"),
    "below a file": ("reconciler.yaml/x", "is not a folder"),
    "a spec": ("specs/all.yaml", "is not a folder"),
    "a home": ("~/x", "`~` does not stand for your home folder"),
    "a bare home": ("~", "`~` does not stand for your home folder"),
    "another's home": ("~root/x", "`~` does not stand for your home folder"),
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("case", NO_FOLDER)
def test_a_place_that_can_be_no_folder_is_an_error_at_its_line(tmp_path, case):
    where, why = NO_FOLDER[case]
    space = space_with(tmp_path / "w", f"projects:\n  a: {{brief: x, deliver: {{download: {json.dumps(where)}}}}}\n")
    for command in ("validate", "plan"):
        ran = space.run(command, code=1)
        assert "specs/all.yaml:2:" in ran.err and f"deliver.download: {where}" in ran.err
        assert why in ran.err


@pytest.mark.parametrize("where", ["renders", "a~/x", "new/deep/folder", ".", "specs"])
def test_a_place_that_can_be_a_folder_is_fine(tmp_path, where):
    space = space_with(tmp_path / "w", f"projects:\n  a: {{brief: x, deliver: {{download: {json.dumps(where)}}}}}\n")
    space.run("validate")


def test_failed_downloads_are_counted_where_the_apply_ends(delivered, tmp_path):
    summary = tmp_path / "summary.md"
    delivered.write("mine/teaser.mp4", "precious")
    delivered.write("specs/all.yaml", SPEC.replace("renders/", "mine"))
    ran = delivered.run(*APPLY, code=1, GITHUB_STEP_SUMMARY=str(summary))
    assert ran.out.endswith("Apply incomplete: nothing to do. 0 deferred, 0 failed, 1 download failed.\n")
    assert "run the same command again" in ran.out
    assert "1 download failed" in summary.read_text() and "is in the way" in summary.read_text()


@pytest.mark.parametrize("link", ["renders", "renders/inner"])
def test_nothing_is_downloaded_through_a_link(delivered, tmp_path, link):
    target = tmp_path / "target"
    target.mkdir()
    place = delivered.root / link
    if link == "renders":
        for path in place.iterdir():
            path.unlink()
        place.rmdir()
    place.symlink_to(target, target_is_directory=True)
    delivered.write("specs/all.yaml", SPEC.replace("renders/", link))
    ran = delivered.run(*APPLY, code=1)
    assert "outside" in ran.err or "leads out of the workspace" in ran.err
    assert not list(target.iterdir())


def test_a_link_inside_the_workspace_is_not_written_through(delivered):
    (delivered.root / "other").mkdir()
    (delivered.root / "linked").symlink_to("other", target_is_directory=True)
    delivered.write("specs/all.yaml", SPEC.replace("renders/", "linked"))
    delivered.run(*APPLY, code=None)
    assert not any(path.name == "teaser.mp4" and path.parent.is_symlink() for path in delivered.root.rglob("*.mp4"))


@pytest.mark.parametrize("text", ['{"name": "my app"}', '{"icons": []}', "[1]"])
def test_a_manifest_of_somebody_else_is_not_written_over(delivered, text):
    delivered.write("public/manifest.json", text)
    delivered.write("specs/all.yaml", SPEC.replace("renders/", "public"))
    ran = delivered.run(*APPLY, code=1)
    assert "is not a manifest of downloads" in ran.err
    assert (delivered.root / "public" / "manifest.json").read_text() == text


@pytest.mark.sampled(3)
@pytest.mark.parametrize("how", ["deliver", "deliver below --out", "output"])
def test_a_file_of_the_user_is_never_replaced_by_a_video(delivered, how):
    where = "below/mine" if "--out" in how else "mine"
    delivered.write(f"{where}/teaser.mp4", "precious")
    delivered.write("specs/all.yaml", SPEC.replace("renders/", "mine"))
    command = {
        "deliver": APPLY,
        "deliver below --out": (*APPLY, "--out", "below"),
        "output": ("output", "--download", "mine"),
    }[how]
    for _ in range(2):
        ran = delivered.run(*command, code=1)
        assert f"{where}/teaser.mp4` is in the way" in ran.err
        assert "Move it away" in ran.err
        assert (delivered.root / where / "teaser.mp4").read_text() == "precious"
        assert [path.name for path in (delivered.root / where).iterdir()] == ["teaser.mp4"]
    (delivered.root / where / "teaser.mp4").unlink()
    delivered.run(*command)
    assert (delivered.root / where / "teaser.mp4").read_bytes()[4:8] == b"ftyp"


@pytest.mark.sweep
def test_a_saved_plan_names_its_downloads_and_makes_them(tmp_path):
    space = space_with(tmp_path / "w", SPEC)
    space.run("plan", "--out", "saved.plan")
    document = space.run("show", "saved.plan", "--format", "json").document
    assert document["downloads"] == {"teaser": "renders/"}
    space.run("apply", "saved.plan", "--poll-interval", "0.05")
    assert (space.root / "renders" / "teaser.mp4").is_file()


# ── output says what it knows ───────────────────────────────────────────────────────────────────────────────────────


def test_output_after_an_apply_that_did_not_wait_says_so_and_refreshes(tmp_path):
    space = space_with(tmp_path / "w", PLAIN)
    space.run(*APPLY, "--wait", "none")
    ran = space.run("output", "--format", "json")
    assert ran.document["teaser"]["assembled_url"] is None
    assert "`teaser` was at work when the state was written" in ran.err
    assert "output --refresh" in ran.err
    with space.account() as store:
        store.finish_all()
        store.clear_requests()
    ran = space.run("output", "--refresh", "--format", "json")
    assert ran.document["teaser"]["assembled_url"]
    assert ran.document["teaser"]["status"] == "idle"
    assert "at work" not in ran.err
    with space.account() as store:
        assert [(r.method, r.path) for r in store.requests()] == [("GET", "/projects")]
    space.run(*APPLY, "--wait", "idle")
    ran = space.run("output", "--format", "json")
    assert ran.document["teaser"]["assembled_url"]
    assert not ran.err


# ── the language ────────────────────────────────────────────────────────────────────────────────────────────────────

WRONG = {
    "a quality that there is not": ("{render: 720p}", "720p"),
    "an unknown key": ("{rendr: 1080p}", "rendr"),
    "an unknown key of the link": ("{share: {titel: x}}", "titel"),
    "a blank title": ('{share: {title: " "}}', "title"),
    "a link that is a flag": ("{share: true}", "share"),
    "a folder that is a number": ("{download: 5}", "download"),
    "a secret in the description": ("{share: {description: '${env.HOOK_TOKEN}'}}", "description"),
    "no mapping": ("1080p", "deliver"),
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_in_deliver_is_an_error_at_its_line(tmp_path, case):
    text, named = WRONG[case]
    space = space_with(tmp_path / "w", f"projects:\n  a:\n    brief: x\n    deliver: {text}\n")
    ran = space.run("validate", code=1)
    assert "specs/all.yaml:4:" in ran.err
    assert named in ran.err


def test_defaults_variables_and_for_each_reach_deliver(tmp_path):
    text = """\
defaults: {deliver: {render: 1080p, download: "renders/${address}"}}
projects:
  promo:
    for_each: [us, de]
    brief: For ${each.key}.
    deliver: {share: {title: "Promo ${each.key}"}}
  plain: {brief: Plain., deliver: {render: null, download: null}}
"""
    space = space_with(tmp_path / "w", text)
    space.run("fmt")
    plan = space.run("plan", "--format", "json").document
    steps = {(s["address"], s["action"]): s["request"]["body"] for s in plan["steps"]}
    assert steps["promo[us]", "share"] == {"title": "Promo us"}
    assert steps["promo[de]", "render"] == {"quality": "1080p"}
    assert {action for address, action in steps if address == "plain"} == {"create"}
    assert plan["downloads"] == {"promo[us]": "renders/promo[us]", "promo[de]": "renders/promo[de]"}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("version", contract.versions())
@pytest.mark.parametrize("quality", ["1080p", "4k"])
def test_contract_plan_explain_and_manual_agree_on_what_a_render_costs(tmp_path, version, quality):
    cost = contract.named(version).renders[quality]
    space = space_with(
        tmp_path / "w",
        SPEC.replace("1080p", quality),
        CONFIG.replace("url: sandbox", f"url: sandbox, version: {version}"),
    )
    words = f"costs {cost} credits" if cost else "is free"
    assert f"{quality} {words}" in " ".join(space.run("explain", "projects.deliver.render").out.split())
    shown = space.run("plan").out
    spends = next(line for line in shown.splitlines() if "spend credits" in line)
    assert ("1 render " in spends) is bool(cost)
    assert ("render the video (spends credits)" in shown) is bool(cost)
    manual = (Path(reconciler.__file__).parent / "manual" / "deliver.md").read_text()
    row = next(line for line in manual.splitlines() if line.startswith(f"| {version} |"))
    told = row.strip("| ").split(" | ")[1 + list(contract.named(version).renders).index(quality)]
    assert told == (f"{cost} credits" if cost else "free")


@pytest.mark.sweep
def test_every_format_of_a_plan_shows_what_is_rendered_and_shared(tmp_path):
    space = space_with(
        tmp_path / "w", SPEC.replace("1080p", "4k").replace("{title: Teaser}", "{title: T, description: Dd.}")
    )
    for name in ("text", "markdown", "html"):
        shown = space.run("plan", "--format", name).out
        for words in ("render in 4k", "Dd.", "1 to render", "1 to share", "renders/"):
            assert words in shown, (name, words)
    assert "4k" in space.run("explain", "projects.deliver.render").out


UNTOLD = "projects:\n  teaser:\n    brief: Ten seconds.\n    deliver: {render: 4k, share: {}}\n"


@pytest.mark.sweep
def test_what_may_have_been_done_before_ends_with_1_until_it_is_decided(tmp_path):
    # Intent: CI must not stay green while a render that is due was not made; each answer is one question less.
    space = space_with(tmp_path / "w", UNTOLD)
    assert "1 rendered, 1 shared" in space.run(*APPLY).out
    with space.account() as store:
        store.person_shares(store.projects()[0]["id"])
    space.state_path.unlink()
    for options, words in ((APPLY, "1 already done"), ((*APPLY, "--detailed-exitcode"), "nothing to do")):
        ran = space.run(*options, code=1)
        assert ran.out.splitlines()[-1].startswith("Apply incomplete: ")
        assert words in ran.out and ran.out.rstrip().endswith("1 needs a decision.")
        assert "decide what is unknown" in ran.out and "rendered as its spec says" in ran.out + ran.err
    assert not space.run(*APPLY, "--format", "json", code=1).document["converged"]
    assert "1 needs attention" in space.run("plan").out
    space.run("plan", "--fail-on", "attention", code=3)
    assert space.run("state", "resolve", "teaser", "--sent").out == "render of `teaser` counts as done.\n"
    asked = space.run(*APPLY, code=1)
    assert "no step done" in asked.out and "1 needs a decision" in asked.out
    assert "share link already" in asked.out + asked.err and "--sent" not in asked.err.replace("--not-sent", "")
    refused = space.run("state", "resolve", "teaser", "--sent", code=1)
    assert "which share link" in refused.err and "--not-sent" in refused.err
    assert "share link of `teaser` counts as not done" in space.run("state", "resolve", "teaser", "--not-sent").out
    assert "1 shared" in space.run(*APPLY).out
    assert "No changes" in space.run(*APPLY).out
    with space.account() as store:
        assert [e.kind for e in store.ledger()] == ["create", "render", "share", "share"]


def test_where_only_a_link_is_asked_for_no_answer_is_about_a_render(tmp_path):
    space = space_with(tmp_path / "w", UNTOLD.replace("render: 4k, ", ""))
    space.run(*APPLY)
    space.state_path.unlink()
    asked = space.run(*APPLY, code=1)
    assert "1 needs a decision" in asked.out and "rendered" not in asked.out + asked.err
    assert space.run("state", "resolve", "teaser", "--sent").out == "share link of `teaser` counts as done.\n"
    assert "no call of `teaser` has an unknown" in space.run("state", "resolve", "teaser", "--sent", code=1).err
    assert "No changes" in space.run(*APPLY).out
