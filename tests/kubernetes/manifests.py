"""The manifests of the example, as `kubectl apply -k` makes them, and a pod's folder and environment as a kubelet does."""

from __future__ import annotations

import json
from pathlib import Path

from ruamel.yaml import YAML

from tests.command import ROOT

EXAMPLE = ROOT / "examples" / "kubernetes"
KINDS = ("watch", "cronjob")


def documents(path: Path) -> list[dict]:
    return [found for found in YAML(typ="safe").load_all(path.read_text(encoding="utf-8")) if found]


def rendered(folder: Path) -> list[dict]:
    """The resources of a kustomization with all that it names. A ConfigMap keeps its name, without the digest."""
    (kustomization,) = documents(folder / "kustomization.yaml")
    found = []
    for name in kustomization["resources"]:
        path = folder / name
        found += rendered(path) if path.is_dir() else documents(path)
    for made in kustomization.get("configMapGenerator", ()):
        data = {Path(name).name: (folder / name).read_text(encoding="utf-8") for name in made["files"]}
        found.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": made["name"]}, "data": data})
    for each in found:
        if each["kind"] != "Namespace":
            each["metadata"]["namespace"] = kustomization["namespace"]
    return found


def the(resources: list[dict], kind: str) -> dict:
    (found,) = [each for each in resources if each["kind"] == kind]
    return found


def pod_template(resources: list[dict]) -> dict:
    (found,) = [
        each["spec"]["template"] if each["kind"] == "Deployment" else each["spec"]["jobTemplate"]["spec"]["template"]
        for each in resources
        if each["kind"] in ("Deployment", "CronJob")
    ]
    return found


def container(resources: list[dict]) -> dict:
    (found,) = pod_template(resources)["spec"]["containers"]
    return found


def environment(resources: list[dict], secrets: dict[str, dict[str, str]]) -> dict[str, str]:
    """The container's variables; ``secrets`` by name and key."""

    def value(entry: dict) -> str:
        if "value" in entry:
            return entry["value"]
        ref = entry["valueFrom"]["secretKeyRef"]
        return secrets[ref["name"]][ref["key"]]

    return {entry["name"]: value(entry) for entry in container(resources).get("env", ())}


def mount(resources: list[dict], root: Path) -> Path:
    """Write what the pod mounts of ConfigMaps below ``root``; the container's working directory there."""
    maps = {each["metadata"]["name"]: each["data"] for each in resources if each["kind"] == "ConfigMap"}
    volumes = {each["name"]: each for each in pod_template(resources)["spec"]["volumes"]}
    for each in container(resources)["volumeMounts"]:
        path = root / each["mountPath"].lstrip("/")
        if "emptyDir" in volumes[each["name"]]:
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(maps[volumes[each["name"]]["configMap"]["name"]][each["subPath"]], encoding="utf-8")
    return root / container(resources)["workingDir"].lstrip("/")


def canonical(resources: list[dict]) -> set[str]:
    """The resources, to be compared, without the digests in the names of ConfigMaps."""
    texts = [json.dumps(each, sort_keys=True) for each in resources]
    for name in [each["metadata"]["name"] for each in resources if each["kind"] == "ConfigMap"]:
        stem, _, digest = name.rpartition("-")
        if len(digest) == 10:
            texts = [text.replace(f'"{name}"', f'"{stem}"') for text in texts]
    return set(texts)
