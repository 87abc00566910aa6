"""Man pages: every command and topic has one, nothing of the text is lost or taken for a request, and `man` shows them."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from reconciler.cli import manual
from reconciler.report import roff
from tests.cli.test_help import PAGES as COMMANDS
from tests.cli.test_help import options
from tests.command import run
from tests.sampling import every


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    done = run("help", "--man", str(folder / "man"), cwd=folder)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    found = {path.name: path for path in folder.glob("man/man[17]/*")}
    assert f"Wrote {len(found)} man pages" in done.stderr
    return found


def link(text, target):
    return f"{text} ({target})"


def test_there_is_a_page_for_each_command_and_each_topic_and_no_other(pages):
    commands = {"-".join(["reconciler", *name.split()]) + ".1" for name in COMMANDS}
    assert set(pages) == commands | {f"reconciler-{topic}.7" for topic in manual.topics()}
    for name, path in pages.items():
        assert path.parent.name == f"man{name[-1]}"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_s_page_has_all_that_its_help_has(pages, name):
    text = pages["-".join(["reconciler", *name.split()]) + ".1"].read_text(encoding="utf-8")
    command = COMMANDS[name]
    for option in options(command):
        for flag in option.opts:
            assert roff.escape(flag) in text, flag
    first = re.sub(r"\s+", " ", (command.help or "").split("\n\n")[0]).rstrip(".")
    assert f"\\- {roff.escape(first)}\n" in text
    for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "SEE ALSO"):
        assert f'.SH "{section}"' in text


def test_writing_them_twice_gives_the_same_bytes(pages, tmp_path):
    """Intent: packagers compare builds; so there is no date in them."""
    assert run("help", "--man", "man", cwd=tmp_path).returncode == 0
    assert {path.name: path.read_bytes() for path in tmp_path.glob("man/*/*")} == {
        name: path.read_bytes() for name, path in pages.items()
    }


def test_a_topic_beside_it_and_a_folder_that_is_a_file_are_refused(tmp_path):
    done = run("help", "--man", "man", "specs", cwd=tmp_path)
    assert done.returncode == 1 and "takes no topic" in done.stderr and not (tmp_path / "man").exists()
    (tmp_path / "file").write_text("")
    assert run("help", "--man", "file", cwd=tmp_path).returncode == 1
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "man1").write_text("")
    done = run("help", "--man", "half", cwd=tmp_path)
    assert done.returncode == 1 and "can't write man pages" in done.stderr


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (".gitignore comes first", "\\&.gitignore comes first"),
        ("a\n'b", "a\n\\(aqb"),
        (r"C:\new --flag", r"C:\enew \-\-flag"),
        ("`x` ~ ^", "\\(gax\\(ga \\(ti \\(ha"),
    ],
)
def test_no_character_is_taken_for_a_request(text, shown):
    assert roff.escape(text) == shown


@pytest.mark.parametrize(
    ("markdown", "made"),
    [
        ("# Title\n\nText.\n", ".PP\nText.\n"),
        ('## A "b"\n', '.SH "A \\(dqb\\(dq"\n'),
        ("### Sub\n", '.SS "Sub"\n'),
        ("Some `code`, *em*, **strong**.\n", ".PP\nSome \\fBcode\\fR, \\fIem\\fR, \\fBstrong\\fR.\n"),
        ("See [state](state.md#x).\n", ".PP\nSee state (state.md#x).\n"),
        ("```sh\n.ls -a\n\nb\n```\n", ".PP\n.RS 4\n.EX\n\\&.ls \\-a\n\nb\n.EE\n.RE\n"),
        ("* one\n* two\n  more\n", '.IP "\\(bu" 2\none\n.IP "\\(bu" 2\ntwo more\n'),
        ("1. one\n2. two\n", '.IP "1." 4\none\n.IP "2." 4\ntwo\n'),
        ("* a\n  * b\n* c\n", '.IP "\\(bu" 2\na\n.RS 4\n.IP "\\(bu" 2\nb\n.RE\n.IP "\\(bu" 2\nc\n'),
        (
            "| a | b | c |\n|---|---|---|\n| `x` | y | z |\n| u | | |\n",
            ".TP\n\\fB\\fBx\\fR\\fR\ny\n.br\nc: z\n.TP\n\\fBu\\fR\n\n",
        ),
        ("<!-- not run -->\n\nText.\n", ".PP\nText.\n"),
    ],
)
def test_markdown_becomes_roff(markdown, made):
    assert roff.from_markdown(markdown, link=link) == made


@pytest.mark.skipif(not (shutil.which("man") and shutil.which("groff")), reason="man is not installed")
@pytest.mark.parametrize(
    "name",
    every(8, sorted(["reconciler.1", "reconciler-plan.1", *(f"reconciler-{topic}.7" for topic in manual.topics())])),
)
def test_man_shows_a_page_without_a_warning(pages, name):
    done = subprocess.run(
        ["man", "--warnings=mac", "-l", pages[name]],  # unknown requests: text that was taken for one
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANWIDTH": "80", "MANROFFSEQ": ""},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f"NAME {name[:-2]} - " in " ".join(done.stdout.split())
    assert "\\f" not in done.stdout and "SEE ALSO" in done.stdout
