"""What the API refuses to take: strictly everything that the contract doesn't allow, and it names all of it."""

import pytest

from reconciler.model import contract
from reconciler.sandbox.store import STUDIO_PROJECTS

LINK = {"url": "https://example.com/a.png", "type": "image"}
UPLOAD = {"upload_id": "upl_1"}
TEXT = "must be a string"

BAD_SETTINGS = [
    ({"title": "x" * (contract.current().max_length("title") + 1)}, "title: must be at most 30 characters"),
    ({"title": 5}, f"title: {TEXT}"),
    ({"mode": "auto"}, "mode: must be one of autonomous, collaborative"),
    ({"mode": ["autonomous"]}, "mode: must be one of"),
    ({"mode": None}, "mode: must be one of"),
    ({"craft": "pottery"}, "craft: must be one of auto, general"),
    ({"craft_auto": 1}, "craft_auto: must be a boolean"),
    ({"craft_auto": "true"}, "craft_auto: must be a boolean"),
    ({"craft_auto": None}, "craft_auto: must be a boolean"),
    ({"video_model": ""}, "video_model: must not be empty"),
    ({"video_model": None}, f"video_model: {TEXT}"),
    ({"image_model": False}, f"image_model: {TEXT}"),
    ({"agent_model": "haiku"}, "agent_model: must be one of opus, sonnet"),
    ({"expected_output": "film"}, "expected_output: must be one of assembled, assets"),
    ({"webhook_url": "http://example.com"}, "webhook_url: must be a URL with https"),
    ({"webhook_url": "https://"}, "webhook_url: must be a URL"),
    ({"webhook_url": "https://exa mple.com"}, "webhook_url: must be a URL"),
    ({"webhook_url": "https://[::1"}, "webhook_url: must be a URL"),
    ({"webhook_url": "https://example.com:99999"}, "webhook_url: must be a URL"),
    ({"webhook_url": ["https://example.com"]}, "webhook_url: must be a URL"),
    ({"brand": "x"}, "brand: unknown field"),
]
BAD_CREATES = [
    *BAD_SETTINGS,
    ({"title": None}, f"title: {TEXT}"),
    ({"webhook_url": None}, "webhook_url: must be a URL"),
    ({"expected_output": None}, "expected_output: must be one of"),
    ({"mode": "none"}, "mode: must be one of autonomous, collaborative"),
    ({"brief": ""}, "brief: must not be empty"),
    ({"brief": " \n"}, "brief: must not be empty"),
    ({"brief": "x" * (contract.current().max_length("brief") + 1)}, "brief: must be at most 10000 characters"),
    ({"brief": True}, f"brief: {TEXT}"),
    ({"brief": None}, f"brief: {TEXT}"),
    ({"aspect_ratio": "4:3"}, "aspect_ratio: must be one of 16:9, 9:16, 1:1, 21:9"),
    (
        {"idempotency_key": "x" * (contract.current().max_length("idempotency_key") + 1)},
        "idempotency_key: must be at most 256 characters",
    ),
    ({"idempotency_key": ""}, "idempotency_key: must not be empty"),
    ({"id": "proj_1"}, "id: unknown field"),
]
BAD_REFERENCES = [
    ({"references": {}}, "references: must be an array"),
    ({"references": ["https://example.com"]}, "references[0]: must be an object"),
    ({"references": [{}]}, "references[0].url: is required"),
    ({"references": [UPLOAD] * (contract.current().limits.references + 1)}, "references: must be at most 10"),
    (
        {"references": [LINK] * (contract.current().limits.url_references + 1)},
        "references: at most 3 may be given by url",
    ),
    ({"references": [UPLOAD, {"url": "ftp://example.com/x", "type": "url"}]}, "references[1].url: must be a URL"),
    ({"references": [LINK | {"type": "pdf"}]}, "references[0].type: must be one of image, video, audio, url"),
    ({"references": [LINK | UPLOAD]}, "references[0].url: unknown field; references[0].type: unknown field"),
    ({"references": [{"upload_id": 7}]}, f"references[0].upload_id: {TEXT}"),
    ({"references": [LINK | {"note": "x"}]}, "references[0].note: unknown field"),
    ({"extract_content": 0}, "extract_content: must be a boolean"),
]


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("fields", "problem"), [*BAD_CREATES, *BAD_REFERENCES])
def test_create_refuses_what_the_contract_does_not_allow(api, refused, fields, problem):
    assert problem in refused(api("POST", "/projects", {"brief": "B", **fields}), 400, "validation_error")
    assert api.store.projects() == []


@pytest.mark.parametrize(("fields", "problem"), BAD_SETTINGS)
def test_patch_refuses_what_the_contract_does_not_allow(api, refused, fields, problem):
    project_id = api.idle()
    assert problem in refused(api("PATCH", f"/projects/{project_id}/settings", fields), 400, "validation_error")
    assert api.kinds() == ["create"]


