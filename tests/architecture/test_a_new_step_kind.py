"""What it takes to add a kind of step: a copy of the package gets one, and mypy leads to every place that must know it.

The copy's new kind, `dub`, costs credits. A place that mypy does not name and that still has to be completed shows up
at the end, where everything that reads a plan is run with such a step.
"""

import ast
import json
import re
import subprocess
import sys

import pytest

from tests.architecture.type_checked import ROOT, mypy, type_checked

PLAN = "reconciler/model/plan.py"
KINDS = "reconciler/model/step_kinds.py"

DECLARED = '''class Dub(_Step, frozen=True, kw_only=True):
    """Dub the finished video in another language."""

    action: ClassVar[Literal["dub"]] = "dub"
    language: str


Step = Dub | '''
"""The new class, and the union that has it."""

BRANCHES = {
    (KINDS, "_kind"): (
        'case "dub":',
        """words = Words("%", "cyan", "dub", "dubbing", "dubbed", noun="dubbing", legend="dub the video")
            return StepKind(words, cost=9, slot=True, calls=1, effect="changes", begins="nothing", limit="max_creates")""",
    ),
    (PLAN, "sent_body"): ("case Dub():", 'return {"language": step.language}'),
    ("reconciler/model/plan_json.py", "_request"): (
        "case Dub():",
        'return {"request": _call("POST", f"{project}/dub", {"language": step.language})}',
    ),
    ("reconciler/model/plan_json.py", "_sent"): ('case "dub":', "return {}"),
    ("reconciler/report/words.py", "step_title"): (
        "case Dub():",
        'return f"{what} in {clean(step.language)}"',
    ),
    ("reconciler/operations/apply/execute.py", "Executor._act"): ("case Dub():", "return Done()"),
    ("reconciler/operations/state/sealing.py", "fill_secrets"): ("case Dub():", "return step"),
}
"""Every place that has to know a kind of step, and what it says of the new one: a branch of its `match`."""

NAMED = (PLAN, "describe")
"""The place where the union meets the names of the kinds: mypy asks there for the new name."""

USED = """
import json
from msgspec.structs import replace
from reconciler.model.config import Policy
from reconciler.model.events import ApplyResult, StepEnded, StepResult, StepStarted
from reconciler.model.plan import Change, Dub, describe
from reconciler.model.plan_json import decode_plan, encode_plan
from reconciler.planning.safety import violations
from reconciler.report.documents import apply_document
from reconciler.report.event_json import event_document
from reconciler.report.event_lines import event_line
from reconciler.report.html import plan_html
from reconciler.report.markdown import apply_markdown, plan_markdown
from reconciler.report.style import Style
from reconciler.report.summary import apply_line, by_importance, cost_line, count_line
from reconciler.report.text import apply_text, plan_text
from tests.cli.report_samples import PLAN

shown = Change(path="settings.language", before=None, after="German", before_source="none")
step = Dub(address="clip", project_id="proj_3", reason="asked for", language="German", changes=(shown,))
plan = replace(PLAN, steps=(step,))
both = replace(plan, steps=(*PLAN.steps, step))
done = ApplyResult(plan=plan, results=(StepResult(step=step, outcome="done"),))
plain = Style(color=False)
document = encode_plan(plan)
print(json.dumps({
    "spends": describe(step).spends_credits,
    "summary": document["summary"],
    "request": document["steps"][0]["request"],
    "back": decode_plan(document) == replace(plan, diagnostics=tuple(replace(d, source=None) for d in plan.diagnostics)),
    "calls": plan.requests_needed,
    "counted": count_line(plan),
    "spending": cost_line(plan),
    "first": [*by_importance(both)["costs"]][0],
    "limited": [found.summary for found in violations(plan, Policy(max_creates=0), credit_balance=None, force=False)],
    "poor": [found.summary for found in violations(plan, Policy(min_credits=5), credit_balance=1, force=False)],
    "text": plan_text(plan, style=plain),
    "markdown": plan_markdown(plan),
    "html": plan_html(plan),
    "applied": apply_line(done),
    "results": [apply_text(done, style=plain), apply_markdown(done), json.dumps(apply_document(done))],
    "events": [event_line(event, style=plain) for event in (StepStarted(step=step), StepEnded(step=step, outcome="done"))],
    "lines": event_document(StepStarted(step=step), at=""),
}))
"""


