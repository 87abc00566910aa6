"""The operator's manifests fit Kubernetes' schemas, ask for as little as possible, and say what the program reads."""

from __future__ import annotations

import json
import re
import sys

import jsonschema
import kubernetes_validate
import msgspec
import pytest

from reconciler.cli.operator.handlers import serve
from reconciler.cli.operator.resource import (
    GROUP,
    KIND,
    PLURAL,
    VERSION,
    Round,
    SpecError,
    WorkspaceSpec,
    counts_of,
    read_spec,
    status_of,
)
from reconciler.cli.operator.rounds import Settings
from reconciler.model.errors import ConfigError
from tests.command import run
from tests.kubernetes.manifests import EXAMPLE, documents

FOLDER = EXAMPLE / "operator"
(KUSTOMIZATION,) = documents(FOLDER / "kustomization.yaml")
ALL = [each for name in KUSTOMIZATION["resources"] for each in documents(FOLDER / name)]
BY_KIND = {each["kind"]: each for each in ALL}
POD = BY_KIND["Deployment"]["spec"]["template"]["spec"]
(ONE,) = POD["containers"]
SCHEMA = BY_KIND["CustomResourceDefinition"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
GOOD = {"source": {"configMap": {"name": "a"}}, "keySecretRef": {"name": "a"}, "state": "s3://bucket/a"}
GIT = {"url": "https://github.com/acme/videos"}


@pytest.mark.sweep
def test_each_manifest_fits_the_schemas_of_kubernetes():
    for each in ALL:
        if each["kind"] != "CustomResourceDefinition":  # a schema that describes itself: the validator has none
            kubernetes_validate.validate(each, kubernetes_validate.latest_version(), strict=True)
    assert {path.name for path in FOLDER.iterdir()} == {"kustomization.yaml", *KUSTOMIZATION["resources"]}


def test_the_definition_is_of_the_resource_that_the_program_reads():
    spec = BY_KIND["CustomResourceDefinition"]["spec"]
    assert (spec["group"], spec["versions"][0]["name"]) == (GROUP, VERSION)
    assert (spec["names"]["plural"], spec["names"]["kind"]) == (PLURAL, KIND)
    assert BY_KIND["CustomResourceDefinition"]["metadata"]["name"] == f"{PLURAL}.{GROUP}"
    assert spec["versions"][0]["subresources"] == {"status": {}}
    fields = {field.encode_name: field for field in msgspec.structs.fields(WorkspaceSpec)}
    assert fields.keys() == SCHEMA["spec"]["properties"].keys()
    assert {name for name, field in fields.items() if field.required} == set(SCHEMA["spec"]["required"])


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"mode": "approve", "approved": "a" * 64},
        {"approved": ""},
        {"source": {"git": GIT}},
        {"source": {"git": {**GIT, "revision": "v1", "path": "teams/a"}}, "interval": "1h30m", "suspend": True},
        {"state": "file:///state/a", "environment": "prod"},
    ],
)
def test_a_right_spec_is_right_to_the_schema_and_to_the_program(more):
    jsonschema.validate({**GOOD, **more}, SCHEMA["spec"])
    assert read_spec({**GOOD, **more}).seconds >= 10


@pytest.mark.parametrize(
    "more",
    [
        {"mode": "destroy"},
        {"approved": "a" * 63},
        {"approved": "latest"},
        {"state": "state.json"},
        {"state": "/state"},
        {"state": "http://a/b"},
        {"state": "s3://a b"},
        {"source": {}},
        {"source": {"git": GIT, "configMap": {"name": "a"}}},
        {"source": {"git": {}}},
        {"environment": "--state"},
        {"environment": "../a"},
        {"suspend": "yes"},
        {"keySecretRef": {}},
    ],
)
def test_a_wrong_spec_is_refused_by_both(more):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**GOOD, **more}, SCHEMA["spec"])
    with pytest.raises(SpecError):
        read_spec({**GOOD, **more})


@pytest.mark.parametrize("more", [{"interval": "often"}, {"key": "es_live_x"}, {"keySecretRef": {"name": "../a"}}])
def test_what_a_schema_can_not_say_is_refused_by_the_program(more):
    with pytest.raises(SpecError):
        read_spec({**GOOD, **more})


