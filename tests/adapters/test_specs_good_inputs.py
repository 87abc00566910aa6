"""What good specifications mean: the exact values, merged, filled, and nothing that was not declared."""

from __future__ import annotations

import time

import pytest

from reconciler.adapters.specs.language.variable_declarations import Given
from reconciler.adapters.specs.language.variable_files import load_var_file
from reconciler.adapters.specs.yaml.formatting import formatted
from reconciler.adapters.specs.yaml.parsing import parse
from reconciler.model.desired import (
    AdoptOrigin,
    CreateOrigin,
    Desired,
    DesiredMessage,
    DesiredProject,
    ImportOrigin,
    Lifecycle,
    Moved,
    Removed,
)
from reconciler.model.errors import Location, SpecError
from reconciler.model.values import Revealed, Secret, expand_env, masked, reveal, seal_fields
from tests.adapters.specs_support import CONFIG, ENV, load, load_one, workspace
from tests.spec_files import load_config, load_specs

EXAMPLE = """\
# yaml-language-server: $schema=spec.json
defaults: {settings: {agent_model: sonnet}}
projects:
  summer-teaser:
    brief: |
      Fifteen seconds, upbeat, product in the last shot.
    aspect_ratio: "9:16"
    references:
      - {url: "https://example.com/logo.png", type: image}
      - {upload_id: upl_abc123}
    extract_content: true
    settings:
      title: Summer teaser
      mode: collaborative
      craft: cinema
      webhook_url: https://hooks.example.com/${env.TOKEN}
    messages:
      - id: softer
        message: Make the music softer.
        references: []
        extract_content: true
      - Add a female voiceover.
    lifecycle:
      on_remove: release
      on_failed: recreate
      on_immutable_change: ignore
      ignore_changes: [title, brief]
  from-studio:
    adopt: 6f1c
    settings: {mode: collaborative, title: null}
  older:
    import: proj_abc123
  stopped:
    brief: Stop.
    state: cancelled
moved: [{from: teaser, to: summer-teaser}]
removed: [{address: old-one, action: forget}]
"""


def test_the_documented_example_means_what_it_says(tmp_path):
    """The example of the interfaces gives exactly these values."""
    hook = Secret("https://hooks.example.com/${env.TOKEN}", "", Revealed("https://hooks.example.com/canary-7f3a"))
    assert load_one(tmp_path, EXAMPLE) == Desired(
        "w",
        {
            "summer-teaser": DesiredProject(
                "summer-teaser",
                CreateOrigin(
                    {
                        "brief": "Fifteen seconds, upbeat, product in the last shot.",
                        "aspect_ratio": "9:16",
                        "references": [
                            {"url": "https://example.com/logo.png", "type": "image"},
                            {"upload_id": "upl_abc123"},
                        ],
                        "extract_content": True,
                    }
                ),
                {
                    "title": "Summer teaser",
                    "mode": "collaborative",
                    "agent_model": "sonnet",
                    "craft": "cinema",
                    "webhook_url": hook,
                },
                (
                    DesiredMessage(
                        "softer", {"message": "Make the music softer.", "references": [], "extract_content": True}
                    ),
                    DesiredMessage("2", {"message": "Add a female voiceover."}),
                ),
                Lifecycle("release", "recreate", "ignore", ("title", "brief")),
            ),
            "from-studio": DesiredProject(
                "from-studio",
                AdoptOrigin("6f1c"),
                {"title": None, "mode": "collaborative", "agent_model": "sonnet"},
            ),
            "older": DesiredProject("older", ImportOrigin("proj_abc123"), {"agent_model": "sonnet"}),
            "stopped": DesiredProject(
                "stopped", CreateOrigin({"brief": "Stop."}), {"agent_model": "sonnet"}, cancelled=True
            ),
        },
        (Moved("teaser", "summer-teaser"),),
        (Removed("old-one", "forget"),),
        files={"specs/a.yaml": 4},
    )


