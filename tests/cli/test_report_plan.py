"""The text of a plan and of an apply's result."""

import pytest
from msgspec.structs import replace

from reconciler.model.desired import DesiredMessage
from reconciler.model.errors import Diagnostic
from reconciler.model.events import ApplyResult, StepResult
from reconciler.model.plan import Create, Message, Replace, Update
from reconciler.report.style import Style
from reconciler.report.text import apply_text, plan_text
from tests.cli.report_samples import FAILED, PLAN, STEPS, applied, change

PLAIN = Style(color=False)

PLAN_TEXT = """\
Symbols in this plan:
  +  create (spends credits)
  >  send a message (spends credits)
-/+  replace: cancel the old project, create a new one (spends credits)
  &  adopt a studio project
  =  import a project, no call
 ->  move to another address, no call
  ~  update settings in place
  x  cancel
  ^  release to the studio
  -  forget: the project stays, no call
  !  needs your attention; no step can fix it

# summer-teaser will be created and sent 2 messages
  + create (generation 0): new in the specs
      + brief:
          Fifteen seconds, upbeat, product in the last shot.
          No voiceover.
      + title       = "Summer teaser"
      + webhook_url = "https://hooks.example.com/${env.TOKEN}"
  > message "softer"  (waits for: the agent to become idle)
      "Make the music softer."
      references = [{"upload_id": "upl_1"}]
  > message "2"  (waits for: the message before it)
      "Add a female voiceover."

# intro (proj_1) will be replaced
-/+ replace: its brief changed
      ~ brief:  (as last sent)  # forces replacement: brief is fixed at creation
            A calm opening.
          - Slow music.
          + Fast music.
            The logo at the end.
      This spends credits again. To direct the agent of the old project instead, undo the change and
      append a message. `lifecycle.on_immutable_change: ignore` keeps the old project, `error`
      refuses such changes.

# from-studio will be adopted
  & adopt studio project "6f1c": the specs adopt it
      + mode = "collaborative"

# older (proj_2) will be imported
  = import proj_2: the specs import it

# clip (proj_3) will be moved and updated
 -> move from old-clip
  ~ update: 4 settings differ
      - title       = "Clip" -> null (cleared)
      ~ craft       = "general" -> "cinema"  (as last sent)
      ~ mode        = "autonomous" -> "collaborative"  (drift: changed outside the reconciler)
      ~ webhook_url = (secret) -> "https://hooks.example.com/${env.TOKEN}"  (as in the API's last answer)
      ~ video_model = (not known) -> "kling-3.0"

# stopped (proj_4) will be cancelled
  x cancel: the specs say `state: cancelled`

# handed (proj_5) will be released and forgotten
  ^ release to the studio: it left the specs
  - forget: it left the specs

Lifecycle changes to save:
  clip: on_remove: protect; ignore_changes: title

! warning[W201]: the project failed and `on_failed` is `keep`
  --> specs/a.yaml:3:5 (broken)
    The API says: out of frames.
    Set `on_failed: recreate` to recreate it.

note: a sent message left the spec
  --> clip

Requests: 3 used for this plan; apply needs at least 11.
1 create, 1 replacement and 2 messages spend credits and can't be undone.
Plan: 1 to create, 1 to adopt, 1 to import, 1 to update, 2 messages to send, 1 to cancel, 1 to replace, 1 to release, \
1 to forget, 1 to move, 5 unchanged, 1 needs attention.
"""

APPLY_TEXT = """\
deferred: summer-teaser: message "2": waits for the message before it
failed: intro: replace: the API refused the create
      POST /projects → 402 insufficient_credits, request r-1
      Top up the account, then apply again.
unknown: clip: update: it may have been done; the next apply checks before it sends anything again
skipped: handed: forget: an earlier step of the same project was not done

! warning[W201]: the project failed and `on_failed` is `keep`
  --> specs/a.yaml:3:5 (broken)
    The API says: out of frames.
    Set `on_failed: recreate` to recreate it.

note: a sent message left the spec
  --> clip

Requests: 12 used.
To continue, run the same command again: completed steps are not repeated.
Apply incomplete: 1 created, 1 adopted, 1 imported, 1 message sent, 1 cancelled, 1 released, 1 moved. \
1 deferred, 1 failed, 1 skipped, 1 unknown.
"""


def bare(*steps, **more):
    return replace(PLAN, steps=steps, diagnostics=(), **more)


