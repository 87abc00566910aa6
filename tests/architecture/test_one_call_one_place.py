"""Each mutating call of the API is one class: what it writes down, sends, changes and recovers stands in one file."""

import ast
import sys
from pathlib import Path
from typing import get_args

import pytest

from reconciler.model.state import IntentKind
from reconciler.operations.recovery.open_calls import recovery_of

ROOT = Path(__file__).parents[2]
MUTATING = {"create", "adopt", "patch_settings", "cancel", "send_message", "begin_upload", "confirm_upload"}
PLACE = "reconciler.operations.calls."


@pytest.mark.parametrize("kind", get_args(IntentKind))
def test_a_call_is_recovered_in_the_file_that_makes_it(kind):
    recover = recovery_of(kind)
    owner = getattr(sys.modules[recover.__module__], recover.__qualname__.partition(".")[0])
    assert recover.__module__.startswith(PLACE)
    assert {getattr(owner, part).__module__ for part in ("intent", "send", "effects")} == {recover.__module__}


def test_no_other_file_makes_a_mutating_call():
    found = {
        (path.relative_to(ROOT).as_posix(), node.func.attr)
        for path in (ROOT / "reconciler" / "operations").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATING
        if ast.unparse(node.func.value).endswith("api")
    }
    assert {name for _, name in found} == MUTATING
    assert {path for path, _ in found if not path.startswith(PLACE.replace(".", "/"))} == set()