@pytest.mark.parametrize(
    "moves",
    ["{from: a, to: b}, {from: b, to: c}", "{from: b, to: c}, {from: a, to: b}", "{from: b, to: c}, {from: a, to: c}"],
    ids=["a chain", "in any order", "side by side"],
)
def test_moves_lead_to_where_the_last_of_them_does(tmp_path, moves):
    """Intent: what has had three names is found under each of the former ones: states are behind by one rename, or by two."""
    found = load_one(tmp_path, f"projects: {{c: {{brief: x}}}}\nmoved: [{moves}]\n").moved
    assert {(move.from_address, move.to_address) for move in found} == {("a", "c"), ("b", "c")}


def test_values_know_where_they_stand(tmp_path):
    """Projects, messages, moves and removals carry file, line and column."""
    desired = load_one(tmp_path, EXAMPLE)
    project = desired.projects["summer-teaser"]
    places = [project, *project.messages, *desired.moved, *desired.removed]
    assert [value.location for value in places] == [
        Location("specs/a.yaml", line, column) for line, column in ((4, 3), (18, 9), (22, 9), (36, 9), (37, 11))
    ]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("no", "no"),
        ("on", "on"),
        ("Y", "Y"),
        ("16:9", "16:9"),
        ("1:30:20", "1:30:20"),
        ("2024-01-01", "2024-01-01"),
        ("2024-01-01T10:00:00Z", "2024-01-01T10:00:00Z"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("=", "="),
        ("'42'", "42"),
        ('"\\x41\\/"', "A/"),
        ("!!str 42", "42"),
        ("! 42", "42"),
        ("!!null ''", None),
        ("~", None),
        ("a$b", "a$b"),
        ("5$", "5$"),
        (">-\n        a\n        b", "a b"),
    ],
)
def test_scalars_read_by_yaml_1_2(tmp_path, written, meant):
    """Only what YAML 1.2's core schema calls a number, a boolean or null is one; the rest is text."""
    text = f"---\nprojects: {{}}\n---\nprojects:\n  a:\n    brief: x\n    settings:\n      title: {written}\n"
    assert load_one(tmp_path, text).projects["a"].settings == {"title": meant}


@pytest.mark.parametrize(
    "text",
    [
        "projects: {a: {brief: x, aspect_ratio: 16:9, settings: {webhook_url: https://x.example/h?a=b}}}\n",
        'projects: {"a": {"brief": "x", "aspect_ratio": "16:9", "settings": {"webhook_url": "https://x.example/h?a=b"}}}',
        "projects:\n  a:\n    brief: x\n    aspect_ratio: 16:9\n    settings: {webhook_url: https://x.example/h?a=b}\n",
        (
            "defaults: &x {brief: x}\nprojects:\n  a:\n    <<: *x\n    aspect_ratio: 16:9\n"
            "    settings:\n      webhook_url: https://x.example/h?a=b\n"
        ),
        (
            "\ufeffprojects:\r\n  a:\r\n    brief: x\r\n    aspect_ratio: 16:9\r\n"
            "    settings:\r\n      webhook_url: https://x.example/h?a=b\r\n"
        ),
    ],
    ids=["flow", "json", "mixed", "merge key", "byte order mark and CRLF"],
)
def test_one_meaning_in_every_style(tmp_path, text):
    """Flow style with unquoted URLs and ratios, JSON, block style and merge keys say the same."""
    assert load_one(tmp_path, text).projects["a"] == DesiredProject(
        "a", CreateOrigin({"brief": "x", "aspect_ratio": "16:9"}), {"webhook_url": "https://x.example/h?a=b"}
    )


def test_merge_keys_never_beat_what_stands_beside_them(tmp_path):
    """A key beats a merged one, before or after it; of several merged mappings the first wins."""
    text = (
        "defaults: {settings: &d {title: D, craft: cinema, mode: autonomous}}\n"
        "projects:\n  a:\n    brief: x\n    settings:\n      title: A\n"
        "      <<: [{craft: humor}, *d]\n      mode: collaborative\n"
    )
    assert load_one(tmp_path, text).projects["a"].settings == {"title": "A", "mode": "collaborative", "craft": "humor"}


