"""``fmt``: one form for one meaning; comments, block scalars and documents stay; nothing is lost."""

from __future__ import annotations

import re
import stat

import pytest
from hypothesis import strategies as st

from reconciler.adapters.specs.workspace_files import FileProblem
from reconciler.adapters.specs.yaml.formatting import formatted
from reconciler.adapters.specs.yaml.parsing import parse
from tests.adapters.test_specs_good_inputs import EXAMPLE
from tests.language.language_support import make, reconciler
from tests.sampling import examples, tried

MESSY = """\
# yaml-language-server: $schema=x
# header
projects:
    a:   # the a project
        settings: {mode: 'autonomous', title: "A b"}   # set
        # about the brief
        brief: |   # kept
            Line one
              more

            # no comment
            Line two

        # trailing of a
    # before b
    b:
        brief: >-
          folded text
          more
        messages:
        # c1
        - message: 'x'   # c2
          id: one
        # c3
        -   'it''s "x"'
        - "quoted: yes"
        references: [
           {type: image, url: "https://x.y"},  # logo
           # other
           {upload_id: "u1"}
        ]
        aspect_ratio: "9:16"



    c: {brief: x, settings: {title: 'no', craft: "cinema"}, for_each: {z: [b, "16:9"], a: [c]}}
    d:
       brief: 'multi
         line'
defaults:
  settings:
      craft: cinema
removed: []
variables: {x: {description: d, default: '', type: string}}
---
# second document
moved:
- {to: b, from: z}
# the end
"""

NEAT = """\
# yaml-language-server: $schema=x
# header
variables: {x: {type: string, default: "", description: d}}
defaults:
  settings:
    craft: cinema
projects:
  a:   # the a project
    # about the brief
    brief: |   # kept
      Line one
        more

      # no comment
      Line two
    settings: {title: A b, mode: autonomous}   # set

    # trailing of a
  # before b
  b:
    brief: >-
      folded text
      more
    aspect_ratio: "9:16"
    references:
      - {url: "https://x.y", type: image}  # logo
      # other
      - {upload_id: u1}
    messages:
      # c1
      - id: one
        message: x   # c2
      # c3
      - it's "x"
      - "quoted: yes"

  c: {for_each: {z: [b, "16:9"], a: [c]}, brief: x, settings: {title: "no", craft: cinema}}
  d:
    brief: multi line
removed: []
---
# second document
moved:
  - {from: z, to: b}
# the end
"""


def test_the_canonical_form():
    assert formatted(MESSY, "a.yaml") == NEAT
    assert formatted(NEAT, "a.yaml") == NEAT