@pytest.mark.parametrize("field", ["brief", "aspect_ratio", "references", "extract_content", "idempotency_key"])
def test_patch_never_takes_what_is_fixed_at_creation(api, refused, field):
    answer = api("PATCH", f"/projects/{api.idle()}/settings", {field: "16:9"})
    assert refused(answer, 400, "validation_error") == f"{field}: unknown field"


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        *BAD_REFERENCES,
        ({"message": ""}, "message: must not be empty"),
        (
            {"message": "x" * (contract.current().max_length("message") + 1)},
            "message: must be at most 10000 characters",
        ),
        ({"message": 1}, f"message: {TEXT}"),
        ({"idempotency_key": "k"}, "idempotency_key: unknown field"),
    ],
)
def test_a_message_that_breaks_the_contract_is_refused(api, refused, fields, problem):
    answer = api("POST", f"/projects/{api.idle()}/messages", {"message": "M", **fields})
    assert problem in refused(answer, 400, "validation_error")
    assert api.kinds() == ["create"]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({}, "project_id: is required"),
        ({"project_id": 5}, f"project_id: {TEXT}"),
        ({"project_id": STUDIO_PROJECTS[0].id, "mode": "none"}, "mode: must be one of"),
        ({"project_id": STUDIO_PROJECTS[0].id, "title": "T"}, "title: unknown field"),
    ],
)
def test_adopt_refuses_what_the_contract_does_not_allow(api, refused, body, problem):
    assert problem in refused(api("POST", "/projects/adopt", body), 400, "validation_error")


def test_every_field_error_of_a_body_is_named_joined_by_semicolons(api, refused):
    message = refused(api("POST", "/projects", {"title": 1, "x": 2}), 400, "validation_error")
    assert message == f"brief: is required; title: {TEXT}; x: unknown field"


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"", "valid JSON"),
        (b"{", "valid JSON"),
        (b'{"brief": NaN}', "valid JSON"),
        (b'{"brief": "\xff"}', "valid JSON"),
        (b'{"brief": "\\ud800"}', "valid JSON"),
        (b"[" * 100_000, "valid JSON"),
        (b"[]", "body: must be an object"),
        (b'"brief"', "body: must be an object"),
        (b"null", "body: must be an object"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(api, refused, raw, problem):
    assert problem in refused(api("POST", "/projects", content=raw), 400, "validation_error")


def test_a_body_may_be_as_large_as_the_limit_and_no_larger(api, refused):
    fitting = b'{"brief": "B"}'.ljust(contract.current().limits.body_bytes)
    assert api("POST", "/projects", content=fitting).status_code == 202
    refused(api("POST", "/projects", content=fitting + b" "), 413, "validation_error")
    assert api.store.requests()[-1].body is None


def test_lengths_are_counted_in_characters_and_the_longest_is_taken(api):
    api.create(
        "é" * contract.current().max_length("brief"),
        title="ü" * contract.current().max_length("title"),
        idempotency_key="k" * contract.current().max_length("idempotency_key"),
    )
    assert api.store.projects()[0]["title"] == "ü" * contract.current().max_length("title")


def test_as_many_references_as_the_contract_allows_are_taken(api):
    references = [LINK] * contract.current().limits.url_references + [UPLOAD] * (
        contract.current().limits.references - contract.current().limits.url_references
    )
    api.create(references=references, extract_content=False)
    assert api.store.projects()[0]["references"] == references
    assert api.store.projects()[0]["extract_content"] is False


def test_the_content_type_of_a_body_does_not_matter(api):
    answer = api("POST", "/projects", content=b'{"brief": "B"}', headers={"Content-Type": "text/plain"})
    assert answer.status_code == 202


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("limit=0", "limit: must be an integer from 1 to 100"),
        ("limit=101", "limit: must be an integer from 1 to 100"),
        ("limit=ten", "limit: must be"),
        ("limit=1.0", "limit: must be"),
        ("limit=%205", "limit: must be"),
        ("limit=1_0", "limit: must be"),
        ("limit=", "limit: must be"),
        ("limit=%D9%A5", "limit: must be"),
        ("limit=1&limit=2", "limit: must be given once"),
        ("offset=-1", "offset: must be an integer from 0"),
        ("offset=99999999999999999999999", "offset: must be"),
        ("cursor=x", "cursor: is not a parameter of this call"),
    ],
)
def test_the_list_refuses_a_query_outside_the_contract(api, refused, query, problem):
    assert problem in refused(api("GET", f"/projects?{query}"), 400, "validation_error")


@pytest.mark.parametrize("query", ["limit=0", "limit=51", "offset=1", "after=msg_nobody", "before=msg_nobody"])
def test_the_conversation_refuses_a_query_outside_the_contract(api, refused, query):
    refused(api("GET", f"/projects/{api.create()}/messages?{query}"), 400, "validation_error")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/projects", {"brief": "B"}),
        ("POST", "/projects/adopt", {"project_id": STUDIO_PROJECTS[0].id}),
        ("GET", "/projects/{id}", None),
        ("PATCH", "/projects/{id}/settings", {"title": "T"}),
        ("POST", "/projects/{id}/cancel", None),
        ("POST", "/projects/{id}/messages", {"message": "M"}),
        ("GET", "/account/credits", None),
    ],
)
def test_a_call_that_takes_no_query_refuses_one(api, refused, method, path, body):
    project_id = api.idle()
    answer = api(method, path.format(id=project_id) + "?verbose=1", body)
    assert refused(answer, 400, "validation_error") == "verbose: is not a parameter of this call"
    assert api.kinds() == ["create"]


def test_cancel_takes_an_empty_body_and_refuses_fields(api, refused):
    project_id = api.create()
    refused(api("POST", f"/projects/{project_id}/cancel", {"reason": "x"}), 400, "validation_error")
    assert api("POST", f"/projects/{project_id}/cancel", {}).status_code == 200
