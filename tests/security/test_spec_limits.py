"""A few lines of specifications can stand for gigabytes: reading them ends early, in bounded memory, with numbers."""

from __future__ import annotations

import pytest

from reconciler.model.config import Config
from reconciler.model.errors import ConfigError, SpecError
from tests.cli.cli_support import make_space
from tests.sampling import every
from tests.security.hostile import measured
from tests.spec_files import load_specs

MIB = 2**20
PEAK = 500
"""MiB of memory that a run may take at most; a plain one takes about 100, with what it shares."""


def keys(count):
    return "[" + ", ".join(f"k{n}" for n in range(count)) + "]"


def repeated(count, what, start="m"):
    return "[" + ", ".join(f"'{start}{n} {what}'" for n in range(count)) + "]"


BOMBS = {
    "the issue's": (
        lambda: f"projects:\n  a: {{for_each: {keys(9_999)}, brief: b, messages: {repeated(30, 'x' * 9_000)}}}\n",
        "about 2,5", "64 MiB are allowed", "RECONCILER_MAX_TEXT_MIB",
    ),
    "the same with a variable in each": (
        lambda: f"projects:\n  a: {{for_each: {keys(9_999)}, brief: b, messages: {repeated(30, 'x' * 9_000 + '${each.key}')}}}\n",
        "about 2,5", "64 MiB are allowed", "RECONCILER_MAX_TEXT_MIB",
    ),
    "one long variable, often": (
        lambda: f"variables: {{v: {{default: {'x' * 900_000}}}}}\nprojects:\n  a: {{brief: b, messages: {repeated(20_000, '${var.v}')}}}\n",
        "more than 64 MiB", "RECONCILER_MAX_TEXT_MIB",
    ),
    "one long variable in each key": (
        lambda: f"variables: {{v: {{default: {'x' * 900_000}}}}}\nprojects:\n  a:\n    brief: b\n    for_each: {{"
        + ", ".join(f"k{n}: '${{var.v}}'" for n in range(9_000)) + "}\n",
        "more than 64 MiB", "RECONCILER_MAX_TEXT_MIB",
    ),
    "a matrix of trillions": (
        lambda: f"projects:\n  a: {{brief: b, for_each: {{a: {keys(9_999)}, b: {keys(9_999)}, c: {keys(9_999)}}}}}\n",
        "999,700,029,999 projects, and 20,000 are allowed", "RECONCILER_MAX_PROJECTS",
    ),
    "a matrix beyond numbers": (
        lambda: "projects:\n  a: {brief: b, for_each: {" + ", ".join(f"a{n}: [x, y]" for n in range(20_000)) + "}}\n",
        "more than 999,999,999,999 projects", "20,000 are allowed",
    ),
    "a matrix of one long key": (
        lambda: f"projects:\n  a: {{brief: b, for_each: {{a: ['{'k' * 400_000}'], b: {keys(9_999)}}}}}\n",
        "is too long for an address",
    ),
    "a matrix of many names": (
        lambda: "projects:\n  a: {brief: b, for_each: {" + ", ".join(f"a{n}: [x]" for n in range(20_000)) + f", b: {keys(9_999)}}}}}\n",
        "is too long for an address",
    ),
    "projects written out": (
        lambda: "projects:\n" + "".join(f"  p{n}: {{brief: b}}\n" for n in range(20_001)),
        "20,001 projects, and 20,000 are allowed", "specs/a.yaml:20002:3",
    ),
    "everybody waits for everybody": (
        lambda: f"projects:\n  a: {{brief: b, for_each: {keys(5_000)}}}\n  b: {{brief: b, for_each: {keys(4_000)}, depends_on: [a]}}\n",
        "20,000,000 dependencies, and 1,000,000 are allowed",
    ),
    "errors in each": (
        lambda: f"projects:\n  a: {{for_each: {keys(9_999)}, brief: b, messages: ["
        + "{message: m, id: '-${each.key}'}, " * 300 + "]}\n",
        "more than 10,000 errors", "more errors are not listed",
    ),
    "unknown keys": (
        lambda: "projects:\n  a:\n    brief: b\n" + "".join(f"    k{n}: 1\n" for n in range(200_000)),
        "too large to say where", "specs/a.yaml:2:3",
    ),
    "tiny values": (lambda: "x: [" + "1," * 2_400_000 + "]\n", "more than 500,000 keys and values in a file"),
    "a billion laughs": (
        lambda: "variables:\n  a: &a [x,x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"  {b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
        "aliases of this file expand to too much",
    ),
    "many names to choose from": (
        lambda: "variables:\n" + "".join(f"  v{n}: {{default: x}}\n" for n in range(20_000)) + "projects:\n"
        + "".join(f"  p{n}: {{brief: '${{var.no{n}}}'}}\n" for n in range(1_500)),
        "(20,000 in all)", "500 more errors are not listed",
    ),
    "circles": (
        lambda: "projects:\n" + "".join(f"  a{n}: {{brief: b, depends_on: [a{(n + 1) % 9_000}]}}\n" for n in range(9_000)),
        "(8,981 more)",
    ),
}  # fmt: skip


@pytest.mark.sampled(6)
@pytest.mark.parametrize("name", every(3, BOMBS))
def test_it_ends_early_in_bounded_memory_and_says_how_much_it_would_be(tmp_path, name):
    # Intent: one short answer with what it would be, what is allowed and what to do; never a run that the kernel ends.
    text, *says = BOMBS[name]
    space = make_space(tmp_path / "w", text(), "workspace: w\n")
    took = measured(space, "validate")
    assert took.code == 1, (took.out, took.err)
    for piece in says:
        assert piece in took.err, took.err[:2_000]
    assert took.kibibytes / 1024 <= PEAK
    assert len(took.err) < 1_000_000


def load(root, text, **env):
    (root / "specs").mkdir(exist_ok=True)
    (root / "specs" / "a.yaml").write_text(text)
    return load_specs(Config(root=root, workspace="w"), env=env)


@pytest.mark.sweep
def test_what_is_allowed_is_taken_to_the_last_project(tmp_path):
    # Intent: the limit itself is no error, for projects written out and made by for_each together.
    text = f"projects:\n  a: {{brief: b, for_each: {{a: {keys(100)}, b: {keys(199)}}}}}\n" + "".join(
        f"  p{n}: {{brief: b}}\n" for n in range(100)
    )
    assert len(load(tmp_path, text).projects) == 20_000


@pytest.mark.sweep
def test_the_environment_moves_the_limits_and_no_file_does(tmp_path):
    # Intent: whoever runs the tool knows the machine; a branch does not.
    text = f"projects:\n  a: {{brief: b, for_each: {keys(30)}, messages: {repeated(5, 'x' * 9_000)}}}\n"
    assert len(load(tmp_path, text).projects) == 30
    with pytest.raises(SpecError, match="30 projects, and 29 are allowed"):
        load(tmp_path, text, RECONCILER_MAX_PROJECTS="29")
    with pytest.raises(SpecError, match=r"about 1 MiB of text, and 1 MiB are allowed"):
        load(tmp_path, text, RECONCILER_MAX_TEXT_MIB="1")
    assert len(load(tmp_path, text, RECONCILER_MAX_PROJECTS="30", RECONCILER_MAX_TEXT_MIB="2").projects) == 30
    more = f"projects:\n  a: {{brief: b, for_each: {keys(20_001)}}}\n"
    assert len(load(tmp_path, more, RECONCILER_MAX_PROJECTS="20001", RECONCILER_MAX_TEXT_MIB="").projects) == 20_001


@pytest.mark.parametrize("value", ["0", "-1", "many", "1e6", "9" * 30, "٣"])
@pytest.mark.parametrize("name", ["RECONCILER_MAX_PROJECTS", "RECONCILER_MAX_TEXT_MIB"])
def test_a_limit_is_a_number(tmp_path, name, value):
    with pytest.raises(ConfigError, match=f"{name}: .* is not a limit"):
        load(tmp_path, "projects: {}\n", **{name: value})


def test_all_files_together_are_bounded(tmp_path):
    # Intent: what one file may not do, many may not do either.
    (tmp_path / "specs").mkdir()
    for number in range(3):
        (tmp_path / "specs" / f"f{number}.yaml").write_text("# " + "x" * 4_900_000 + "\n")
    with pytest.raises(SpecError, match="are more than"):
        load(tmp_path, "projects: {}\n", RECONCILER_MAX_TEXT_MIB="12")


@pytest.mark.sweep
def test_a_briefs_file_counts_each_time(tmp_path):
    (tmp_path / "brief.md").write_text("b" * 9_000)
    with pytest.raises(SpecError, match=r"about 17[0-9] MiB of text, and 4 MiB are allowed"):
        load(
            tmp_path,
            f"projects:\n  a: {{brief_file: brief.md, for_each: {keys(19_999)}}}\n",
            RECONCILER_MAX_TEXT_MIB="4",
        )