def test_text_is_taken_as_written_but_for_its_final_newlines(tmp_path):
    """Inner and leading white space of briefs and messages stays, final newlines go, in a file's text too."""
    files = {
        "specs/a.yaml": 'projects:\n  a:\n    brief: |+\n      One\n\n        two \n\n\n    messages: ["  x \\n\\n"]\n'
        "  b: {brief_file: briefs/b.md}\n",
        "briefs/b.md": b"\xef\xbb\xbfOne\r\n\r\n two \r\n\r\n",
    }
    projects = load(tmp_path, files).projects
    assert projects["a"].origin == CreateOrigin({"brief": "One\n\n  two "})
    assert projects["a"].messages[0].body == {"message": "  x "}
    assert projects["b"].origin == CreateOrigin({"brief": "One\n\n two "})


def test_a_brief_may_be_as_long_as_the_contract_says(tmp_path):
    """The limit counts characters after the variables are filled and without the final newline."""
    text = f"projects:\n  a:\n    brief: |\n      ${{var.x}}{'é' * 9_999}\n    settings: {{title: '${{var.x}}{'é' * 29}'}}\n"
    project = load_one(tmp_path, text, x="x").projects["a"]
    assert len(project.origin.creation["brief"]) == 10_000
    assert len(project.settings["title"]) == 30


def test_defaults_merge_from_the_workspace_over_the_file_to_the_project(tmp_path):
    """Settings and lifecycle merge key by key, everything else is replaced, and null counts as declared."""
    files = {
        "reconciler.yaml": "workspace: w\ndefaults:\n  brief: ws\n  aspect_ratio: 1:1\n  references: [{upload_id: ws}]\n"
        "  settings: {title: ws, mode: autonomous, craft: cinema}\n  lifecycle: {on_failed: recreate}\n",
        "specs/a.yaml": "projects:\n  a: {settings: {title: null}, references: []}\n"
        "---\ndefaults: {settings: {mode: collaborative}, lifecycle: {on_remove: forget}, state: cancelled}\n"
        "---\nprojects:\n  b: {brief: own, state: present, lifecycle: {on_failed: keep}}\n  c: {adopt: s}\n",
        "specs/b.yaml": "projects:\n  d: {}\n",
    }
    projects = load(tmp_path, files).projects
    settings = {"mode": "collaborative", "craft": "cinema"}
    assert projects == {
        "a": DesiredProject(
            "a",
            CreateOrigin({"brief": "ws", "aspect_ratio": "1:1", "references": []}),
            {"title": None, **settings},
            lifecycle=Lifecycle("forget", "recreate"),
            cancelled=True,
        ),
        "b": DesiredProject(
            "b",
            CreateOrigin({"brief": "own", "aspect_ratio": "1:1", "references": [{"upload_id": "ws"}]}),
            {"title": "ws", **settings},
            lifecycle=Lifecycle("forget", "keep"),
        ),
        "c": DesiredProject(
            "c",
            AdoptOrigin("s"),
            {"title": "ws", **settings},
            lifecycle=Lifecycle("forget", "recreate"),
            cancelled=True,
        ),
        "d": DesiredProject(
            "d",
            CreateOrigin({"brief": "ws", "aspect_ratio": "1:1", "references": [{"upload_id": "ws"}]}),
            {"title": "ws", "mode": "autonomous", "craft": "cinema"},
            lifecycle=Lifecycle(on_failed="recreate"),
        ),
    }


