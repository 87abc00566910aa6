"""What a saved plan shows is what it sends: an edit of it is refused, or a reviewer sees it, in every format.

The one who edits can write the file and knows the format, so every edited plan names its own, right digest here
(``test_plan_digest.py`` has what `--digest` makes of that).
"""

from __future__ import annotations

import copy
import json
import re

import pytest
from msgspec.structs import replace

from reconciler.model.desired import DesiredMessage
from reconciler.model.errors import PlanFileError
from reconciler.model.plan import Change, Create, FileUpload, Message, Replace, Update
from reconciler.model.plan_json import decode_plan, encode_plan
from reconciler.model.values import Revealed, secret_digest
from reconciler.report.html import plan_html
from reconciler.report.markdown import plan_markdown
from reconciler.report.style import Style
from reconciler.report.text import plan_text
from tests.cli.cli_support import make_space
from tests.cli.report_samples import FAILED, HOOK, PLAN, change
from tests.security.test_plan_digest import asked, resealed, saved

REFERENCES = [
    {"file": "assets/logo.png", "digest": "a" * 64},
    {"project": "summer-teaser", "type": "video"},
    {"url": HOOK, "type": "image"},
]
SHOWN = [
    {"file": "assets/logo.png", "digest": "a" * 64},
    {"project": "summer-teaser", "type": "video"},
    {"url": HOOK.template, "type": "image"},
]
LONG = "A long brief of many lines.\n" * 40
RICH = replace(
    PLAN,
    steps=(
        *PLAN.steps,
        Create(
            address="sequel",
            reason="it is in the specs and not in the state",
            waits_for="`summer-teaser` to have a rendered video",
            after=("summer-teaser", "intro"),
            body={"brief": LONG, "references": REFERENCES, "extract_content": False, "craft_auto": True},
            generation=3,
            key="acme-videos/sequel/3",
            changes=(
                change("brief", None, LONG, "none"),
                change("references", None, SHOWN, "none", sensitive=True),
                change("extract_content", None, False, "none"),
                change("settings.craft_auto", None, True, "none"),
            ),
        ),
        Message(
            address="sequel",
            reason="it is in the specs and was not sent",
            message=DesiredMessage("2", {"message": HOOK, "references": REFERENCES, "extract_content": True}),
        ),
    ),
    families=("promo",),
    left_out=("teaser",),
    uploads=(FileUpload("assets/logo.png", "a" * 64),),
    diagnostics=(*PLAN.diagnostics, replace(FAILED, severity="note", address=None, attention=False, kind="drift")),
)
DOCUMENT = encode_plan(RICH)

BOOKKEEPING = {
    r"id": "tells the runs of one plan from those of another; goes into the digest by which a run is resumed",
    r"state\.lineage": "another state's plan is refused",
    r"basis\..*": "what the account and the state must still be like; it sends nothing",
    r"left_out.*": "what a lost state does not know yet; sends nothing",
    r"families.*": "asked by a guard that refuses an apply; sends nothing",
    r".*\.studio_id": "nothing reads it: the account says where a project is from",
    r".*\.before_source": "where an old value was read; sends nothing",
    r".*\.\$secret": "proves the value of a secret whose template is shown; another value is refused as stale",
    r"diagnostics\[\d+\]\.kind": "for tools; sends nothing",
    r"uploads.*\.digest|.*references\[\d+\]\.digest": "shown with its reference; what has no step is refused",
}
"""What no text shows, and why that may be; the JSON shows all of it, and the digest covers it."""


def leaves(value, path=()):
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list) and value:
        for number, item in enumerate(value):
            yield from leaves(item, (*path, number))
    else:
        yield path


def name(path):
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def edited(path, value):
    document = copy.deepcopy(DOCUMENT)
    target = document
    for part in path[:-1]:
        target = target[part]
    target[path[-1]] = value(target[path[-1]]) if callable(value) else value
    return resealed(document)


def views(plan):
    """The plan as people see it, in full; without its digest, which would tell any two apart."""
    return {
        "text": plan_text(plan, style=Style(color=False), verbose=True, digest=""),
        "markdown": plan_markdown(plan, digest=""),
        "html": plan_html(plan, digest=""),
    }


VIEWS = views(decode_plan(DOCUMENT))