@pytest.mark.parametrize(
    "made",
    [
        Round(reason="UpToDate", message="", ready=True, drifted=False, revision="a"),
        Round(reason="PlanFailed", message="x" * 5000, failed=True, blocked=True, revision="a"),
        Round(reason="Suspended", message="", keep=True),
        Round(
            reason="AwaitingApproval",
            message="",
            revision="a",
            digest="a" * 64,
            counts=counts_of({"create": 1, "release": 2, "unchanged": 3, "attention": 0}),
        ),
    ],
)
def test_a_status_fits_the_schema_and_names_no_more_than_it_has(made):
    status = status_of(made, {}, generation=3, environment="prod", now="2026-01-01T00:00:00Z")
    properties = json.loads(json.dumps(SCHEMA["status"]).replace('"nullable": true, ', ""))
    given = {name: value for name, value in status.items() if value is not None}
    jsonschema.validate(given, {**properties, "additionalProperties": False})
    assert sum((made.counts or {"other": 0}).values()) == (6 if made.counts else 0)
    assert ("plan" in status) == (not made.keep) and ("applied" in status) == made.ready


def test_a_condition_keeps_its_time_while_it_is_the_same():
    made = Round(reason="UpToDate", message="", ready=True, drifted=False, revision="a")
    first = status_of(made, {}, generation=1, environment="", now="2026-01-01T00:00:00Z")
    made.drifted = True
    second = status_of(made, first, generation=1, environment="", now="2026-01-02T00:00:00Z")
    times = {each["type"]: each["lastTransitionTime"][:10] for each in second["conditions"]}
    assert times == {"Ready": "2026-01-01", "Blocked": "2026-01-01", "Drifted": "2026-01-02"}


def test_it_has_rights_in_its_own_namespace_only_and_no_more_than_it_uses():
    assert not {"ClusterRole", "ClusterRoleBinding", "Secret"} & BY_KIND.keys()
    rules = {tuple(rule["resources"]): set(rule["verbs"]) for rule in BY_KIND["Role"]["rules"]}
    assert rules == {
        ("workspaces",): {"list", "watch", "patch"},
        ("workspaces/status",): {"patch"},
        ("events",): {"create"},
        ("secrets", "configmaps"): {"get"},
    }
    (subject,) = BY_KIND["RoleBinding"]["subjects"]
    assert subject["name"] == POD["serviceAccountName"] == BY_KIND["ServiceAccount"]["metadata"]["name"]
    namespaces = {each["metadata"].get("namespace", "reconciler") for each in ALL} | {subject["namespace"]}
    assert namespaces == {"reconciler"} == {ONE["args"][ONE["args"].index("--namespace") + 1]}


def test_the_pod_is_unprivileged_and_writes_two_folders():
    assert POD["securityContext"]["runAsNonRoot"] is True and POD["securityContext"]["runAsUser"] > 0
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    security = ONE["securityContext"]
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["readOnlyRootFilesystem"] is True and security["allowPrivilegeEscalation"] is False
    assert {each["mountPath"] for each in ONE["volumeMounts"]} == {"/work", "/tmp"}
    assert all(set(each) <= {"name", "emptyDir"} for each in POD["volumes"])
    assert all(("valueFrom" in entry) == bool(re.search("KEY|SECRET", entry["name"])) for entry in ONE["env"])
    assert not any(entry["name"].startswith("EVERSINCE") for entry in ONE["env"]), "keys belong to the workspaces"


def test_one_operator_at_a_time_that_is_given_time_to_end_and_is_probed():
    spec = BY_KIND["Deployment"]["spec"]
    assert spec["replicas"] == 1 and spec["strategy"] == {"type": "Recreate"}
    assert POD["terminationGracePeriodSeconds"] > 100
    (port,) = ONE["ports"]
    assert ONE["args"][ONE["args"].index("--listen") + 1] == f"0.0.0.0:{port['containerPort']}"
    for name in ("startup", "readiness", "liveness"):
        assert ONE[f"{name}Probe"]["httpGet"] == {"path": "/healthz", "port": port["name"]}


def test_a_wrong_option_is_named(tmp_path):
    wrong = run("operator", "--namespace", "a", "--work", "w", "--listen", "8080", cwd=tmp_path)
    assert wrong.returncode == 1 and "not a valid address" in wrong.stderr


def test_without_a_cluster_it_says_so(tmp_path):
    pytest.importorskip("kopf")
    alone = run("operator", "--namespace", "a", "--work", "w", cwd=tmp_path, HOME=str(tmp_path), KUBECONFIG="")
    assert alone.returncode == 1 and "there is no cluster" in alone.stderr


def test_without_the_extra_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "kopf", None)
    settings = Settings(work=tmp_path, git_hosts=frozenset(), timeout="1m")
    with pytest.raises(ConfigError) as error:
        serve(settings, namespaces=["a"], parallel=1, listen=None, say=print)
    assert "eversince-reconciler[operator]" in error.value.diagnostics[0].detail
