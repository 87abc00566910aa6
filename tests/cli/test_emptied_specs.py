"""Projects that vanish from the specs by accident are not cancelled, and the user hears where they went."""

from pathlib import Path

import pytest

from tests.cli.cli_support import CONFIG, make_space

SLOW = CONFIG.replace("speed: 200", "speed: 0.01")  # the agents work all the time
FOUR = "projects:\n" + "".join(f"  film-{n}:\n    brief: Film number {n}.\n" for n in range(4))
FAMILY = """\
projects:
  promo:
    for_each: {market: [us, de], ratio: ["16:9", "9:16"]}
    brief: A promo for ${each.key}.
"""


@pytest.fixture
def working(tmp_path):
    space = make_space(tmp_path / "ws", FOUR, SLOW)
    space.run("apply", "--auto-approve", "--wait", "none")
    return space


def emptied(path: Path) -> None:
    path.write_text("", encoding="utf-8")


def commented(path: Path) -> None:
    path.write_text("".join(f"# {line}\n" for line in FOUR.splitlines()), encoding="utf-8")


def without_projects(path: Path) -> None:
    path.write_text("projects: {}\n", encoding="utf-8")


def only_defaults(path: Path) -> None:
    path.write_text("defaults: {settings: {craft: cinema}}\n", encoding="utf-8")


def removed(path: Path) -> None:
    path.unlink()


def renamed(path: Path) -> None:
    path.rename(path.with_name("a.yaml.off"))


def hidden(path: Path) -> None:
    path.rename(path.with_name(".a.yaml"))


def moved_out(path: Path) -> None:
    (path.parents[1] / "archive").mkdir()
    path.rename(path.parents[1] / "archive" / "a.yaml")


def only_one_left(path: Path) -> None:
    path.write_text("projects:\n  film-0:\n    brief: Film number 0.\n", encoding="utf-8")


def another_ratio(path: Path) -> None:
    path.write_text("defaults: {aspect_ratio: '1:1'}\n" + FOUR, encoding="utf-8")


def all_cancelled(path: Path) -> None:
    path.write_text("defaults: {state: cancelled}\n" + FOUR, encoding="utf-8")


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (emptied, "`specs/a.yaml` declares no projects"),
        (commented, "`specs/a.yaml` declares no projects"),
        (without_projects, "`specs/a.yaml` declares no projects"),
        (only_defaults, "`specs/a.yaml` declares no projects"),
        (removed, "left the specs"),
        (renamed, "`specs/a.yaml.off` declares `film-0`, `film-1`, `film-2`, `film-3` but is not read"),
        (hidden, "`specs/.a.yaml` declares `film-0`"),
        (moved_out, "`archive/a.yaml` declares `film-0`"),
        (only_one_left, "3 of 4 projects would be cancelled or replaced, limit 50%"),
        (all_cancelled, "4 of 4 projects would be cancelled or replaced, limit 50%"),
        (another_ratio, "4 of 4 projects would be cancelled or replaced, limit 50%"),
    ],
)
def test_losing_most_of_a_small_workspace_stops_before_the_first_call(working, change, said):
    change(working.root / "specs" / "a.yaml")

    for command in (("plan",), ("apply", "--auto-approve")):
        ran = working.run(*command, code=1)
        assert said in ran.out + ran.err
        assert "--force" in ran.err

    with working.account() as account:
        assert not [r for r in account.requests() if r.path.endswith("/cancel")]
    assert len(working.state["projects"]) == 4


def test_force_or_the_policy_lets_it_happen(working):
    emptied(working.root / "specs" / "a.yaml")
    working.write("reconciler.yaml", SLOW.replace("policy: {", "policy: {max_share: 1.0, "))
    working.run("plan")
    working.write("reconciler.yaml", SLOW)

    working.run("apply", "--auto-approve", "--force", "--wait", "none")

    assert not working.state["projects"]


def test_finished_projects_are_not_forgotten_because_a_file_was_emptied(tmp_path):
    space = make_space(tmp_path / "ws", FOUR)
    space.run("apply", "--auto-approve", "--wait", "idle", "--poll-interval", "0.05")
    emptied(space.root / "specs" / "a.yaml")

    ran = space.run("apply", "--auto-approve", code=1)

    assert "all 4 managed projects left the specs" in ran.err
    assert len(space.state["projects"]) == 4


def test_one_of_four_may_leave_and_one_of_one_may_be_replaced(working, tmp_path):
    spec = working.root / "specs" / "a.yaml"
    spec.write_text(FOUR[: FOUR.index("  film-3")], encoding="utf-8")
    working.run("apply", "--auto-approve", "--wait", "none")
    single = make_space(tmp_path / "single", "projects: {a: {brief: One.}}", SLOW)
    single.run("apply", "--auto-approve", "--wait", "none")
    single.write("specs/a.yaml", "projects: {a: {brief: Two.}}")

    single.run("plan", "--detailed-exitcode", code=2)


def test_destroy_of_a_small_workspace_needs_no_force(working):
    working.run("destroy", "--auto-approve")

    assert not working.state["projects"]


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("for_each", "moves"),
    [
        (
            '{ratio: ["16:9", "9:16"], market: [us, de]}',
            ['{from: "promo[de,16:9]", to: "promo[16:9,de]"}', '{from: "promo[us,9:16]", to: "promo[9:16,us]"}'],
        ),
        ('{market: [US, DE], ratio: ["16:9", "9:16"]}', ['{from: "promo[us,16:9]", to: "promo[US,16:9]"}']),
        ('{market: [us, de], ratio: ["1:1"]}', []),
    ],
)
def test_a_for_each_whose_keys_all_change_is_a_finding_with_the_moves(tmp_path, for_each, moves):
    space = make_space(tmp_path / "ws", FAMILY, CONFIG)
    space.run("apply", "--auto-approve", "--wait", "idle", "--poll-interval", "0.05")
    space.write("specs/a.yaml", FAMILY.replace('{market: [us, de], ratio: ["16:9", "9:16"]}', for_each))

    ran = space.run("apply", "--auto-approve", code=1)

    assert "every key of `for_each` changed: `promo` would lose 4 projects and create" in ran.err
    assert "${each.key}" in ran.err and "--force" in ran.err
    for move in moves:
        assert move in ran.err
    with space.account() as account:
        assert len(account.projects()) == 4
    space.run("plan", "--force", "--detailed-exitcode", code=2)


def test_a_for_each_that_gains_and_loses_some_keys_is_an_everyday_change(tmp_path):
    space = make_space(tmp_path / "ws", FAMILY, CONFIG)
    space.run("apply", "--auto-approve", "--wait", "idle", "--poll-interval", "0.05")
    space.write("specs/a.yaml", FAMILY.replace("[us, de]", "[us, fr]"))

    space.run("plan", "--detailed-exitcode", code=2)