def test_an_own_brief_replaces_a_default_brief_file_and_the_other_way_round(tmp_path):
    """The nearest way to come to be wins; there is never a conflict between layers."""
    files = {
        "reconciler.yaml": "workspace: w\ndefaults: {brief_file: ws.md}\n",
        "ws.md": "from the workspace\n",
        "own.md": "own file\n",
        "specs/a.yaml": "defaults: {brief: from the file}\nprojects:\n  a: {}\n  b: {brief_file: own.md}\n",
        "specs/b.yaml": "projects:\n  c: {}\n  d: {brief: own}\n",
    }
    briefs = {name: project.origin.creation["brief"] for name, project in load(tmp_path, files).projects.items()}
    assert briefs == {"a": "from the file", "b": "own file", "c": "from the workspace", "d": "own"}


def test_variables_are_filled_everywhere_but_never_twice(tmp_path):
    """Values go in as they are: what looks like a variable in them stays text; keys are not touched."""
    files = {
        "reconciler.yaml": CONFIG + "defaults: {settings: {title: '${workspace}/${address}'}}\n",
        "briefs/us.md": "Sell in ${var.market} for $5 or $$5 to ${address}.\n",
        "specs/a.yaml": "projects:\n  a:\n    brief_file: briefs/${var.market}.md\n    aspect_ratio: ${var.ratio}\n"
        "    messages: [{id: '${address}-1', message: 'x ${var.odd} $${y} $'}]\n"
        "  b: {import: '${var.id}', state: '${var.state}'}\n",
    }
    desired = load(
        tmp_path, files, market="us", ratio="9:16", odd="${env.TOKEN} $$ ${address}", id="p1", state="cancelled"
    )
    assert desired.projects["a"] == DesiredProject(
        "a",
        CreateOrigin({"brief": "Sell in us for $5 or $5 to a.", "aspect_ratio": "9:16"}),
        {"title": "w/a"},
        (DesiredMessage("a-1", {"message": "x ${env.TOKEN} $$ ${address} ${y} $"}),),
    )
    assert desired.projects["b"] == DesiredProject("b", ImportOrigin("p1"), {"title": "w/b"}, cancelled=True)


def test_a_secret_keeps_a_template_that_gives_its_value_back(tmp_path):
    """Dollars of the text and of variables are escaped in the template, so only ``${env.…}`` is ever expanded."""
    text = (
        "projects:\n  a:\n    brief: 'pay $5, $$6, $${x} ${var.v} ${env.OTHER}$'\n"
        "    references: [{url: 'https://x.y/${env.TOKEN}'}]\n"
        "    messages: ['${env.TOKEN}', {message: m, references: [{upload_id: 'u${env.TOKEN}'}]}]\n"
        "    settings: {title: '${env.TOKEN}', video_model: '${env.TOKEN}'}\n"
    )
    desired = load_one(tmp_path, text, v="${env.TOKEN}$$")
    project = desired.projects["a"]
    brief = project.origin.creation["brief"]
    assert brief.template == "pay $$5, $$6, $${x} $${env.TOKEN}$$$$ ${env.OTHER}$$"
    assert brief.value.expose() == "pay $5, $6, ${x} ${env.TOKEN}$$ canary$$9e1b${env.TOKEN}$"
    assert expand_env(brief.template, ENV) == brief.value
    assert masked(project.settings) == {"title": "${env.TOKEN}", "video_model": "${env.TOKEN}"}
    sent = reveal(seal_fields(project.messages[1].body, "k"), ENV, "k").expose()
    assert sent["references"] == [{"upload_id": "ucanary-7f3a"}]
    assert isinstance(project.messages[0].body["message"], Secret)
    assert "canary" not in repr(desired)


def test_files_are_read_recursively_in_order_without_hidden_ones(tmp_path):
    """Sorted by name; other endings, hidden files and hidden folders don't count; a link within the workspace does."""
    one = "projects: {%s: {brief: x}}\n"
    files = {
        "specs/b.yaml": one % "b",
        "specs/a/z.yml": one % "a-z",
        "specs/.hidden.yaml": "[",
        "specs/.git/x.yaml": "[",
        "specs/notes.md": "[",
        "specs/empty.yaml": "",
        "specs/comment.yaml": "# nothing\n---\n",
        "more/c.yaml": one % "c",
    }
    workspace(tmp_path, files)
    (tmp_path / "specs" / "more").symlink_to("../more")
    (tmp_path / "specs" / "again.yaml").symlink_to("b.yaml")
    (tmp_path / "specs" / "loop").symlink_to(".")
    assert list(load(tmp_path, files).projects) == ["a-z", "b", "c"]