def other(value):
    """The same with something else in it."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str():
            return f"{value} and evil"
        case _:
            return "evil"


def assert_refused_or_shown(document):
    try:
        plan = decode_plan(document)
    except PlanFileError:
        return "refused"
    seen = views(plan)
    same = [format_ for format_, text in seen.items() if text == VIEWS[format_]]
    assert not same, f"not shown as {same}"
    return "shown"


LEAVES = [path for path in leaves(DOCUMENT) if name(path) != "digest"]


def shows(path):
    return not any(re.fullmatch(pattern, name(path)) for pattern in BOOKKEEPING)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("path", [*filter(shows, LEAVES)], ids=name)
def test_every_single_edit_is_refused_or_shown(path):
    """Intent: whichever one value of the file is changed, nothing is sent that a reviewer did not see, in any format."""
    assert_refused_or_shown(edited(path, other))


def test_what_is_not_shown_is_bookkeeping():
    """Intent: the list of exceptions is as short as it says: each of them is a place of this plan."""
    for pattern in BOOKKEEPING:
        assert any(re.fullmatch(pattern, name(path)) for path in LEAVES), pattern


INVISIBLE = {
    "zero width": "\u200b",
    "right-to-left override": "\u202e",
    "tag": "\U000e0041",
    "variation selector": "\ufe01",
    "selector supplement": "\U000e0120",
    "filler": "\u3164",
    "joiner": "\u034f",
    "escape": "\x1b[8m",
    "newline that is none": "\x85",
    "half a pair": "\ud83d",
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("hidden", [*INVISIBLE.values()], ids=[*INVISIBLE])
def test_what_can_not_be_seen_is_shown(hidden):
    """Intent: text that an agent reads and a person does not see gets into no request unseen: body and change edited."""
    for step, field in ((3, "brief"), (7, "craft"), (1, "message")):
        document = copy.deepcopy(DOCUMENT)
        body = document["steps"][step]["request"]["body"]
        body[field] = f"{hidden}{body[field]}{hidden}"
        for item in document["steps"][step]["changes"]:
            if item["path"].endswith(field):
                item["after"] = body[field]
        assert assert_refused_or_shown(resealed(document)) == "shown"
        for text in views(decode_plan(resealed(document))).values():
            assert hidden not in text


def added(body, field, value):
    return lambda step: step["request"][body].update({field: value})


def showing(path, after, **more):
    row = {"path": path, "before": None, "before_source": "none", "sensitive": False, "drift": False, "forces": None}
    return lambda step: step["changes"].append({**row, "after": after, **more})


REFUSED = {
    "a webhook that no change shows": (0, added("body", "webhook_url", "https://evil.example/")),
    "a setting that no change shows": (7, added("body", "image_model", "dear")),
    "another brief than is shown": (3, added("body", "brief", "Something dear.")),
    "a change that is not sent": (7, showing("settings.image_model", "cheap")),
    "one field shown twice": (0, showing("settings.title", "Summer teaser")),
    "a creation field as a setting": (0, showing("settings.brief", "x")),
    "a change at a message": (1, showing("message", "Make the music louder.")),
    "a change at a cancel": (8, showing("settings.title", "x")),
    "a mode that an adopt does not show": (4, lambda step: step["changes"].clear()),
    "a secret that is none": (11, lambda step: step["request"]["body"]["references"][2].update(url={"$secret": "x"})),
    "a secret shown as another template": (
        7,
        lambda step: step["request"]["body"]["webhook_url"].update(template="https://evil.example/${env.TOKEN}"),
    ),
    "plain text in place of a secret": (7, added("body", "webhook_url", HOOK.template)),
    "a new project that had something before": (0, lambda step: step["changes"][1].update(before="x")),
    "an id of a project that is still to come": (12, lambda step: step.update(project_id="proj_9")),
    "another project than the step before": (10, lambda step: step.update(project_id="proj_9")),
    "a part that is not sent": (3, showing("references[0].url", "https://harmless.example", forces="x")),
    "a file that no step names": (None, lambda plan: plan["uploads"][0].update(file="secrets.env")),
    "steps in a plan that only refreshes": (None, lambda plan: plan.update(refresh_only=True)),
}  # fmt: skip


@pytest.mark.parametrize("edit", [*REFUSED])
def test_two_sides_that_differ_are_refused(edit):
    number, how = REFUSED[edit]
    document = copy.deepcopy(DOCUMENT)
    how(document if number is None else document["steps"][number])
    with pytest.raises(PlanFileError):
        decode_plan(resealed(document))


def test_what_stays_in_a_long_text_is_shown_too():
    """Intent: a forged "before" that holds the new text, too, does not hide it behind what stayed the same."""
    evil = "Steal the show."
    text = f"{LONG}{evil}\n{LONG}"
    for before in (text, f"{text}One more."):
        row = Change(path="brief", before=before, after=text, before_source="sent", forces="brief is fixed at creation")
        step = Replace(
            address="intro", project_id="p", reason="r", body={"brief": text}, generation=2, key="k", changes=(row,)
        )
        for format_, seen in views(replace(PLAN, steps=(step,))).items():
            assert evil in seen, format_


def test_what_is_cut_says_so():
    """Intent: a comment holds 60,000 characters and a screen few lines: what is left out is counted, never just missing."""
    long = "".join(f"Line {n} of a brief.\n" for n in range(2000))
    steps = tuple(
        Create(
            address=f"a{n}",
            reason="r",
            body={"brief": long},
            generation=1,
            key=f"acme-videos/a{n}/1",
            changes=(change("brief", None, long, "none"),),
        )
        for n in range(3)
    )
    plan = replace(PLAN, steps=steps)
    assert "more lines" in plan_text(plan, style=Style(color=False))
    comment = plan_markdown(plan, digest="d" * 64)
    assert "more lines" in comment and "its digest covers all of it" in comment and "d" * 64 in comment
    assert "its digest covers" not in plan_markdown(PLAN)


@pytest.mark.parametrize("literal", ["${env.TOKEN}", "x ${env.A_B} y"])
def test_a_text_that_looks_like_a_variable_is_told_from_one(literal):
    """Intent: `${env.TOKEN}` as it stands and the secret that it stands for do not read the same."""
    row = change("settings.title", None, literal, "none")
    plain = Update(address="a", reason="r", body={"title": literal}, changes=(row,))
    message = Message(address="a", reason="r", message=DesiredMessage("1", {"message": literal}))
    for text in views(replace(PLAN, steps=(plain, message))).values():
        assert text.count("sent literally") == 2
    for text in VIEWS.values():
        assert "sent literally" not in text


# The real command


@pytest.mark.sampled(3)
@pytest.mark.parametrize("field", ["brief", "webhook_url"])
def test_an_edited_body_is_neither_shown_nor_applied(tmp_path, field):
    """Intent: what was seen in the issue: with the body alone edited, `show` told the harmless brief and apply sent it."""
    space = make_space(tmp_path / "w")
    saved(space)
    path = space.root / "saved.plan"
    document = json.loads(path.read_text())
    document["steps"][0]["request"]["body"][field] = "https://evil.example/"
    path.write_text(json.dumps(resealed(document)))
    for format_ in ("text", "json", "markdown", "html"):
        ran = space.run("show", "saved.plan", "--format", format_, code=1)
        assert "evil" not in ran.out
    before = space.files()
    ran = space.run("apply", "saved.plan", code=1)
    assert "steps[0].changes" in ran.err and "Make a new plan" in ran.err
    assert asked(space) == [] and space.files() == before


@pytest.mark.sampled(6)
@pytest.mark.parametrize("adopting", [False, True])
def test_every_plan_of_ours_shows_what_it_sends(tmp_path, adopting):
    """Intent: the rules refuse no honest plan: create, update, drift, replacement, references, secrets, adopt, destroy."""
    space = make_space(tmp_path / "w")
    hook = "https://hooks.example.com/${env.WEBHOOK_TOKEN}"
    rows = [
        '{brief: One., references: [{url: "https://a.example/1.png", type: image}, {url: "https://a.example/2.png", type: image}]}',
        f'{{brief: One., references: [{{url: "https://a.example/2.png", type: image}}], settings: {{webhook_url: "{hook}"}}}}',
        f'{{brief: "Two. ${{env.WEBHOOK_TOKEN}}", aspect_ratio: "9:16", settings: {{title: T, webhook_url: "{hook}"}}}}',
        '{brief: "Three.", settings: {title: null}, messages: ["a ${env.WEBHOOK_TOKEN}", b]}',
        '{brief: "Three.", settings: {mode: none}, lifecycle: {on_remove: cancel}}',
    ]
    if adopting:
        with space.account() as store:
            store.add_studio_project(id="6f1c")
        rows = ["{adopt: 6f1c, settings: {mode: collaborative, title: A}}"]
    for row in rows:
        space.write("specs/a.yaml", f"projects: {{a: {row}, b: {{brief: B., depends_on: [a]}}}}\n")
        space.run("plan", "--out", "saved.plan")
        space.run("show", "saved.plan")
        space.run("apply", "saved.plan", "--poll-interval", "0.05", "--wait", "idle")
    space.run("plan", "--destroy", "--out", "saved.plan")
    space.run("apply", "saved.plan", "--poll-interval", "0.05", code=None)


def test_a_saved_plan_gets_no_variable_that_the_workspace_does_not_allow(tmp_path):
    """Intent: whoever edits a plan and guesses a value right does not have another secret sent: the key stays here."""
    space = make_space(tmp_path / "w", EVERSINCE_API_KEY="guessed")
    saved(space)
    path = space.root / "saved.plan"
    document = json.loads(path.read_text())
    step = document["steps"][0]
    template = "https://evil.example/${env.EVERSINCE_API_KEY}"
    digest = secret_digest(
        document["state"]["lineage"], Revealed("https://evil.example/guessed"), (Revealed("guessed"),)
    )
    step["request"]["body"]["webhook_url"] = {"$secret": digest, "template": template}
    next(change for change in step["changes"] if change["path"] == "settings.webhook_url")["after"] = template
    path.write_text(json.dumps(resealed(document)))
    assert template in space.run("show", "saved.plan").out
    ran = space.run("apply", "saved.plan", code=1)
    assert "policy.allowed_env" in ran.out + ran.err
    assert asked(space) == []
