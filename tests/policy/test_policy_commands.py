"""Policies on the command line: where findings are shown, exit codes, and that no file of the branch speaks for them."""

from __future__ import annotations

import json
import subprocess
import sys

import jsonschema
import pytest

from reconciler.adapters.plan_file import read_plan
from reconciler.model.plan_json import plan_digest
from tests import command
from tests.cli import plan_schema
from tests.cli.cli_support import APPLY, make_space
from tests.policy.policy_support import write_policy

DENY = "// deny budget: a plan costs nothing\nplan.cost == 0\n"
APPROVE = "// approve(finance) large: no project at once\nplan.summary.create == 0\n"
WARN = "// warn titled: a title is not `T`\nstep.body.title != 'Teaser'\n"
SPECS = """\
projects:
  teaser:
    brief: Ten seconds.
    tags: [launch]
    settings: {title: Teaser}
"""


@pytest.fixture
def space(tmp_path):
    return make_space(tmp_path / "w", SPECS)


@pytest.fixture
def policy(tmp_path):
    """A function that writes the policy, beside the workspace, and returns the option that names it."""

    def write(rules, **files):
        return "--policy", str(write_policy(tmp_path / "policy", rules, **files))

    return write


def asked(space):
    """The calls that changed something, if the account was asked at all."""
    if not space.db.exists():
        return []
    with space.account() as account:
        return [row.path for row in account.requests() if row.method != "GET"]


def findings(ran):
    return {found["rule"]: found["verdict"] for found in ran.document["policy"]["findings"]}


@pytest.mark.sampled(6)
@pytest.mark.parametrize("given", ["flag", "before", "variable"])
def test_a_denied_plan_is_applied_in_no_way(space, policy, given):
    """Intent: from the specs, from a file, destroying, in a loop; with exit code 1, and never a call."""
    option = policy(DENY)
    before = option if given == "before" else ()
    after = option if given == "flag" else ()
    env = {"RECONCILER_POLICY": option[1]} if given == "variable" else {}
    ran = space.run(*before, "plan", "--out", "saved.plan", *after, code=1, **env)
    assert "error[E301]: policy rule `budget` denies this plan: a plan costs nothing" in ran.out
    assert "Policy: 1 rule, 1 denies this plan. The plan costs 30 credits by its prices." in ran.out
    assert "it can be waived for this digest only" in ran.err
    for args in (
        ("apply", "saved.plan"),
        ("apply", "saved.plan", "--force"),
        (*APPLY, "--force"),
        ("show", "saved.plan"),
    ):
        assert "error[E301]" in space.run(*before, *args, *after, code=1, **env).err
    assert asked(space) == []
    space.run("show", "saved.plan")
    space.run("apply", "saved.plan")
    assert len(asked(space)) == 1
    rules = "// deny forever: nothing is ever destroyed\n!plan.destroy\n"
    option = policy(rules)
    assert "`forever`" in space.run("destroy", "--auto-approve", *option, code=1).err
    assert len(asked(space)) == 1


@pytest.mark.sweep
def test_every_form_of_a_plan_shows_what_the_policy_says(space, policy):
    option = policy(DENY + APPROVE + WARN)
    shown = ["`budget`", "`large`", "`titled`", "Policy: 3 rules", "rules.cel:1:1", "specs/a.yaml:2"]
    for form in ("text", "markdown", "html"):
        out = space.run("plan", "--format", form, *option, code=1).out.replace("<wbr>", "")
        for part in shown:
            assert part.strip("`") in out, (form, part)
    ran = space.run("plan", "--format", "json", *option, code=1)
    jsonschema.validate(ran.document, plan_schema.PLAN)
    said = ran.document["policy"]
    assert (said["decision"], said["cost"], said["rules"]) == ("deny", 30, 3)
    assert findings(ran) == {"budget": "denied", "large": "waits", "titled": "warned"}
    (titled,) = [found for found in said["findings"] if found["rule"] == "titled"]
    assert titled["steps"] == [{"address": "teaser", "action": "create", "file": "specs/a.yaml", "line": 2}]
    assert ran.document["declared"] == {"teaser": {"file": "specs/a.yaml", "line": 2, "tags": ["launch"]}}
    assert "policy" not in space.run("plan", "--format", "json").document


def test_an_approval_is_needed_before_any_call(space, policy):
    option = policy(APPROVE + WARN)
    space.run("plan", "--out", "saved.plan", *option)
    refused = space.run("apply", "saved.plan", *option, code=1)
    assert "error[E302]: policy rule `large` needs the approval of `finance`" in refused.err
    assert "--approved-by finance" in refused.err
    space.run("apply", "saved.plan", "--approved-by", "legal", *option, code=1)
    assert asked(space) == []
    done = space.run("apply", "saved.plan", "--format", "json", *option, RECONCILER_APPLY_APPROVED_BY="legal finance")
    assert findings(done) == {"large": "approved", "titled": "warned"}
    assert len(asked(space)) == 1


def test_a_waiver_is_shown_with_its_reason_and_ends_with_its_plan(space, policy):
    option = policy(DENY)
    space.run("plan", "--out", "saved.plan", *option, code=1)
    digest = plan_digest(read_plan(space.root / "saved.plan"))
    policy(DENY, waivers=f"- {{rule: budget, digest: {digest}, reason: The board agreed., by: ada}}\n")
    for args in (("show", "saved.plan"), ("show", "saved.plan", "--format", "markdown")):
        assert "Waived by ada: The board agreed." in space.run(*args, *option).out
    space.run("plan", *option, code=1)
    done = space.run("apply", "saved.plan", "--digest", digest, *option)
    assert "Waived by ada: The board agreed." in done.out