def test_the_documented_example_and_all_specs_of_the_repository_are_in_canonical_form():
    from pathlib import Path

    root = Path(__file__).parents[2]
    for path in (*(root / "specs").glob("*.yaml"), *(root / "examples").glob("*/specs/*.yaml")):
        assert formatted(path.read_text(), path.name) == path.read_text(), path
    neat = EXAMPLE.replace("{mode: collaborative, title: null}", "{title: null, mode: collaborative}")
    assert formatted(EXAMPLE, "a.yaml") == neat


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ""),
        ("# only\n\n\n# comments", "# only\n\n# comments\n"),
        ("a:  1\n...\n", "a: 1\n"),
        ("---\na: 1\n", "a: 1\n"),
        ("---\n---\na: 1\n---\n", "a: 1\n"),
        ("a: 'yes'\nb: \"9:16\"\nc: 9:16\nd: '2024-01-01'\n", 'a: "yes"\nb: "9:16"\nc: "9:16"\nd: "2024-01-01"\n'),
        ("a: 'x: y'\nb: '#x'\nc: ' x'\nd: '-'\n", 'a: "x: y"\nb: "#x"\nc: " x"\nd: "-"\n'),
        ("a: ''\nb: '~'\nc: 'null'\nd: '5'\ne: '5x'\n", 'a: ""\nb: "~"\nc: "null"\nd: "5"\ne: 5x\n'),
        ("a: '${var.x}'\nb: [\"${var.x}\"]\n", 'a: ${var.x}\nb: ["${var.x}"]\n'),
        ('a: "\\e\\u202e\\n\\U0001F600"\n', 'a: "\\e\\u202e\\n😀"\n'),
        ("a: 'C:\\x \"y\": z'\n", "a: 'C:\\x \"y\": z'\n"),
        ("a: !!str 5\nb: !!int 5\n", 'a: "5"\nb: 5\n'),
        ("a: |2-\n   x\n  y\n", "a: |2-\n   x\n  y\n"),
        ("a: |+\n  x\n\n\nb: 1\n", "a: |+\n  x\n\n\nb: 1\n"),
        ("a: |\n    x", "a: |-\n  x\n"),
        ("a: >\n\n x\n\n  y\n z\n# c\n", "a: >\n\n  x\n\n   y\n  z\n# c\n"),
        ("a:\nb: ~\nc: NULL\n", "a:\nb: ~\nc: NULL\n"),
        ("a: 1\r\nb: |\r\n    x\r\n    y\r\n", "a: 1\nb: |\n  x\n  y\n"),
        ("\ufeffa: 1\n".lstrip("\ufeff"), "a: 1\n"),
        ("b: &x {k: v}\na: *x\n", "b: &x {k: v}\na: *x\n"),
        ("b: &x\n    k: v\na:\n    <<: *x\n    l: *x\n", "b: &x\n  k: v\na:\n  <<: *x\n  l: *x\n"),
        ("? a\n: 1\n? 'b c'\n: 2\n", "a: 1\nb c: 2\n"),
        ("a: [[1, 2], [x: z]]\n", "a: [[1, 2], [{x: z}]]\n"),
        ("a:\n- - 1\n  - 2\n-\n  b: 1\n", "a:\n  - - 1\n    - 2\n  - b: 1\n"),
        ("a: [" + ", ".join(["abcdefghij"] * 12) + "]\n", "a:\n" + "  - abcdefghij\n" * 12),
        ("---\n\n# c\n\n{}\n", "# c\n\n{}\n"),
        ("a: {\n}\nb: [ ]\n", "a: {}\nb: []\n"),
        ("projects:\n  a: {}\n\n\n\n  b: {}\n", "projects:\n  a: {}\n\n  b: {}\n"),
    ],
)  # fmt: skip
def test_forms(before, after):
    assert formatted(before, "a.yaml") == after
    assert formatted(after, "a.yaml") == after


@pytest.mark.parametrize("text", ["a: 1\t\n", "? |\n  long\n: 1\n", "a: &x # c\n  y\n", "{ # c\n}\n", "#" * 1_000_001])
def test_what_it_does_not_know_is_left_alone(text):
    with pytest.raises(FileProblem, match=r"a\.yaml (can't be|would mean|would lose|has more)") as failure:
        formatted(text, "a.yaml")
    assert failure.value.code == "E160"