def last(text):
    return text.rstrip("\n").rsplit("\n", 1)[-1]


def test_every_kind_of_step_reads_like_this():
    """Intent: the whole look of a plan is pinned down, with one step of every kind."""
    assert plan_text(PLAN, style=PLAIN) == PLAN_TEXT


def test_an_apply_with_every_outcome_reads_like_this():
    """Intent: what was not done says why and how to go on; each finding is printed once."""
    assert apply_text(applied(), style=PLAIN) == APPLY_TEXT


def test_colour_adds_nothing_but_colour():
    """Intent: the text without its escapes is the plain text, so nothing is said by colour alone."""
    coloured = plan_text(PLAN, style=Style(color=True))
    for code in ("0", "1", "2", "31", "32", "33", "36", "1;31", "1;33", "1;36"):
        coloured = coloured.replace(f"\x1b[{code}m", "")
    assert coloured == PLAN_TEXT


@pytest.mark.parametrize(
    ("plan", "line"),
    [
        (bare(unchanged=6), "No changes. 6 projects match their specs."),
        (bare(unchanged=1), "No changes. 1 project matches its spec."),
        (bare(unchanged=0), "No changes. There are no projects."),
        (bare(unchanged=0, destroy=True), "No changes. Nothing to destroy."),
        (replace(PLAN, steps=(), unchanged=1), "No changes. 1 project matches its spec; 1 needs attention."),
        (replace(PLAN, steps=(), unchanged=0), "No changes. 1 needs attention."),
        (bare(STEPS[0], unchanged=0), "Plan: 1 to create, 0 unchanged."),
        (bare(STEPS[1], unchanged=1), "Plan: 1 message to send, 1 unchanged."),
    ],
)
def test_the_last_line_counts(plan, line):
    """Intent: the last line tells all there is to decide, in the right number."""
    assert last(plan_text(plan, style=PLAIN)) == line


def test_one_costly_step_is_spoken_of_in_the_singular():
    """Intent: the money line agrees with its number."""
    assert "\n1 message spends credits and can't be undone.\n" in plan_text(bare(STEPS[1]), style=PLAIN)
    assert "credits and" not in plan_text(bare(STEPS[7]), style=PLAIN)


def test_a_plan_with_errors_says_that_it_can_not_be_applied():
    """Intent: errors come first and the reader knows what they mean for apply."""
    error = Diagnostic(severity="error", summary="7 of 10 projects would be cancelled, limit 30 %")
    text = plan_text(replace(PLAN, diagnostics=(FAILED, error)), style=PLAIN)
    assert text.index("error: 7 of 10") < text.index("! warning")
    assert "This plan has 1 error and can't be applied.\n" in text


def test_long_texts_are_shortened_unless_verbose():
    """Intent: a brief of a page does not bury the plan, and all of it is there when asked for."""
    brief = "\n".join(f"Scene {number}." for number in range(20))
    create = Create(
        address="a", reason="", body={}, generation=0, key="k", changes=(change("brief", None, brief, "none"),)
    )
    message = Message(address="a", reason="", message=DesiredMessage("1", {"message": brief}))
    short = plan_text(bare(create, message), style=PLAIN)
    assert short.count("          … 14 more lines\n") == 1
    assert short.count("      … 14 more lines\n") == 2
    assert "Scene 6." not in short
    full = plan_text(bare(create, message), style=PLAIN, verbose=True)
    assert "… " not in full
    assert full.count("Scene 19.") == 2


def test_empty_lines_alone_are_shortened_too():
    """Intent: a text of nothing but newlines does not break the shortening."""
    message = Message(address="a", reason="", message=DesiredMessage("1", {"message": "\n" * 40 + "x"}))
    assert "more lines" in plan_text(bare(message), style=PLAIN)


def test_a_long_brief_is_compared_by_sentences():
    """Intent: of a long paragraph only the sentence that changed shows, with its neighbours."""
    before = " ".join(f"Sentence {number} is a little longer than the one before." for number in range(30))
    after = before.replace("Sentence 17 is", "Sentence seventeen is")
    step = Replace(
        address="a",
        project_id="p",
        reason="",
        body={},
        generation=1,
        key="k",
        changes=(change("brief", before, after, "sent"),),
    )
    assert plan_text(bare(step), style=PLAIN).split("\n\n")[1].split("\n")[2:] == [
        "      ~ brief:  (as last sent)",
        "          …",
        "            Sentence 16 is a little longer than the one before.",
        "          - Sentence 17 is a little longer than the one before.",
        "          + Sentence seventeen is a little longer than the one before.",
        "            Sentence 18 is a little longer than the one before.",
    ]


