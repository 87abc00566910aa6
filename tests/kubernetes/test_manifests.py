"""The manifests are right, ask for as little as possible, and mount a workspace that the program accepts."""

from __future__ import annotations

import ipaddress
import json
import re
import shutil
import subprocess

import kubernetes_validate
import pytest

from tests.command import run
from tests.kubernetes.manifests import (
    EXAMPLE,
    KINDS,
    canonical,
    container,
    documents,
    mount,
    pod_template,
    rendered,
    the,
)
from tests.sampling import swept

NEWEST = kubernetes_validate.latest_version()


@pytest.fixture(params=KINDS)
def resources(request):
    return rendered(EXAMPLE / request.param)


@pytest.mark.sampled(6)
@pytest.mark.parametrize("version", [NEWEST, swept("1.29"), swept("1.33")])
def test_each_manifest_fits_the_schemas_of_kubernetes(resources, version):
    for each in resources:
        kubernetes_validate.validate(each, version, strict=True)


def test_a_wrong_manifest_does_not_fit():
    wrong = the(rendered(EXAMPLE / "watch"), "Deployment")
    wrong["spec"]["template"]["spec"]["containers"][0]["securityContext"]["readOnlyRootFileSystem"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, NEWEST, strict=True)


@pytest.mark.sampled(3)
@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
@pytest.mark.parametrize("kind", KINDS)
def test_kubectl_makes_of_them_what_the_tests_look_at(kind, tmp_path):
    done = subprocess.run(["kubectl", "kustomize", EXAMPLE / kind], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (tmp_path / "all.yaml").write_text(done.stdout)
    assert canonical(documents(tmp_path / "all.yaml")) == canonical(rendered(EXAMPLE / kind))


def test_every_file_of_the_example_is_used():
    used = {"base/workspace/reconciler.yaml", "base/workspace/specs/videos.yaml"}
    for folder in ("base", *KINDS):
        (kustomization,) = documents(EXAMPLE / folder / "kustomization.yaml")
        used |= {f"{folder}/kustomization.yaml"}
        used |= {f"{folder}/{name}" for name in kustomization["resources"] if not name.startswith("..")}
    assert used == {
        path.relative_to(EXAMPLE).as_posix()
        for path in EXAMPLE.rglob("*")
        if path.is_file() and path.parent.name != "operator"
    }


def test_the_pod_has_the_least_privilege(resources):
    pod, one = pod_template(resources)["spec"], container(resources)
    assert pod["automountServiceAccountToken"] is False
    assert the(resources, "ServiceAccount")["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] == the(resources, "ServiceAccount")["metadata"]["name"]
    assert not {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding", "Secret"} & {r["kind"] for r in resources}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert pod["securityContext"]["runAsNonRoot"] is True and pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    security = one["securityContext"]
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["readOnlyRootFilesystem"] is True and security["allowPrivilegeEscalation"] is False
    assert the(resources, "Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_only_two_folders_are_written_and_nothing_of_the_node_is_mounted(resources):
    volumes = {each["name"]: each for each in pod_template(resources)["spec"]["volumes"]}
    assert all(set(each) <= {"name", "emptyDir", "configMap"} for each in volumes.values())
    written = {m["mountPath"] for m in container(resources)["volumeMounts"] if not m.get("readOnly")}
    assert written == {"/workspace", "/tmp"}
    assert all("emptyDir" in volumes[m["name"]] for m in container(resources)["volumeMounts"] if not m.get("readOnly"))


def test_secrets_come_from_a_secret_and_stand_in_no_file(resources):
    entries = {entry["name"]: entry for entry in container(resources)["env"]}
    for name, entry in entries.items():
        secret = re.search("KEY|SECRET", name) is not None
        assert ("valueFrom" in entry) == secret, name
        if secret:
            assert entry["valueFrom"] == {"secretKeyRef": {"name": "reconciler", "key": name}}
    assert "EVERSINCE_API_KEY" in entries
    assert "es_live_" not in json.dumps(resources)


def test_the_image_must_be_named_by_whoever_uses_it(resources):
    """Intent: a name without a registry or a digest is nobody's; what it stands for is said in kustomization.yaml."""
    assert container(resources)["image"] == "reconciler"


def test_the_network_policy_lets_out_names_and_https_to_public_addresses_only():
    policy = the(rendered(EXAMPLE / "watch"), "NetworkPolicy")["spec"]
    assert policy["podSelector"] == {} and set(policy["policyTypes"]) == {"Ingress", "Egress"}
    names, web = policy["egress"]
    assert [port["port"] for port in names["ports"]] == [53, 53]
    assert [port["port"] for port in web["ports"]] == [443]
    blocks = [to["ipBlock"] for to in web["to"]]

    def reached(address):
        ip = ipaddress.ip_address(address)
        return any(
            ip in ipaddress.ip_network(block["cidr"])
            and not any(ip in ipaddress.ip_network(out) for out in block["except"])
            for block in blocks
            if ipaddress.ip_network(block["cidr"]).version == ip.version
        )

    inner = [
        "10.1.2.3",
        "172.20.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.100.0.1",
        "127.0.0.1",
        "fd00::1",
        "fe80::1",
    ]
    assert not any(map(reached, [*inner, "::1"]))
    assert reached("93.184.216.34") and reached("2606:2800:220:1::1")
    (into,) = policy["ingress"]
    port = container(rendered(EXAMPLE / "watch"))["ports"][0]["containerPort"]
    assert [each["port"] for each in into["ports"]] == [port]


def test_two_watches_never_read_two_versions_of_the_specs():
    spec = the(rendered(EXAMPLE / "watch"), "Deployment")["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"] == {"type": "Recreate"}, "pods of two versions would undo each other's work"


def test_selectors_find_the_watch_and_a_drain_is_never_stuck():
    resources = rendered(EXAMPLE / "watch")
    labels = pod_template(resources)["metadata"]["labels"]
    deployment, budget = the(resources, "Deployment")["spec"], the(resources, "PodDisruptionBudget")["spec"]
    for selector in (
        deployment["selector"]["matchLabels"],
        budget["selector"]["matchLabels"],
        the(resources, "Service")["spec"]["selector"],
    ):
        assert selector.items() <= labels.items()
    assert budget["maxUnavailable"] == 1 < deployment["replicas"]
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_the_probes_ask_the_port_that_is_listened_on():
    one = container(rendered(EXAMPLE / "watch"))
    (port,) = one["ports"]
    assert one["args"][one["args"].index("--listen") + 1] == f"0.0.0.0:{port['containerPort']}"
    probes = {name: one[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startup": "/healthz",
        "readiness": "/readyz",
        "liveness": "/healthz",
    }
    assert {probe["port"] for probe in probes.values()} == {port["name"]}


def seconds(text):
    return int(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]]


def test_a_job_is_never_cut_off_and_runs_one_at_a_time():
    job = the(rendered(EXAMPLE / "cronjob"), "CronJob")["spec"]
    args = container(rendered(EXAMPLE / "cronjob"))["args"]
    waits = [seconds(args[args.index(name) + 1]) for name in ("--timeout", "--lock-timeout")]
    assert job["concurrencyPolicy"] == "Forbid"
    assert job["jobTemplate"]["spec"]["activeDeadlineSeconds"] > sum(waits)
    assert job["jobTemplate"]["spec"]["backoffLimit"] == 0


def test_the_workspace_that_is_mounted_is_valid(resources, tmp_path):
    done = run("validate", cwd=mount(resources, tmp_path))
    assert done.returncode == 0, done.stderr


def test_a_config_map_mounted_as_a_whole_is_refused_which_is_why_its_files_are_mounted(tmp_path):
    """Intent: links into hidden folders, as the kubelet makes them, are never followed; the manual says so."""
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..2026" / "reconciler.yaml").write_text("workspace: acme\n")
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "reconciler.yaml").symlink_to("..data/reconciler.yaml")
    done = run("validate", cwd=tmp_path)
    assert done.returncode == 1 and "hidden files are never read" in done.stderr