NAMES = st.sampled_from(["a", "brief", "settings", "title", "9:16", "yes", "projects", "references", "x y"])
TEXTS = st.one_of(
    st.text(max_size=12),
    st.text(alphabet="ab :#-'\"\\\n\t{}[],&*!|>%@`$5.~", max_size=12),
    st.sampled_from(
        ["yes", "9:16", "5", "1e3", "0x1", "null", "", "2024-01-01", "- x", "? x", "a: b", "a #b", "---", "..."]
    ),
)
VALUES = st.recursive(
    TEXTS | st.none() | st.booleans() | st.integers(-9, 99999),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@examples(75, 300)
def test_any_tree_keeps_its_meaning_and_is_formatted_once(examples):
    """Trees written by ruamel in block or flow style, with comments sprinkled between the lines."""
    trees = st.dictionaries(NAMES, VALUES, min_size=1, max_size=3)
    tried(_keeps_its_meaning, examples, tree=trees, seed=st.randoms(use_true_random=False))


def _keeps_its_meaning(tree, seed):
    from io import StringIO

    from ruamel.yaml import YAML

    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = seed.choice([None, False, True])
    writer.width = 10_000
    stream = StringIO()
    writer.dump(tree, stream)
    text = stream.getvalue()
    count = 0
    if "\n\n" not in text and "|" not in text and ">" not in text and "\\\n" not in text:
        lines = []
        for line in text.split("\n"):
            if re.match(r" *(- )*[a-z]+:", line) and seed.random() < 0.5:
                lines.append(" " * (len(line) - len(line.lstrip())) + f"# comment {count}")
                count += 1
            lines.append(line)
        text = "\n".join(lines)
    parsed = parse(text, "a")
    if parsed.problems:  # what is no specification at all
        return
    result = formatted(text, "a")
    assert [root for root, _ in parse(result, "a").documents] == [root for root, _ in parsed.documents]
    assert formatted(result, "a") == result
    assert sorted(re.findall(r"# comment \d+", result)) == sorted(re.findall(r"# comment \d+", text))


PIECES = st.sampled_from(
    ["projects:", "messages:", " a:", " brief:", "- ", "? ", ": ", "{", "}", "[", "]", ", ", "\n", "\n  ", "\n    ", "&a ",
     "*a ", "<<: ", "!!str ", "---\n", "...\n", "|\n", "|+\n", ">-\n  ", "'x'", '"y"', " # c\n", "# c\n", "\t", "~", "1",
     "16:9", "x", "y z", "\n\n", "\r\n", "é", "a: ", "b: ", "c: |\n   t\n\n", "- - ", "k: [1, {a: b}]\n", "k:\n- 1\n"]
)  # fmt: skip


@examples(150, 600)
def test_nothing_but_the_same_meaning_or_a_refusal_comes_out(examples):
    tried(_comes_out, examples, text=st.lists(PIECES, max_size=16).map("".join))


def _comes_out(text):
    parsed = parse(text, "a")
    if parsed.problems:
        return
    try:
        result = formatted(text, "a")
    except FileProblem:
        return
    again = [root for root, _ in parse(result, "a").documents if root is not None]
    assert again == [root for root, _ in parsed.documents if root is not None]


def test_the_command_writes_checks_and_shows(tmp_path):
    spec = "projects:\n    a:\n        settings: {title: 'A'}  # t\n        brief: ${var.not_given}\n"
    neat = "projects:\n  a:\n    brief: ${var.not_given}\n    settings: {title: A}  # t\n"
    root = make(
        tmp_path, {"specs/a.yaml": spec, "specs/b.yaml": neat.replace("a:", "b:"), "specs/sub/c.yml": "projects:  {}\n"}
    )
    path = root / "specs" / "a.yaml"
    path.chmod(0o640)
    checked = reconciler(root, "fmt", "--check")
    assert (checked.returncode, checked.stdout) == (1, "specs/a.yaml\nspecs/sub/c.yml\n")
    diff = reconciler(root, "fmt", "--diff", "specs/a.yaml")
    assert diff.returncode == 0
    assert "-    a:\n" in diff.stdout and "+  a:\n" in diff.stdout and "c.yml" not in diff.stdout
    assert path.read_text() == spec
    written = reconciler(root, "fmt", "specs/a.yaml")
    assert (written.returncode, written.stdout) == (0, "specs/a.yaml\n")
    assert path.read_text() == neat
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert reconciler(root, "fmt", "specs/sub").stdout == "specs/sub/c.yml\n"
    again = reconciler(root, "fmt", "--check")
    assert (again.returncode, again.stdout) == (0, "")
    assert sorted(entry.name for entry in (root / "specs").iterdir()) == ["a.yaml", "b.yaml", "sub"]


def test_files_with_errors_are_left_alone_and_named(tmp_path):
    bad = {
        "specs/a.yaml": "projects:   {a: {breif: x}}\n",
        "specs/b.yaml": "projects:   {b: [}\n",
        "specs/c.yaml": "projects:   {b: {brief: x, brief: y}}\n",
        "specs/d.yaml": "projects:   {d: {brief: x}}\n",
    }
    root = make(tmp_path, bad)
    done = reconciler(root, "fmt")
    assert (done.returncode, done.stdout) == (1, "specs/d.yaml\n")
    assert done.stderr.count("error[E") == 4  # no brief and an unknown key, not YAML, a key twice
    for name, text in bad.items():
        assert (root / name).read_text() == (text if "d.y" not in name else "projects: {d: {brief: x}}\n")


def test_paths_outside_the_specs_are_refused(tmp_path):
    root = make(tmp_path, {"specs/a.yaml": "projects: {}\n", "other.yaml": "a:  1\n"})
    for path in ("other.yaml", "..", "specs/none.yaml", "/etc/hosts", "reconciler.yaml"):
        done = reconciler(root, "fmt", path)
        assert done.returncode == (0 if path == ".." else 1), path
    assert (root / "other.yaml").read_text() == "a:  1\n"


def test_a_link_is_followed_and_stays_a_link(tmp_path):
    root = make(tmp_path, {"shared/a.yaml": "projects:  {}\n"})
    (root / "specs" / "a.yaml").symlink_to("../shared/a.yaml")
    assert reconciler(root, "fmt").returncode == 0
    assert (root / "specs" / "a.yaml").is_symlink()
    assert (root / "shared" / "a.yaml").read_text() == "projects: {}\n"