def test_the_rules_of_all_folders_count(space, tmp_path):
    """Intent: in one variable, as in PATH; and those of the option besides."""
    one, two = write_policy(tmp_path / "one", DENY), write_policy(tmp_path / "two", WARN)
    ran = space.run("plan", "--format", "json", code=1, RECONCILER_POLICY=f"{two}:{one}")
    assert findings(ran) == {"titled": "warned", "budget": "denied"}
    for before, after in (
        (("--policy", str(one)), ("--policy", str(two))),
        ((), ("--policy", str(one), "--policy", str(two))),
    ):
        ran = space.run(*before, "plan", "--format", "json", *after, code=1)
        assert findings(ran) == {"budget": "denied", "titled": "warned"}


def test_what_a_plan_file_says_about_a_policy_counts_for_nothing(space, policy):
    """Intent: an artifact claims that it passed; the digest is that of the plan without the claim."""
    option = policy(DENY)
    said = space.run("plan", "--format", "json", *option, code=1).document
    assert said["policy"]["decision"] == "deny"
    said["policy"] = {"decision": "allow", "cost": 0, "rules": 1, "findings": []}
    space.write("claims.plan", json.dumps(said))
    shown = space.run("show", "claims.plan", "--format", "json").document
    assert "policy" not in shown and shown["digest"] == said["digest"]
    assert "error[E301]" in space.run("apply", "claims.plan", *option, code=1).err
    assert asked(space) == []


def test_tags_in_a_plan_file_are_under_its_digest(space, policy):
    space.run("plan", "--out", "saved.plan")
    document = json.loads((space.root / "saved.plan").read_text())
    document["declared"]["teaser"]["tags"] = ["other"]
    space.write("saved.plan", json.dumps(document))
    assert "changed after it was written" in space.run("apply", "saved.plan", code=1).err


def test_a_branch_names_no_policy(space):
    """Intent: its own folder is not used; a key for it does not exist; named by the user, it is used with a warning."""
    write_policy(space.root / "policy", DENY)
    space.run("plan")
    (space.root / ".git").mkdir()
    ran = space.run("plan", "--policy", "policy", code=1)
    assert "in the same checkout as the specs: a branch can change it" in ran.err
    config = (space.root / "reconciler.yaml").read_text()
    space.write("reconciler.yaml", config.replace("policy: {", "policy: {folder: policy, "))
    assert "unknown key 'folder'" in space.run("plan", code=1).err


def test_a_folder_that_cannot_be_used_stops_everything(space, tmp_path):
    (tmp_path / "empty").mkdir()
    for folder, said in (("empty", "has no rules"), ("missing", "does not exist")):
        for args in (("plan",), APPLY, ("policy", "test")):
            assert said in space.run(*args, "--policy", str(tmp_path / folder), code=1).err
    assert asked(space) == []


def test_text_of_a_branch_stays_text(tmp_path, policy):
    """Intent: neither what a rule compares nor what it can't evaluate brings markup or lines of its own."""
    hostile = "]\n```\n::error::out <script>alert(1)</script> ["
    specs = f"projects:\n  teaser: {{brief: x, settings: {{title: {json.dumps(hostile)}}}}}\n"
    space = make_space(tmp_path / "w", specs)
    option = policy('// deny regex: no "quotes" <b>here</b>\n"x".matches(step.body.title)\n')
    page = space.run("plan", "--format", "html", *option, code=1).out
    assert "<script>alert" not in page and "<b>here" not in page
    text = space.run("plan", *option, code=1, GITHUB_ACTIONS="true")
    assert not [line for line in (text.out + text.err).splitlines() if line.startswith("::error::out")]


def test_watch_refuses_what_the_policy_refuses(space, policy):
    option = policy(DENY)
    with space.start("watch", "--interval", "1h", *option) as process:
        for line in process.stderr:
            if "E301" in line:
                break
        process.terminate()
        process.communicate(timeout=60)
    assert "E301" in line and process.returncode == 0
    assert asked(space) == []


# The extra


def in_python(code, space):
    """Run the command in an interpreter of its own, prepared by some code."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=space.root,
        env=command.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.sweep
def test_without_the_extra_the_advice_is_to_install_it(space, policy):
    option = policy("// deny a: m\ntrue\n")
    code = f"import sys; sys.modules['cel_expr_python'] = None; sys.argv = ['reconciler', 'plan', *{option!r}]\n"
    exit_code, out = in_python(code + "from reconciler.cli.main import main; main()", space)
    assert exit_code == 1
    assert "pip install 'eversince-reconciler[policy]'" in out and "Traceback" not in out
    assert "Plan:" not in out


@pytest.mark.sweep
def test_a_plan_without_a_policy_imports_nothing_for_it(space):
    code = (
        "import atexit, sys; sys.argv = ['reconciler', 'plan']\n"
        "atexit.register(lambda: print(*(m for m in sys.modules if m.startswith(('reconciler', 'cel'))), sep='\\n'))\n"
        "from reconciler.cli.main import main; main()"
    )
    exit_code, out = in_python(code, space)
    assert exit_code == 0 and "reconciler.model.plan" in out.splitlines()
    found = {line for line in out.splitlines() if "polic" in line.lower() or line.startswith("cel")}
    assert found <= {"reconciler.model.policy"}  # what a plan may hold
