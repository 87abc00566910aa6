"""Policy folders: what is in them, and that no slip of the pen turns a rule off."""

from __future__ import annotations

import pytest

from reconciler.adapters.specs.policy.folder import read_policy
from reconciler.model.errors import ConfigError
from tests.policy.policy_support import DIGEST, write_policy

RULE = "// deny budget: m\nplan.cost <= 5000\n"
WAIVER = f"{{rule: budget, digest: {DIGEST}, reason: Agreed., by: ada}}"


def names(*folders):
    return [compiled.rule.name for compiled in read_policy(folders).rules]


def test_all_rules_below_all_folders_count(tmp_path):
    one = write_policy(tmp_path / "one", RULE)
    write_policy(one / "team" / "video", "// warn b: m\ntrue\n")
    two = write_policy(tmp_path / "two", "// deny c: m\ntrue\n")
    (one / "README.md").write_text("Ours.")
    (one / ".hidden").mkdir()
    (one / ".hidden" / "x.cel").write_text("nonsense")
    assert names(one, two) == ["budget", "b", "c"]


@pytest.mark.parametrize(
    ("files", "code", "said"),
    [
        ({}, "E305", "has no rules"),
        ({"README.md": "rules"}, "E305", "has no rules"),
        ({"prices.yaml": "create: 1\n"}, "E305", "has no rules"),
        ({"rules.cel": "// only comments\n"}, "E305", "has no rules"),
        ({"rules.cel": RULE, "price.yaml": "create: 300\n"}, "E305", "has no meaning"),
        ({"rules.cel": RULE, "waivers.yml": "[]\n"}, "E305", "has no meaning"),
        ({"rules.cel": RULE, "more.CEL": RULE}, "E305", "has no meaning"),
        ({"rules.cel": RULE, "prices.yaml": "creates: 300\n"}, "E111", "'creates'"),
        ({"rules.cel": RULE, "prices.yaml": "create: '300'\n"}, "E110", "number of credits"),
        ({"rules.cel": RULE, "prices.yaml": "create: true\n"}, "E110", "number of credits"),
        ({"rules.cel": RULE, "prices.yaml": "create: -1\n"}, "E113", "out of range"),
        ({"rules.cel": RULE, "prices.yaml": "create: .nan\n"}, "E113", "out of range"),
        ({"rules.cel": RULE, "prices.yaml": "- create\n"}, "E110", "one mapping"),
        ({"rules.cel": RULE, "prices.yaml": "create: 1\ncreate: 2\n"}, "E104", "twice"),
        ({"rules.cel": RULE, "waivers.yaml": "rule: budget\n"}, "E110", "a list"),
        ({"rules.cel": RULE, "waivers.yaml": f"- {WAIVER.replace('budget', 'budgets')}\n"}, "E305", "does not exist"),
        (
            {"rules.cel": RULE, "waivers.yaml": f"- {WAIVER.replace(DIGEST, 'd' * 12)}\n"},
            "E119",
            "the digest of a plan",
        ),
        (
            {"rules.cel": RULE, "waivers.yaml": f"- {WAIVER.replace('Agreed.', ' ' * 0 + chr(39) * 2)}\n"},
            "E118",
            "reason",
        ),
        ({"rules.cel": RULE, "waivers.yaml": f"- {WAIVER.replace(', by: ada', '')}\n"}, "E114", "by is missing"),
        ({"rules.cel": RULE, "waivers.yaml": f"- {WAIVER.replace('by:', 'who:')}\n"}, "E111", "'who'"),
        ({"rules.cel": RULE, "waivers.yaml": "- budget\n"}, "E110", "a mapping"),
        ({"rules.cel": b"\xff"}, "E102", "not UTF-8"),
        ({"rules.cel": "x" * 1_000_001}, "E106", "larger than"),
    ],
)
def test_what_can_not_be_meant_is_an_error_at_its_place(tmp_path, files, code, said):
    folder = write_policy(tmp_path / "policy")
    for name, text in files.items():
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        read_policy([folder])
    found = [d for d in caught.value.diagnostics if d.code == code]
    assert found, caught.value.diagnostics
    assert any(said in d.summary for d in found), found
    assert all(d.location.file.startswith(str(folder)) for d in found)


def test_of_two_prices_none_is_chosen(tmp_path):
    one = write_policy(tmp_path / "one", RULE, prices="create: 300")
    two = write_policy(tmp_path / "two", "// deny b: m\ntrue\n", prices="create: 1")
    with pytest.raises(ConfigError, match="another price for create"):
        read_policy([one, two])


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_that_is_none_is_an_error(tmp_path, there):
    if there:
        (tmp_path / "policy").write_text(RULE)
    with pytest.raises(ConfigError, match="is not a folder" if there else "does not exist"):
        read_policy([tmp_path / "policy"])


def test_links_stay_in_the_folder(tmp_path):
    """Intent: a link in the trusted folder to what a branch writes would make its rules the branch's."""
    branch = write_policy(tmp_path / "branch", RULE)
    folder = write_policy(tmp_path / "policy", "// deny own: m\ntrue\n")
    (folder / "linked.cel").symlink_to(branch / "rules.cel")
    with pytest.raises(ConfigError) as caught:
        read_policy([folder])
    assert [d.code for d in caught.value.diagnostics] == ["E107"]
    (folder / "linked.cel").unlink()
    (folder / "more").symlink_to(branch)
    with pytest.raises(ConfigError, match="is a link to a folder"):
        read_policy([folder])


def test_the_links_of_a_mounted_configuration_work(tmp_path):
    """Intent: Kubernetes mounts a ConfigMap as links into a hidden folder beside them; the folder itself may be a link."""
    folder = write_policy(tmp_path / "real")
    write_policy(folder / "..2026_11", RULE)
    (folder / "..data").symlink_to("..2026_11")
    (folder / "rules.cel").symlink_to("..data/rules.cel")
    (tmp_path / "policy").symlink_to(folder)
    assert names(tmp_path / "policy") == ["budget"]
