"""What the first look accepts, the models accept: it saves their import, and decides nothing else."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.adapters.specs.validation import first_look, shapes
from reconciler.adapters.specs.validation.errors import explain
from reconciler.adapters.specs.validation.shape_types import mappings_in
from reconciler.model import contract

KNOWN = shapes.current()
SHAPES = {
    shape.name: shape
    for top in (KNOWN.spec, KNOWN.document, KNOWN.config_file)
    for shape in (top, *mappings_in(top))
    if shape is not KNOWN.spec
}
"""Every mapping that is checked, by name."""
GOOD: dict[str, dict[str, Any]] = {
    "Reference": {
        "url": "https://example.com:8080/logo.png?size=2#top",
        "upload_id": "upl_abc123",
        "project": "teaser[us,16:9]",
        "file": "assets/logo.png",
        "type": "image",
    },
    "Settings": {
        "title": "Summer — “teaser”",
        "mode": "none",
        "video_model": "kling-3.0",
        "image_model": "nano-banana-pro",
        "agent_model": "opus",
        "craft": "auto",
        "craft_auto": True,
        "webhook_url": "https://hooks.example.com/a?b=c",
        "expected_output": "assets",
    },
    "LifecycleShape": {
        "on_remove": "protect",
        "on_failed": "recreate",
        "on_immutable_change": "ignore",
        "ignore_changes": [*contract.current().settings, *contract.current().creation_fields],
    },
    "Message": {"id": "softer", "message": "Softer.\n", "extract_content": False},
    "Defaults": {
        "brief": "b" * contract.current().max_length("brief"),
        "brief_file": "briefs/a.md",
        "aspect_ratio": "9:16",
        "extract_content": True,
        "state": "cancelled",
        "tags": ["summer", "client:acme"],
    },
    "Project": {"only": ["prod"], "except": ["dev"], "depends_on": ["a", "b[x]"], "adopt": "6f1c", "import": "proj_1"},
    "MovedShape": {"from": "a", "to": "b"},
    "RemovedShape": {"address": "a", "action": "forget"},
    "VariableShape": {"type": "list", "default": ["a"], "description": "Which."},
    "ShareShape": {"title": "Summer", "description": "Short."},
    "DeliverShape": {"render": "4k", "download": "renders/"},
    "Document": {},
    "ApiShape": {"url": "http://127.0.0.1:60999/api/v1", "key_env": "EVERSINCE_KEY_2", "version": "2026-04"},
    "LimitsShape": {"active_projects": 5, "requests_per_minute": 30, "settle_seconds": 1, "lease_seconds": 60.5},
    "PolicyShape": {
        "max_creates": 0,
        "max_cancels": None,
        "max_replacements": 3,
        "max_messages": 10,
        "max_renders": 2,
        "min_credits": 100,
        "max_share": 0.5,
        "allowed_env": ["TOKEN"],
    },
    "SandboxShape": {"speed": 100, "api_version": "2025-03"},
    "AccountShape": {"project": "proj_abc123"},
    "ConfigFile": {"workspace": "acme-videos", "specs": "specs", "state": "s3://bucket/prefix"},
}
"""A tree of each shape with everything that a first look should know to be right."""
GOOD["Message"]["references"] = GOOD["Defaults"]["references"] = [GOOD["Reference"], {"project": "a"}]
GOOD["DeliverShape"]["share"] = GOOD["ShareShape"]
GOOD["Defaults"] |= {
    "settings": GOOD["Settings"],
    "lifecycle": GOOD["LifecycleShape"],
    "deliver": GOOD["DeliverShape"],
}
GOOD["Project"] |= {**GOOD["Defaults"], "messages": [GOOD["Message"], {"message": "x"}]}
GOOD["Document"] |= {
    "variables": {"region": GOOD["VariableShape"], "bare": {}},
    "defaults": {"anything": 1},
    "projects": {"a": None},
    "moved": [GOOD["MovedShape"]],
    "removed": [GOOD["RemovedShape"]],
}
GOOD["ConfigFile"] |= {
    "api": GOOD["ApiShape"],
    "account": GOOD["AccountShape"],
    "variables": GOOD["Document"]["variables"],
    "defaults": GOOD["Defaults"],
    "limits": GOOD["LimitsShape"],
    "policy": GOOD["PolicyShape"],
    "sandbox": GOOD["SandboxShape"],
    "vars": {"market": "us"},
    "vars_file": "vars/prod.yaml",
}
GOOD["EnvironmentShape"] = {key: value for key, value in GOOD["ConfigFile"].items() if key != "workspace"}
GOOD["ConfigFile"] |= {"default_environment": "dev", "environments": {"dev": GOOD["EnvironmentShape"], "prod": {}}}
NEEDED = {
    "AccountShape": ("project",),
    "Message": ("message",),
    "MovedShape": ("from", "to"),
    "RemovedShape": ("address", "action"),
}

TEXTS = (
    [
        "",
        " ",
        "\n",
        "\u00a0",
        "\u2028",
        "x",
        "x\n",
        "\nx",
        " x",
        "x y",
        "x\0",
        "\0",
        "é",
        "\ud83d",
        "x\udc00",
        "\ufeff",
        "🎬",
    ]
    + [
        "a",
        "a\n",
        "A",
        "-a",
        "_a",
        "a.b",
        "a b",
        "a[us]",
        "a[us]\n",
        "a[us,16:9]",
        "a[]",
        "a[us,]",
        "a[us",
        "a]",
        "1",
        "1a",
    ]
    + [
        letter * n
        for letter in "aA"
        for n in (
            63,
            64,
            65,
            128,
            129,
            contract.current().max_length("title"),
            contract.current().max_length("title") + 1,
        )
    ]
    + [f"a[{'b' * n}]" for n in (62, 124, 125, 126)]
    + [
        "x" * n + end
        for n in (contract.current().max_length("brief"), contract.current().max_length("brief") + 1)
        for end in ("", "\n", "\n\n")
    ]
    + [
        "x" * n + end
        for n in (contract.current().max_length("message"), contract.current().max_length("message") + 1)
        for end in ("", "\n")
    ]
    + [
        "sandbox",
        "sandbox\n",
        "Sandbox",
        "none",
        "None",
        "true",
        "auto",
        "AUTO",
        "image",
        "stop",
        "present",
        "16:9",
        "16:9\n",
    ]
)
HOSTS = (
    "a",
    "a.example",
    "a:1",
    "a:0",
    "a:",
    "a:65535",
    "a:65536",
    "a:64999",
    "a:65535",
    "a:65536",
    "a:99999",
    "a:x",
    "",
    ".",
    "-",
    "..",
    "[::1]",
    "[x]",
)
HOSTS += ("u@a", "u:p@a", "@a", "a b", "a\t", "é.example", "a%41", "a\\b", "A.B", "\u2100.example")
URLS = [
    f"{scheme}{host}{rest}"
    for scheme in ("https://", "http://", "HTTPS://", "https:/", "https:", "ftp://", "//", "")
    for host in HOSTS
    for rest in ("", "/", "/a?b=c#d", "?a", "#a", "/a b", "/\n", "\n", "/é", "/[", "/a/../b", "/~x", "//", "/@", "/?")
]
NUMBERS = [0, 1, -1, 2, 10**9, 10**9 + 1, 10**30, 86_400, 86_401, 0.0, -0.0, 0.5, 1.0, 1.5, -0.5, 1e300]
VALUES = [None, True, False, [], {}, [[]], {"a": {}}, {(1, 2): "x"}, math.nan, math.inf, -math.inf, *NUMBERS, *TEXTS]
NAMES = sorted(GOOD)


def sound(name, tree):
    """Whether the first look does not accept what the model refuses."""
    shape = SHAPES[name]
    return not first_look.fits(shape, tree) or not explain(shape, tree, {})


def test_each_mapping_is_tried_with_all_of_its_keys():
    """Intent: a key that comes to the shapes is not forgotten here, where it would cost a tenth of a second."""
    assert sorted(SHAPES) == NAMES
    for name, shape in SHAPES.items():
        assert sorted(GOOD[name]) == sorted(set(shape.names) - {"for_each"}), name


@pytest.mark.parametrize("name", NAMES)
def test_what_is_plainly_right_is_accepted_whole_and_field_by_field(name):
    """Intent: pydantic is not imported for specs that use every field as the README shows it."""
    shape, good = SHAPES[name], GOOD[name]
    assert first_look.fits(shape, good)
    needed = {key: good[key] for key in NEEDED.get(name, ())}
    for key, value in good.items():
        assert first_look.fits(shape, {**needed, key: value}), key
    assert sound(name, good)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_value_anywhere_is_not_accepted(name):
    """Intent: for every field, whatever stands there (or in a list or a mapping there), the model agrees."""
    good = GOOD[name]
    needed = {key: good[key] for key in NEEDED.get(name, ())}
    for key in (*good, "unknown", "for_each", ""):
        for value in [*VALUES, *URLS]:
            for tree in (value, [value], {"a": value}) if value in VALUES else (value,):
                assert sound(name, {**needed, key: tree}), (key, tree)
    for key in needed:
        assert sound(name, {other: good[other] for other in needed if other != key})
    for tree in VALUES:
        assert sound(name, tree), tree


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", NAMES)
def test_a_nested_tree_with_one_thing_wrong_is_not_accepted(name):
    """Intent: what is checked at the top is checked further in."""

    def spoilt(tree):
        if isinstance(tree, dict):
            yield {**tree, "unknown": 1}
            for key, value in tree.items():
                yield {other: kept for other, kept in tree.items() if other != key}
                yield from ({**tree, key: other} for other in spoilt(value))
        elif isinstance(tree, list):
            yield tree * 30
            yield from ([*tree[:i], other, *tree[i + 1 :]] for i, value in enumerate(tree) for other in spoilt(value))
        yield from (None, [], {}, 7, "", "\ud83d", "x\n", True)

    for tree in spoilt(GOOD[name]):
        assert sound(name, tree), tree


@given(
    st.sampled_from(["https://", "http://", "https:", ""]),
    st.text(st.sampled_from("aZ0.-:/?#@[]%\\_ é\n\t\0\u2100\ud83d&=~!'"), max_size=12),
)
def test_no_address_is_accepted_that_the_models_refuse(start, rest):
    """Intent: the first look's idea of a URL is narrower than ours."""
    assert sound("Settings", {"webhook_url": start + rest})
    assert sound("Reference", {"url": start + rest})
    assert sound("ApiShape", {"url": start + rest})