def test_a_change_of_white_space_alone_is_not_shown_as_nothing():
    """Intent: a change is never printed as an empty diff."""
    step = Update(address="a", project_id="p", reason="", body={}, changes=(change("brief", "a\nb", "a\nb\n"),))
    assert "(only white space at the end differs)" in plan_text(bare(step), style=PLAIN)


def test_a_long_value_nobody_knows_is_not_passed_off_as_new():
    """Intent: a field that no GET shows says so when its before-value is not known."""
    step = Update(
        address="a",
        project_id="p",
        reason="",
        body={},
        changes=(change("settings.image_model", None, "m" * 90, "none"),),
    )
    assert "~ image_model:  (before: not known)\n" in plan_text(bare(step), style=PLAIN)


def test_a_secret_that_changed_but_reads_the_same_says_so():
    """Intent: a rotated secret is no empty change."""
    step = Update(
        address="a",
        project_id="p",
        reason="",
        body={},
        changes=(change("settings.webhook_url", "${env.A}", "${env.A}", "sent", sensitive=True),),
    )
    assert '"${env.A}" -> "${env.A}" (another secret)' in plan_text(bare(step), style=PLAIN)


def test_destroy_and_refresh_only_open_with_what_they_are():
    """Intent: nobody takes a destroy plan for an ordinary one."""
    assert plan_text(bare(STEPS[8], destroy=True), style=PLAIN).startswith("Destroy: every managed project")
    assert plan_text(bare(refresh_only=True), style=PLAIN).startswith("Refresh only: ")


def test_a_complete_apply_says_what_it_did():
    """Intent: the common case is one clear line, without advice to go on."""
    results = tuple(StepResult(step=step, outcome="done") for step in STEPS[:3])
    plan = bare(*STEPS[:3])
    text = apply_text(ApplyResult(plan=plan, results=results, requests=5), style=PLAIN)
    assert text == "Requests: 5 used.\nApply complete: 1 created, 2 messages sent. 0 deferred, 0 failed.\n"
    nothing = ApplyResult(plan=bare(), results=())
    assert last(apply_text(nothing, style=PLAIN)) == "Apply complete: nothing to do. 0 deferred, 0 failed."


def test_an_interrupted_apply_says_so():
    """Intent: after Ctrl-C the summary does not claim completeness and says how to go on."""
    result = ApplyResult(
        plan=bare(STEPS[0]), results=(StepResult(step=STEPS[0], outcome="deferred"),), interrupted=True
    )
    text = apply_text(result, style=PLAIN)
    assert "deferred: summer-teaser: create: it was not started\n" in text
    assert "run the same command again" in text
    assert last(text) == "Apply interrupted: no step done. 1 deferred, 0 failed."


def test_many_that_were_not_done_for_one_reason_share_a_line():
    """Intent: after Ctrl-C, thirty projects are read at a glance; what failed has its own line, always."""
    creates = [replace(STEPS[0], address=f"p{n}") for n in range(25)]
    error = Diagnostic(severity="error", summary="the answer was cut off")
    results = (
        *(StepResult(step=step, outcome="deferred", note="interrupted") for step in creates),
        *(StepResult(step=step, outcome="unknown", error=error) for step in creates[:5]),
        *(StepResult(step=step, outcome="skipped") for step in creates[:2]),
    )
    text = apply_text(ApplyResult(plan=bare(*creates), results=results), style=PLAIN)

    assert "deferred: 25 creates: interrupted: `p0`, `p1`, `p2` and 22 more\n" in text
    assert text.count("deferred:") == 1 and text.count("unknown: p") == 5 and text.count("skipped: p") == 2


def test_a_note_stands_beside_the_error_it_explains():
    """Intent: neither the executor's note nor the API's own words get lost."""
    error = Diagnostic(severity="error", summary="the answer was cut off", detail="POST /projects")
    result = StepResult(step=STEPS[0], outcome="unknown", note="looked for it, did not find it", error=error)
    text = apply_text(ApplyResult(plan=bare(STEPS[0]), results=(result,)), style=PLAIN)
    assert text.startswith(
        "unknown: summer-teaser: create: looked for it, did not find it\n"
        "  error: the answer was cut off\n"
        "      POST /projects\n"
    )
