"""``reconciler policy …``."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.cli.console import Console
from reconciler.cli.policy import read_policy_folders
from reconciler.cli.reference import DONE, ERROR
from reconciler.model.errors import ConfigError, UsageError
from reconciler.report.safe_text import clean
from reconciler.report.words import plural


@click.group(
    "policy",
    epilog="""\b
Examples:
  reconciler policy test --policy policy
  reconciler plan --policy ../rules/policy --out saved.plan
  reconciler help policy                       # how to write rules
""",
)
def command() -> None:
    """Test the rules that plans must obey.

    `plan`, `apply`, `destroy`, `show` and `watch` evaluate them with `--policy DIR` or RECONCILER_POLICY.
    """


@command.command(
    "test",
    epilog="""\b
Examples:
  reconciler policy test --policy policy       # the folder that has the rules
""",
)
@click.option(
    "--policy",
    "folders",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="A folder of rules and tests [default: RECONCILER_POLICY]. Repeatable.",
)
@click.pass_obj
def test(console: Console, /, *, folders: tuple[Path, ...]) -> int:
    """Run the rules of a policy against its example plans.

    Tests are files `*_test.yaml` in the folder: plans, and what the rules are expected to find. Exits with 1 if a rule
    does something else, or if there is no test.
    """
    folders = (*map(Path, console.policy), *folders)
    if not folders:
        raise UsageError("no policy is named", "Name its folder with `--policy DIR`, or in RECONCILER_POLICY.")
    policy = read_policy_folders(folders)
    from reconciler.adapters.specs.policy.example_plans import read_example_plans  # noqa: PLC0415  needs the engine
    from reconciler.operations.policy import run_examples  # noqa: PLC0415  the same

    results = run_examples(policy, read_example_plans(policy.tests, [compiled.rule.name for compiled in policy.rules]))
    if not results:
        raise ConfigError(
            "the policy has no tests", "Tests are files `*_test.yaml`: `reconciler help policy` shows one."
        )
    for result in results:
        console.out(f"{'ok  ' if result.passed else 'FAIL'} {result.example.location}: {clean(result.example.name)}\n")
        console.out("".join(f"       {clean(difference)}\n" for difference in result.differences))
    failed = sum(not result.passed for result in results)
    expected = {name for result in results for name in result.example.expect}
    quiet = [compiled.rule.name for compiled in policy.rules if compiled.rule.name not in expected]
    if quiet:
        console.out(f"No test expects these rules to find anything: {', '.join(quiet)}.\n")
    console.out(f"{plural(len(policy.rules), 'rule')}, {len(results) - failed} passed, {failed} failed.\n")
    return ERROR if failed else DONE
