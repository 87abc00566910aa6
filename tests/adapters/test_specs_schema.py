"""The published JSON Schema agrees with the loader, so editors say what ``validate`` will say."""

from __future__ import annotations

import json
from copy import deepcopy

import jsonschema
import pytest
from hypothesis import strategies as st
from ruamel.yaml import YAML

from reconciler.adapters.specs.validation.codes import Code
from reconciler.adapters.specs.validation.json_schema import spec_schema
from reconciler.model import contract
from reconciler.model.errors import SpecError
from tests.adapters.specs_support import load, load_one
from tests.adapters.test_specs_bad_inputs import CASES, VARIABLES
from tests.adapters.test_specs_good_inputs import EXAMPLE
from tests.sampling import examples, tried

SCHEMA = spec_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def schema_keys(schema):
    """Every key that the schema knows anywhere."""
    return sorted({key for shape in (schema, *schema["$defs"].values()) for key in shape["properties"]})


BEYOND = {
    "SYNTAX", "DUPLICATE_KEY", "YAML_FEATURE", "TOO_LARGE", "DUPLICATE_ADDRESS", "DUPLICATE_MESSAGE", "DUPLICATE_TARGET",
    "MOVED", "REMOVED", "VARIABLE", "ENV_NOT_ALLOWED", "ENV_MISSING", "VARIABLE_SYNTAX", "SECRET_PLACE",
    "VARIABLE_VALUE", "BRIEF_FILE", "DUPLICATE_VARIABLE", "DEPENDENCY", "CYCLE", "FILE", "OUTSIDE",
}  # fmt: skip
"""What only the loader can know: YAML itself, other places and files, variables."""


def judged(text):
    """Whether a schema can judge this bad input at all."""
    unjudged = (
        "${",
        "---",
        ".nan",
        "9" * 100,
        "f" * 100,
        "2024-01-01",
        "projects:\n  a: {}",
        "[x'",
        ":99999",
        ".inf",
        "k" * 130,
        "variables: {1x",
    )
    return not any(piece in text for piece in unjudged)


@pytest.mark.parametrize("text", [case[0] for case in CASES if case[1] not in BEYOND and judged(case[0])])
def test_refuses_what_the_loader_refuses(text):
    """Every structural mistake of the table breaks the schema too."""
    assert not VALIDATOR.is_valid(YAML(typ="safe", pure=True).load(text))


GOOD = [
    EXAMPLE,
    "projects: {}\n",
    "{}\n",
    "projects: {a: {brief: x, settings: {title: null, webhook_url: null, expected_output: null}}}\n",
    "projects: {a: {brief: '${var.long}', settings: {mode: '${var.mode}', title: '${var.market} and ${var.market} of ${address}'}}}\n",
    "projects: {a: {brief: '$$', settings: {title: '$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$$'}}}\n",
    "projects: {a: {import: '${var.market}', messages: ['${var.long}', {message: x, id: '${address}'}]}}\n",
    "projects: {a: {brief: x, references: [{url: 'http://x.y/z?q#f'}, {upload_id: u}, {url: 'https://x.y', type: url}]}}\n",
    "defaults: {brief: x, lifecycle: {ignore_changes: [brief, title]}}\nprojects: {a: {}, b: {adopt: s}}\n",
    "projects: {a: {brief: x, settings: {webhook_url: 'https://${env.TOKEN}'}}}\n",
    "variables: {l: {type: list, default: [us, de]}, f: {type: bool, default: true}, n: {type: number, default: 1.5, description: d}, s: {default: x}, mode: {}}\nprojects: {a: {for_each: '${var.l}', brief: '${each.key}', extract_content: '${var.f}', settings: {craft_auto: '${var.f}'}}}\n",
    "projects: {a: {for_each: [us, '16:9', a.b_c-d], brief: '${each.value} ${each.key}'}}\n",
    "projects: {a: {for_each: {us: English, de: 5, fr: true}, brief: '${each.value}'}}\n",
    "projects: {a: {for_each: {us: {voice: Ann, n: 5}, de: {voice: Jo}}, brief: '${each.voice}'}}\n",
    "projects: {a: {for_each: {market: [us, de], ratio: ['16:9', 9:16]}, brief: x, aspect_ratio: '${each.ratio}'}}\n",
    "projects: {a: {for_each: [], brief: x}, b: {for_each: {}, brief: x}, c: {for_each: {m: []}, brief: x}}\n",
    "projects: {a: {for_each: [us], brief: x}}\nmoved: [{from: a, to: 'a[us]'}]\nremoved: [{address: 'a[de,16:9]', action: stop}]\n",
    "projects: {a: {brief: x, references: [{project: b, type: url}, {project: 'c[us]'}, {url: 'http://x.y'}], depends_on: [c]}, b: {brief: x}, c: {for_each: [us], brief: x}}\n",
    "projects: {a: {for_each: [us], brief: x}, b: {for_each: [us], brief: x, references: [{project: 'a[${each.key}]'}], messages: [{message: x, references: [{project: 'a[us]'}]}]}}\n",
    "projects: {a: {brief: x}}\nmoved: [{from: b, to: a}]\nremoved: [{address: c, action: cancel}]\n",
]


