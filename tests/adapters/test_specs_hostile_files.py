"""Files that try to break out, to stall or to overwhelm the loader, and errors in several files at once."""

from __future__ import annotations

import os

import pytest
from hypothesis import strategies as st

from reconciler.adapters.specs.language.variable_files import load_var_file
from reconciler.adapters.specs.validation.codes import Code
from reconciler.adapters.specs.yaml import parsing
from reconciler.model.config import Config
from reconciler.model.errors import ConfigError, SpecError
from tests.adapters.specs_support import CONFIG, ENV, load, load_one, workspace
from tests.sampling import examples, tried
from tests.spec_files import load_config, load_specs


def errors(root, files):
    """The errors of a workspace, as (code, place)."""
    with pytest.raises(SpecError) as failure:
        load(root, files)
    assert "canary" not in repr(failure.value.diagnostics)
    return [(Code(d.code).name, str(d.location)) for d in failure.value.diagnostics]


@pytest.fixture
def outside(tmp_path):
    """A file beside the workspace."""
    (tmp_path / "secret.yaml").write_text("canary: 1\n")
    (tmp_path / "ws").mkdir()
    return tmp_path / "ws"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("../secret.yaml", "OUTSIDE"),
        ("briefs/../../secret.yaml", "OUTSIDE"),
        ("briefs/../a.md", "OUTSIDE"),
        ("..", "OUTSIDE"),
        ("/etc/passwd", "OUTSIDE"),
        ("/proc/self/environ", "OUTSIDE"),
        ("..\\\\secret.yaml", "OUTSIDE"),
        ("link.md", "OUTSIDE"),
        ("folder/secret.yaml", "OUTSIDE"),
        ("environ", "OUTSIDE"),
        (".git/config", "OUTSIDE"),
        ("hidden.md", "OUTSIDE"),
        (" ", "OUTSIDE"),
        ("briefs", "BRIEF_FILE"),
        (".", "BRIEF_FILE"),
        ("pipe", "BRIEF_FILE"),
        ("loop", "UNREADABLE"),
        ("missing.md", "BRIEF_FILE"),
        ("a.md/b", "BRIEF_FILE"),
        ("large.md", "BRIEF_FILE"),
        ("latin.md", "BRIEF_FILE"),
        ("binary.md", "BRIEF_FILE"),
        ("empty.md", "BLANK"),
        ("long.md", "LIMIT"),
        ("variable.md", "VARIABLE"),
        ("a" * 5000, "BRIEF_FILE"),
        ("a/" * 5000, "BRIEF_FILE"),
    ],
)
def test_a_brief_file_stays_in_the_workspace_and_is_plain_text(outside, name, code):
    """Whatever way leads out, or to something that is no text, ends in an error at the specification's line."""
    files = {
        "a.md": "good",
        "briefs/b.md": "good",
        ".git/config": "canary",
        "large.md": "x" * 1_000_001,
        "long.md": "x" * 10_001,
        "latin.md": b"caf\xe9",
        "binary.md": b"x\0y",
        "empty.md": "\n\n",
        "variable.md": "${var.missing}",
        "specs/a.yaml": f'projects:\n  a:\n    brief_file: "{name}"\n',
    }
    (outside / "link.md").symlink_to("../secret.yaml")
    (outside / "folder").symlink_to("..")
    (outside / "environ").symlink_to("/proc/self/environ")
    (outside / "hidden.md").symlink_to(".git/config")
    (outside / "loop").symlink_to("loop")
    os.mkfifo(outside / "pipe")
    found = errors(outside, files)
    assert found == [(found[0][0], "specs/a.yaml:3:17")]
    assert found[0][0] in (code, "BRIEF_FILE" if code == "UNREADABLE" else code)


