"""The manual says nothing that isn't so: tables are the program's, links lead somewhere, and every example is run."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from subprocess import PIPE, Popen

import click
import pytest

from reconciler.cli.main import cli
from reconciler.cli.reference import ENVIRONMENT
from tests.command import command
from tests.docs.pages import MANUAL, PAGES, Block, anchors, blocks, links, text_of
from tests.manual import with_tables
from tests.project_files import ROOT, shell
from tests.spec_files import load_config, load_specs

PACKAGE = ROOT / "reconciler"
RUN = [
    page
    for page in PAGES
    if page not in ("codes", "commands") and any(b.language != "text" for b in blocks(text_of(page)))
]
SPEC = """\
projects:
  summer-teaser:
    brief: Fifteen seconds, upbeat, product in the last shot.
    settings:
      title: Summer teaser
"""
ENV = {"WEBHOOK_TOKEN": "canary-hook", "RECONCILER_VAR_market": "us"}
OWN = re.compile(r"""["'](?:\$\{)?((?:EVERSINCE|RECONCILER)_[A-Z_]+)["']""")


@pytest.mark.parametrize("page", PAGES)
def test_tables_are_as_the_program_has_them(page):
    assert with_tables(text_of(page)) == text_of(page), "run `python -m tests.manual write`"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_pages_and_headings(page):
    for target in links(text_of(page)):
        path, _, anchor = target.partition("#")
        file = MANUAL / path if path else MANUAL / f"{page}.md"
        assert file.is_file(), target
        assert not anchor or anchor in anchors(file), target


def test_the_manual_names_no_path_outside_itself():
    """Intent: it is installed with the package, so it can't point to files of the repository."""
    for page in PAGES:
        assert not [target for target in links(text_of(page)) if target.startswith("..")], page


def test_every_variable_that_the_program_reads_is_in_the_table():
    read = {name for path in PACKAGE.rglob("*.py") for name in OWN.findall(path.read_text(encoding="utf-8"))}
    read = {name for name in read if name != "RECONCILER_VAR_" and not name.endswith("_RECONCILER")}
    assert read and read <= {*ENVIRONMENT}


def options(command: click.Command, ctx: click.Context):
    for option in command.params:
        if isinstance(option, click.Option) and option.name not in ("help", "version") and not option.hidden:
            yield option, ctx
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            inner = command.get_command(ctx, name)
            yield from options(inner, click.Context(inner, parent=ctx, info_name=name))


def test_the_variable_beside_each_option_sets_it(monkeypatch):
    root = click.Context(cli, info_name="reconciler", auto_envvar_prefix="RECONCILER")
    pairs = re.findall(r"^\| (`-.*?`)[ |].*\| `(RECONCILER_\w+)` \|$", text_of("commands"), re.MULTILINE)
    found = list(options(cli, root))
    assert len(found) == len(pairs) > 100
    for (option, ctx), (_, variable) in zip(found, pairs, strict=True):
        monkeypatch.setenv(variable, "as-set")
        assert option.resolve_envvar_value(ctx) == "as-set", variable
        monkeypatch.delenv(variable)


# Examples


@pytest.fixture
def workspace(tmp_path) -> Path:
    """What an example may refer to."""
    root = tmp_path / "acme-videos"
    for name, text in {
        "reconciler.yaml": "workspace: acme-videos\n",
        "specs/summer.yaml": SPEC,
        "briefs/teaser.md": "Upbeat.\n",
        "vars/prod.yaml": "market: us\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    (root / "assets").mkdir()
    (root / "assets" / "logo.png").write_bytes(bytes.fromhex("89504e470d0a1a0a") + bytes(100))
    return root


@pytest.fixture
def api(tmp_path):
    """The emulated API over a real socket: examples talk to it as to the real one."""
    serve = ("sandbox", "serve", "--port", "0", "--speed", "200", "--db", str(tmp_path / "api.db"))
    with Popen([command(), *serve], cwd=tmp_path, stdout=PIPE, stderr=PIPE, encoding="utf-8") as server:
        url = re.search(r"http://\S+", server.stdout.readline())[0]
        drains = [threading.Thread(target=pipe.read, daemon=True) for pipe in (server.stdout, server.stderr)]
        for drain in drains:
            drain.start()
        try:
            yield url
        finally:
            server.terminate()
            for drain in drains:
                drain.join(20)


def prelude(workspace: Path, url: str) -> str:
    """What a shell is told before the lines of a page: the emulated API's address, a key, and which `reconciler` is run."""
    settings = {
        "EVERSINCE_API_URL": url,
        "EVERSINCE_API_KEY": "es_test_canary-of-the-manual",
        "RECONCILER_APPLY_POLL_INTERVAL": "0.05",
        "RECONCILER_DESTROY_POLL_INTERVAL": "0.05",
        "PYTHONPATH": str(ROOT),
        "HOME": str(workspace.parent),
        "WEBHOOK_TOKEN": "canary-hook",
    }
    exports = "".join(f"export {name}='{value}'\n" for name, value in settings.items())
    return f'exec 2>&1\n{exports}reconciler() {{ "{command()}" "$@"; }}\nset -euo pipefail\n'


def session(workspace: Path, url: str, block: Block) -> str:
    """Run the lines of a shell block, in the folder where the block before it ended; what they printed."""
    folder = workspace.parent / "folder"
    kept = f"trap 'pwd > \"{folder}\"' EXIT\n"
    here = Path(folder.read_text(encoding="utf-8").strip()) if folder.exists() else workspace
    done = shell(f"{prelude(workspace, url)}{kept}{block.body}", here)
    assert done.returncode == block.exit_code, f"{block.body}\n{done.returncode}: {done.stdout}"
    assert "Traceback" not in done.stdout
    return done.stdout


def assert_shown(expected: str, output: str) -> None:
    """Each line of a picture is in the output, in order; `…` stands for anything."""
    rest = output
    for line in filter(None, map(str.strip, expected.splitlines())):
        if line == "…":
            continue
        found = re.search(".*?".join(map(re.escape, re.split(r"…|\.\.\.", line))), rest)
        assert found, f"not shown: {line}\n{output}"
        rest = rest[found.end() :]


def check(written: Path) -> None:
    """A file of the page's workspace, with all that is there beside it."""
    root = next(folder for folder in written.parents if (folder / "reconciler.yaml").exists())
    config = load_config(root, env=ENV)
    if written.name != "reconciler.yaml":
        load_specs(config, env=ENV)


def load(root: Path, block: Block) -> None:
    """A YAML example on its own, in a workspace with all that it may refer to."""
    config = "workspace: acme-videos\npolicy: {allowed_env: [WEBHOOK_TOKEN]}\n"
    (root / "reconciler.yaml").write_text(block.body if block.is_config else config, encoding="utf-8")
    (root / "specs" / "summer.yaml").write_text(SPEC if block.is_config else block.body, encoding="utf-8")
    load_specs(load_config(root, env=ENV), env=ENV)


@pytest.mark.sampled(6)
@pytest.mark.parametrize("page", RUN)
def test_every_example_of_a_page_runs(page, workspace, api, tmp_path):
    """Intent: a page's blocks run in their order in one workspace; YAML that names no file is loaded on its own."""
    alone = tmp_path / "alone"
    shown = ""
    for block in blocks(text_of(page)):
        if block.language == "yaml" and (block.is_config or not block.name):
            if not alone.exists():
                shell(f"cp -r '{workspace}' '{alone}'", tmp_path)
            load(alone, block)
        if block.language == "yaml" and block.name:
            (workspace / block.name).parent.mkdir(parents=True, exist_ok=True)
            (workspace / block.name).write_text(block.body, encoding="utf-8")
            check(workspace / block.name)
        elif block.language == "sh" and block.is_run:
            shown = session(workspace, api, block)
        elif block.language == "text" and block.is_run:
            assert_shown(block.body, shown)


@pytest.mark.sweep
@pytest.mark.parametrize("page", ["getting-started"])
def test_the_commands_of_a_walk_can_be_pasted_into_one_shell(page, workspace, api):
    """Intent: who follows the page in one terminal, block after block, ends where it says: nothing is meant for a new one."""
    lines, pictures = [prelude(workspace, api)], []
    for block in blocks(text_of(page)):
        if block.language == "sh" and block.is_run:
            lines.append(block.body)
        elif block.language == "yaml" and block.name:
            lines.append(f"cat > '{workspace / block.name}' <<'END'\n{block.body}END\n")
        elif block.language == "text" and block.is_run:
            pictures.append(block.body)
    assert len(lines) > 5 and pictures
    done = shell("".join(lines), workspace)
    assert done.returncode == 0, done.stdout
    assert_shown("".join(pictures), done.stdout)


OPTIONS = re.compile(r"(?<=\s)(--[a-z][a-z-]*)")


@pytest.mark.parametrize("page", [page for page in PAGES if page != "commands"])
def test_every_command_and_option_that_a_page_names_exists(page):
    known = text_of("commands")
    for text in re.findall(r"`reconciler ([^`]+)`", text_of(page)) + [
        line.partition("reconciler ")[2]
        for block in blocks(text_of(page))
        if block.language == "sh"
        for line in block.body.splitlines()
        if re.match(r"\s*(?:\w+=\S+ )*reconciler ", line)
    ]:
        text = text.partition("|")[0].partition(" #")[0]  # noqa: PLW2901  what is piped to is not ours
        words = [word for word in text.split() if re.fullmatch(r"[a-z]+", word)]
        assert (
            not words or not text.strip() or re.search(rf"^#+ {words[0]}$", known, re.MULTILINE) or text.startswith("-")
        ), text
        for option in OPTIONS.findall(f" {text}"):
            assert f"`{option}`" in known or option in ("--help", "--version"), f"{option} of {text}"


def test_only_few_examples_are_not_run():
    left_out = [(page, block.note) for page in PAGES for block in blocks(text_of(page)) if not block.is_run]
    left_out = [(page, note) for page, note in left_out if note != "not run: needs a cluster"]
    assert len(left_out) <= 8, left_out