def test_no_files_are_no_projects(tmp_path):
    """An empty folder is a workspace without projects."""
    assert load(tmp_path, {}) == Desired("w")


def test_the_whole_workspace_may_hold_specifications(tmp_path):
    """With ``specs: .`` the configuration itself is none."""
    files = {"reconciler.yaml": "workspace: w\nspecs: .\n", "a.yaml": "projects: {a: {import: p}}\n"}
    assert load(tmp_path, files) == Desired("w", {"a": DesiredProject("a", ImportOrigin("p"))}, files={"a.yaml": 1})


def test_a_file_of_variables_gives_text(tmp_path):
    """YAML or JSON, names to text; what is not text keeps its place."""
    path = tmp_path / "vars.yaml"
    path.write_text("market: us\nratio: 16:9\n")
    assert load_var_file(path, tmp_path) == {"market": "us", "ratio": "16:9"}
    path.write_text("")
    assert load_var_file(path, tmp_path) == {}
    path.write_text("market: us\ncount: 3\n")
    assert load_var_file(path, tmp_path) == {"market": "us", "count": Given(3, Location(str(path), 2, 8))}
    path.write_text("market: us\ncount: 3\n---\nx: y\n")
    with pytest.raises(SpecError) as failure:
        load_var_file(path, tmp_path)
    assert [(d.code, d.location.line, d.location.column) for d in failure.value.diagnostics] == [("E110", 4, 1)]
    with pytest.raises(SpecError, match="can't be read"):
        load_var_file(tmp_path / "missing.yaml", tmp_path)


@pytest.mark.sweep
def test_ten_thousand_projects_load_in_seconds(tmp_path):
    """500 files of 20 projects; the bound is generous, the usual time (of the processor) under two seconds."""
    project = (
        "  p{0}-{1}:\n    brief: |\n      Fifteen seconds for ${{address}}.\n    aspect_ratio: 9:16\n"
        "    settings: {{title: T{1}, mode: collaborative}}\n    messages: [Softer.]\n"
    )
    files = {
        f"specs/{f:03}.yaml": "projects:\n" + "".join(project.format(f, number) for number in range(20))
        for f in range(500)
    }
    config = load_config(workspace(tmp_path, files), env={})
    start = time.process_time()
    assert len(load_specs(config, env={}).projects) == 10_000
    assert time.process_time() - start < 20


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r'"\ud83d\ude00"', "😀"),
        (r'"\uD83D\uDE00 and \ud83c\udfac."', "😀 and 🎬."),
        (r'"\u00fc\ud83d\ude00\ud83d\ude00é"', "ü😀😀é"),
        (r'"\U0001f600"', "😀"),
        (r"'\ud83d\ude00'", r"\ud83d\ude00"),  # no escapes within single quotes
    ],
)
def test_a_pair_of_escapes_as_json_writes_it_is_one_character(tmp_path, written, meant):
    spec = f"projects:\n  a: {{brief: {written}, settings: {{title: {written}}}}}\n"
    assert load_one(tmp_path, spec).projects["a"].origin == CreateOrigin({"brief": meant})

    parsed = parse(f"{{{written}: {written}}}", "a.json")
    assert parsed.documents[0][0] == {meant: meant} and not parsed.problems

    (tmp_path / "vars.json").write_text(f'{{"v": {written}}}' if written[0] == '"' else f"v: {written}")
    assert load_var_file(tmp_path / "vars.json", tmp_path) == {"v": meant}

    formed = formatted(spec, "a.yaml")
    assert formatted(formed, "a.yaml") == formed
    assert parse(formed, "a.yaml").documents[0][0] == parse(spec, "a.yaml").documents[0][0]
    assert formed.count(meant) == 2
