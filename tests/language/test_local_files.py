"""``references: [{file: …}]``: files of the workspace, known by what is in them; nothing else, and from nowhere else."""

from __future__ import annotations

import hashlib
import os

import pytest

from reconciler.adapters.specs.language import local_files as module
from reconciler.adapters.specs.yaml.formatting import formatted
from reconciler.model import contract
from reconciler.model.errors import SpecError
from tests.adapters.specs_support import load
from tests.language.language_support import account, make, reconciler
from tests.picture import image

PNG = image("proj_1")
GOOD = {
    "a.jpg": b"\xff\xd8\xff\xe0rest",
    "a.JPEG": b"\xff\xd8\xff\xe0rest",
    "a.png": PNG,
    "a.webp": b"RIFF\x10\0\0\0WEBPVP8 ",
    "a.mp4": b"\0\0\0\x18ftypmp42",
    "a.webm": b"\x1a\x45\xdf\xa3rest",
    "a.mov": b"\0\0\0\x08wide\0\0",
    "a.mp3": b"ID3\x04\0",
    "b.mp3": b"\xff\xfb\x90\x00",
    "a.wav": b"RIFF\x10\0\0\0WAVEfmt ",
    "a.m4a": b"\0\0\0\x18ftypM4A ",
}


def specs(*references, more=""):
    written = ", ".join(f"{{file: {reference}}}" for reference in references)
    return f"projects: {{a: {{brief: x, references: [{written}]{more}}}}}\n"


def wrong(root, text, files):
    with pytest.raises(SpecError) as failure:
        load(root, {"specs/a.yaml": text, **files})
    return [(d.code, d.summary) for d in failure.value.diagnostics]


@pytest.mark.parametrize("name", GOOD)
def test_every_kind_that_can_be_uploaded_is_known_by_its_content(tmp_path, name):
    desired = load(tmp_path, {"specs/a.yaml": specs(f"art/{name}"), f"art/{name}": GOOD[name]})
    digest = hashlib.sha256(GOOD[name]).hexdigest()
    assert desired.projects["a"].origin.creation["references"] == [{"file": f"art/{name}", "digest": digest}]


def test_messages_have_files_too(tmp_path):
    text = "projects: {a: {brief: x, messages: [{message: Look., references: [{file: a.png}]}]}}\n"
    (message,) = load(tmp_path, {"specs/a.yaml": text, "a.png": PNG}).projects["a"].messages
    assert message.body["references"] == [{"file": "a.png", "digest": hashlib.sha256(PNG).hexdigest()}]


@pytest.mark.parametrize("name", [name for name in GOOD if name != "a.mov"])
def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path, name):
    """A Git LFS pointer, for one."""
    found = wrong(tmp_path, specs(name), {name: b"version https://git-lfs.github.com/spec/v1\n"})
    assert [code for code, _ in found] == ["E141"] and "is not " in found[0][1]


def test_empty_and_large_files_are_refused(tmp_path, monkeypatch):
    assert "is empty" in wrong(tmp_path, specs("a.png"), {"a.png": b""})[0][1]
    monkeypatch.setitem(contract.current().limits.upload_bytes, "image", len(PNG))
    load(tmp_path, {"specs/a.yaml": specs("a.png"), "a.png": PNG})
    assert f"at most {len(PNG)} are allowed for image" in wrong(tmp_path, specs("a.png"), {"a.png": PNG + b"."})[0][1]


def test_links_lead_to_nowhere_outside_and_nothing_hidden(tmp_path):
    root, outside = tmp_path / "workspace", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "secret.png").write_bytes(PNG)
    (root / ".git").mkdir()
    (root / ".git" / "x.png").write_bytes(PNG)
    (root / "a.png").symlink_to(outside / "secret.png")
    (root / "b.png").symlink_to(root / ".git" / "x.png")
    (root / "folder").symlink_to(outside)
    (root / "c.png").symlink_to("/proc/self/environ")
    (root / "good.png").write_bytes(PNG)
    (root / "within.png").symlink_to("good.png")
    names = ("a.png", "b.png", "folder/secret.png", "c.png", "../outside/secret.png", str(outside / "secret.png"))
    for name in names:
        assert [code for code, _ in wrong(root, specs(name), {})] == ["E107"], name
    load(root, {"specs/a.yaml": specs("within.png")})


def test_a_pipe_is_not_waited_for_and_a_folder_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "b.png").mkdir()
    for name in ("a.png", "b.png"):
        assert [code for code, _ in wrong(tmp_path, specs(name), {})] == ["E141"]


def test_all_that_is_wrong_with_a_reference_is_said(tmp_path):
    text = "projects: {a: {brief: x, references: [{file: a.png, type: image}, {file: a.png, digest: abc}]}}\n"
    assert [code for code, _ in wrong(tmp_path, text, {"a.png": PNG})] == ["E115", "E111"]


def test_a_file_is_read_once_however_often_it_is_named(tmp_path, monkeypatch):
    seen = []

    def counting(root, name):
        seen.append(name)
        return local_media(root, name)

    local_media = module.local_media
    monkeypatch.setattr("reconciler.adapters.specs.language.project.local_media", counting)
    load(tmp_path, {"specs/a.yaml": specs("a.png", "a.png", more=", for_each: [x, y, z]"), "a.png": PNG})
    assert seen == ["a.png"]


def test_the_canonical_form():
    text = "projects: {a: {brief: x, references: [{file: a.png}, {upload_id: u}]}}\n"
    assert "{file: a.png}" in formatted(text, "a.yaml")


@pytest.mark.sampled(3)
@pytest.mark.parametrize("shape", ["text", "json", "markdown", "html"])
def test_every_form_of_a_plan_names_the_files_that_are_uploaded(tmp_path, shape):
    make(tmp_path, {"specs/a.yaml": specs("a.png")})
    (tmp_path / "a.png").write_bytes(PNG)
    ran = reconciler(tmp_path, "plan", "--format", shape)
    assert ran.returncode == 0, ran.stderr
    assert '"uploads": [' in ran.stdout if shape == "json" else "Uploads" in ran.stdout
    assert "a.png" in ran.stdout and hashlib.sha256(PNG).hexdigest() in ran.stdout


@pytest.mark.sweep
def test_apply_uploads_once_shows_progress_and_a_second_plan_is_empty(tmp_path):
    text = "projects: {a: {for_each: [x, y], brief: '${each.key}', references: [{file: a.png}]}}\n"
    make(tmp_path, {"specs/a.yaml": text})
    (tmp_path / "a.png").write_bytes(PNG)
    ran = reconciler(tmp_path, "-vv", "apply", "--auto-approve")
    assert ran.returncode == 0, ran.stderr
    assert f"uploading a.png ({len(PNG):,} bytes)" in ran.stderr and "uploaded a.png" in ran.stderr
    assert "signature" not in ran.stderr, "the address of an upload lets anybody upload"
    with account(tmp_path) as store:
        kinds = [effect.kind for effect in store.ledger()]
        (upload,) = [effect.detail for effect in store.ledger() if effect.kind == "upload"]
        sent = [effect.detail["references"] for effect in store.ledger() if effect.kind == "create"]
    assert sorted(kinds) == ["create", "create", "upload"]
    assert sent == [[{"upload_id": upload["upload_id"]}]] * 2
    again = reconciler(tmp_path, "plan", "--detailed-exitcode")
    assert again.returncode == 0, again.stdout