def test_specification_files_stay_in_the_workspace(outside):
    """Links that leave, pipes and folders that can't be followed are named; the other files are still read."""
    workspace(outside, {"specs/z.yaml": "x: 1\n"})
    (outside / "specs" / "a.yaml").symlink_to("../../secret.yaml")
    (outside / "specs" / "b").symlink_to("../..")
    (outside / "specs" / "c.yaml").symlink_to("gone.yaml")
    (outside / "specs" / "d.yaml").symlink_to("../.git/config.yaml")
    os.mkfifo(outside / "specs" / "e.yaml")
    (outside / "specs" / "f.yaml").symlink_to("f.yaml")
    assert errors(outside, {}) == [
        ("OUTSIDE", "specs/a.yaml"),
        ("OUTSIDE", "specs/b"),
        ("UNREADABLE", "specs/c.yaml"),
        ("OUTSIDE", "specs/d.yaml"),
        ("UNREADABLE", "specs/e.yaml"),
        ("UNREADABLE", "specs/f.yaml"),
        ("UNKNOWN_KEY", "specs/z.yaml:1:1"),
    ]


@pytest.mark.parametrize(
    ("folder", "code"),
    [
        ("missing", "NO_SPECS"),
        ("reconciler.yaml", "NO_SPECS"),
        ("..", "OUTSIDE"),
        ("/", "OUTSIDE"),
        ("link", "OUTSIDE"),
    ],
)
def test_the_folder_of_specifications_is_in_the_workspace(outside, folder, code):
    """A missing folder says how to make one, another one is refused, whoever made the configuration."""
    workspace(outside, {})
    (outside / "link").symlink_to("..")
    with pytest.raises(SpecError) as failure:
        load_specs(Config(root=outside, workspace="w", specs=folder), env={})
    (found,) = failure.value.diagnostics
    assert Code(found.code).name == code
    assert code != "NO_SPECS" or "reconciler init" in found.detail


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("data", "code", "place"),
    [
        (b"a: caf\xe9\n", "ENCODING", ":1"),
        (b"a: 1\nb: \xff\n", "ENCODING", ":2"),
        ("a: 1\n".encode("utf-16"), "ENCODING", ":1"),
        (b"a: \xed\xa0\x80\n", "ENCODING", ":1"),
        (b"\x89PNG\r\n\x1a\n\0\0", "ENCODING", ":1"),
        (b"\0" * 100, "SYNTAX", ":1:1"),
        (b"#" * (parsing.MAX_BYTES + 1), "TOO_LARGE", ""),
        (b"a: [" + b"x," * 5_000 + b"@]", "SYNTAX", ":1:10005"),
        pytest.param(b"a: [" + b"x," * 490_000 + b"@]", "SYNTAX", ":1:980005", marks=pytest.mark.sweep),  # the slowest
        (b"a: [" + b"x," * 600_000 + b"@]", "TOO_LARGE", ":1:999999"),
        (b"[" * 1_000_000, "TOO_LARGE", ":1:51"),
        (b"- " * 1_000_000, "TOO_LARGE", ":1:101"),
        (b"{a: " * 100_000, "TOO_LARGE", ":1:201"),
        (b"? " * 100_000, "TOO_LARGE", ":1:101"),
        (
            b"a: &a [x,x,x,x,x,x,x,x,x,x]\n"
            + b"".join(b"%c: &%c [%s]\n" % (98 + n, 98 + n, b",".join([b"*%c" % (97 + n)] * 10)) for n in range(9)),
            "TOO_LARGE",
            ":6:8",
        ),
        (b"a: &a [" + b"[" * 30 + b"]" * 30 + b"]\nb: " + b"[" * 30 + b"*a" + b"]" * 30, "TOO_LARGE", ":2:34"),
        (b"a: &a " + b"x" * 1_000_000 + b"\nb: [" + b"*a," * 100 + b"]\n", "TOO_LARGE", ":2:62"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_hostile_bytes_end_in_one_error(tmp_path, data, code, place):
    """Other encodings, size, depth and expansion are refused where they are met, at once."""
    assert errors(tmp_path, {"specs/a.yaml": data})[0] == (code, f"specs/a.yaml{place}")


def test_all_errors_of_all_files_come_at_once_and_in_order(tmp_path):
    """Broken files don't hide the errors of others; one mistake in defaults is one error, however many use it."""
    files = {
        "reconciler.yaml": CONFIG + "defaults: {settings: {title: '${var.missing}'}}\n",
        "specs/c.yaml": "projects: [\n",
        "specs/b.yaml": "projects:\n  a: {brief: 1, aspect_ratio: 2}\n  b: {brief: ''}\n",
        "specs/a.yaml": "defaults: {settings: {craft: x}}\nprojects:\n  d: {brief: x}\n  e: {brief: x, settings: {mode: y}}\n",
        "specs/d.yaml": "projects: {f: {brief: x}}\nmoved: [{from: g, to: h}]\n",
    }
    assert errors(tmp_path, files) == [
        ("VARIABLE", "reconciler.yaml:3:30"),
        ("CHOICE", "specs/a.yaml:1:30"),
        ("CHOICE", "specs/a.yaml:4:34"),
        ("TYPE", "specs/b.yaml:2:14"),
        ("CHOICE", "specs/b.yaml:2:31"),
        ("BLANK", "specs/b.yaml:3:14"),
        ("SYNTAX", "specs/c.yaml:2:1"),
    ]


def test_a_text_filled_beyond_measure_is_refused(tmp_path):
    """Variables can't blow a specification up."""
    with pytest.raises(SpecError, match="more than 1,000,000 characters"):
        load_one(tmp_path, "projects:\n  a: {brief: '" + "${var.x}" * 11 + "'}\n", x="x" * 100_000)


def test_terminal_escapes_are_shown_not_sent(tmp_path):
    """What a message quotes is printable, whatever the specification holds."""
    files = {"specs/a.yaml": 'projects:\n  a: {brief: x, "\\e[31m\\n::error::": 1, state: "\\u202e\\e]0;x"}\n'}
    with pytest.raises(SpecError) as failure:
        load(tmp_path, files)
    for found in failure.value.diagnostics:
        assert (found.summary + found.detail).isprintable()


PIECES = st.sampled_from(
    [
        *("variables:", " for_each:", " default:", " type: list", "[us, de]", "{m: [us]}", "${each.key}", "${each.m}"),
        *("projects:", "defaults:", "moved:", "removed:", "messages:", "settings:", "references:", "lifecycle:"),
        *(" a:", " brief:", " brief_file:", " adopt:", " title:", " id:", "- ", "? ", ": ", "{", "}", "[", "]", ", "),
        *(
            "\n",
            "\n  ",
            "\n    ",
            "\n      ",
            "&a ",
            "*a ",
            "<<: ",
            "!!str ",
            "!!int ",
            "!x ",
            "---\n",
            "...\n",
            "%YAML ",
        ),
        *(
            "|\n",
            ">-\n",
            "'",
            '"',
            "#",
            "\t",
            "~",
            "null",
            "true",
            "1",
            "1e999",
            ".nan",
            "0x",
            "16:9",
            "\\uD800",
            "\\0",
        ),
        *(
            "${",
            "}",
            "${var.x}",
            "${env.TOKEN}",
            "${address}",
            "$$",
            "x",
            "../x",
            "\x00",
            "\x85",
            "\u2028",
            "\ufeff",
            "é",
        ),
    ]
)
TEXTS = st.one_of(st.lists(PIECES, max_size=40).map("".join), st.text(max_size=60))


@examples(150, 800)
def test_nothing_but_diagnostics_comes_out(tmp_path, examples):
    """Whatever the files hold, the loader gives values or an error of its own with a message to print."""
    files = st.none() | TEXTS
    drawn = {"spec": TEXTS | st.binary(max_size=60), "config": files, "given_in_file": files}
    tried(lambda **files: nothing_but_diagnostics(tmp_path, **files), examples, **drawn)


def nothing_but_diagnostics(tmp_path, spec, config, given_in_file):
    files = {"specs/a.yaml": spec.encode(errors="surrogatepass") if isinstance(spec, str) else spec}
    if config is not None:
        files["reconciler.yaml"] = config.encode(errors="surrogatepass")
    root = workspace(tmp_path, files)
    variables = {"x": "y"}
    try:
        if given_in_file is not None:
            (root / "vars.yaml").write_bytes(given_in_file.encode(errors="surrogatepass"))
            variables |= load_var_file(root / "vars.yaml", root)
        repr(load_specs(load_config(root, env={}), env=ENV, variables=variables))
    except (SpecError, ConfigError) as failure:
        diagnostics = failure.diagnostics
    else:
        return
    assert diagnostics
    for found in diagnostics:
        assert found.summary.isprintable() and found.code is not None
        assert "canary" not in found.summary + found.detail