class Copy:
    """The package in a folder of its own, to be changed and checked."""

    def __init__(self, root):
        self.root = root

    def replace(self, file, old, new):
        path = self.root / file
        text = path.read_text()
        assert text.count(old) == 1, f"{file} has {old!r} {text.count(old)} times"
        path.write_text(text.replace(old, new))

    def complete(self, place):
        """Put the new kind's branch before the others of the place's `match`."""
        if place == NAMED:
            self.replace(KINDS, "Action = Literal[\n", 'Action = Literal[\n    "dub",\n')
            return
        file, function = place
        case, body = BRANCHES[place]
        path = self.root / file
        lines = path.read_text().split("\n")
        match = next(node for node in ast.walk(self._functions(file)[function]) if isinstance(node, ast.Match))
        first = match.cases[0].pattern
        indent = " " * (first.col_offset - len("case "))
        lines.insert(first.lineno - 1, f"{indent}{case}\n{indent}    {body}")
        path.write_text("\n".join(lines))
        if "Dub" in f"{case} {body}" and file != PLAN:
            self.replace(file, "from reconciler.model.plan import (", "from reconciler.model.plan import (\n    Dub,")

    def places(self):
        """The functions that mypy has something against, each as its file and name."""
        found = re.findall(r"(?m)^([^:\n]+):([0-9]+): error: ", said := mypy(self.root))
        assert bool(found) == bool(said), said
        return {self._place(file, int(line)) for file, line in found}

    def _place(self, file, line):
        inside = [
            (node.lineno, name)
            for name, node in self._functions(file).items()
            if node.lineno <= line <= node.end_lineno
        ]
        return file, max(inside)[1] if inside else f"line {line}"

    def _functions(self, file):
        tree = ast.parse((self.root / file).read_text())
        found = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        for owner in (node for node in tree.body if isinstance(node, ast.ClassDef)):
            for node in owner.body:
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    found[f"{owner.name}.{node.name}"] = node
        return found


def completed(copy):
    """Complete one more kind of step where mypy asks for it and nowhere else; those places."""
    copy.replace(PLAN, "Step = ", DECLARED)
    asked = []
    while places := copy.places():
        unknown = places - {*BRANCHES, NAMED}
        assert not unknown, f"mypy names places that this test can't complete: {unknown}"
        assert not places & {*asked}, f"mypy is not content with {places & {*asked}}"
        for place in sorted(places):
            copy.complete(place)
        asked += places
    return asked


@pytest.mark.long
@pytest.mark.sweep
def test_mypy_names_every_place_that_must_know_a_new_kind_and_what_it_is_content_with_runs(tmp_path, tmp_path_factory):
    """Intent: an engineer who adds a kind of step is led through the code; no table is left to be found in production. A
    completed kind is counted, priced, limited, shown, saved and read wherever plans are.
    """
    type_checked(tmp_path_factory, tmp_path / "copy")
    copy = Copy(tmp_path / "copy")
    assert {*completed(copy)} == {*BRANCHES, NAMED}
    run = subprocess.run(
        [sys.executable, "-c", USED],
        cwd=copy.root,
        env={"PYTHONPATH": f"{copy.root}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    seen = json.loads(run.stdout)
    assert seen["spends"] is True
    assert seen["summary"]["dub"] == 1
    assert seen["request"] == {"method": "POST", "path": "/projects/proj_3/dub", "body": {"language": "German"}}
    assert seen["back"] is True
    assert seen["calls"] == 1
    assert seen["counted"].startswith("Plan: 1 to dub, 5 unchanged")
    assert seen["spending"] == "1 dubbing spends credits and can't be undone."
    assert seen["first"] == "clip"  # the dearest
    assert "1 dubbing, but `policy.max_creates` allows 0" in seen["limited"]
    assert "`policy.min_credits`" in seen["poor"][0]
    for page in (seen["text"], seen["markdown"], seen["html"]):
        assert "will be dubbed" in page
        assert "dub in German" in page
        assert "1 to dub" in page
    assert seen["applied"].startswith("Apply complete: 1 dubbed.")
    assert all("dub" in result for result in seen["results"])
    assert seen["events"] == ["clip: dubbing …", "clip: dubbed"]
    assert seen["lines"]["action"] == "dub"