@pytest.mark.parametrize("text", GOOD)
def test_takes_what_the_loader_takes(tmp_path, text):
    """Good specifications fit the schema, those with variables in enumerations too."""
    load_one(tmp_path, text, **{k: v for k, v in VARIABLES.items() if k != "broken"}, mode="collaborative")
    VALIDATOR.validate(YAML(typ="safe", pure=True).load(text))


WHOLE = {
    "variables": {"m": {"type": "list", "default": ["us"], "description": "d"}, "n": {"type": "number", "default": 1}},
    "defaults": {"settings": {"agent_model": "sonnet"}, "lifecycle": {"on_remove": "stop"}},
    "projects": {
        "a": {
            "brief": "x",
            "aspect_ratio": "9:16",
            "references": [{"url": "https://e.example/a.png", "type": "image"}, {"upload_id": "u"}],
            "extract_content": True,
            "settings": dict(zip(contract.current().settings, ["T", "none", "v", "i", "opus", "cinema", False, None, None], strict=True)),
            "messages": [{"id": "s", "message": "M", "references": [{"upload_id": "u"}]}, "short"],
            "state": "present",
            "lifecycle": {"on_failed": "keep", "on_immutable_change": "error", "ignore_changes": ["title"]},
        },
        "b": {"adopt": "s1"},
        "c": {"import": "p1", "state": "cancelled"},
        "d": {"for_each": {"m": ["us", "de"], "r": ["1:1"]}, "brief": "x"},
        "e": {"for_each": {"us": {"v": "A"}, "de": {"v": "B"}}, "brief": "y"},
    },
    "moved": [{"from": "z", "to": "a"}],
    "removed": [{"address": "y", "action": "forget"}],
}  # fmt: skip
"""Every key of a specification, each with a value that goes."""
SOMETHING = st.sampled_from(
    [None, True, False, 0, 1, -1, 1.5, 10**25, "", " ", "x", "x" * 31, "y" * 64, "x" * 10_001, "a b", "A", "us", "é", "1",
     ".", "-", "https://", "http://x", "https://x y", "https://x", "HTTPS://x", "ftp://x", "https://user@x", "../x", "a[b]",
     "a[", "16:9", "auto", "none", "stop", "number", "title", [], {}, ["x"], ["x", "x"], [None], [1], {"x": "y"}, {"x": 1},
     {"url": "https://x"}, {"a": ["b"]}, {"a": {"b": "c"}}, [{"url": "https://x"}] * 4]
)  # fmt: skip
NAMES = st.sampled_from([*schema_keys(SCHEMA), "x", "A", "a b", "for each", "key", "value", "us"])
ELSEWHERE = ("the project has no brief", "is too long for an address")
"""What a schema can't see: that no default gives the brief, and how long an address becomes."""


def places(node, path=()):
    """Every path below the root."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


@st.composite
def altered(draw):
    """The whole specification with a value or two replaced, taken out or put in."""
    tree = json.loads(json.dumps(WHOLE))
    for _ in range(draw(st.integers(1, 2))):
        path = draw(st.sampled_from(list(places(tree))))
        node = tree
        for part in path[:-1]:
            node = node[part]
        match draw(st.sampled_from(["replace", "take", "put"])):
            case "take":
                del node[path[-1]]
            case "put" if isinstance(node[path[-1]], dict):
                node[path[-1]][draw(NAMES)] = deepcopy(draw(SOMETHING))
            case _:
                node[path[-1]] = deepcopy(draw(SOMETHING))
    return tree


@examples(100, 800)
def test_schema_and_loader_agree_on_anything(tmp_path, examples):
    """What the schema refuses the loader refuses, and what the loader refuses the schema refuses where it can know."""
    tried(lambda tree: agree(tmp_path, tree), examples, tree=altered())


def agree(tmp_path, tree):
    try:
        load(tmp_path, {"specs/a.yaml": json.dumps(tree)})
        found = ()
    except SpecError as failure:
        found = failure.diagnostics
    known = [d for d in found if Code(d.code).name not in BEYOND and not any(piece in d.summary for piece in ELSEWHERE)]
    if VALIDATOR.is_valid(tree):
        assert not known
    else:
        assert found


def test_is_a_schema_for_editors():
    """Draft 2020-12, closed objects, a description on every field, the contract's enumerations."""
    VALIDATOR.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    for name, shape in {"": SCHEMA, **SCHEMA["$defs"]}.items():
        assert shape["additionalProperties"] is False, name
        assert all("description" in field for field in shape["properties"].values()), name
    settings = SCHEMA["$defs"]["Settings"]["properties"]
    assert tuple(settings) == contract.current().settings
    assert settings["craft"]["anyOf"][0]["enum"] == list(contract.current().field("craft").values)
    assert "import" in SCHEMA["$defs"]["Project"]["properties"]
    assert {"from", "to"} == set(SCHEMA["$defs"]["MovedShape"]["properties"])
