"""The emulated uploads: as the vendor publishes them, and strict."""

import hashlib

import pytest

from reconciler.model import contract
from tests.picture import image

PNG = image("x")
ABOUT = {"file_name": "logo.png", "content_type": "image/png", "file_size": len(PNG)}


def begin(api, **more):
    return api("POST", "/uploads", {**ABOUT, **more})


def put(api, url, content=PNG, **headers):
    path = url.removeprefix("http://sandbox")
    kept = {"Content-Type": "image/png", **headers}
    return api("PUT", path, prefix="", key=None, content=content, headers={k: v for k, v in kept.items() if v})


def confirm(api, ticket, **more):
    return api("POST", "/uploads/confirm", {"r2_key": ticket["r2_key"], **ABOUT, **more})


@pytest.fixture
def ticket(api):
    answer = begin(api)
    assert answer.status_code == 200
    return answer.json()


@pytest.fixture
def uploaded(api, ticket):
    assert put(api, ticket["upload_url"]).status_code == 200
    return confirm(api, ticket).json()["upload_id"]


def test_three_calls_give_an_id_that_a_create_and_a_message_take(api, uploaded):
    project = api.idle(references=[{"upload_id": uploaded}])
    answer = api("POST", f"/projects/{project}/messages", {"message": "x", "references": [{"upload_id": uploaded}]})
    assert answer.status_code == 202
    effect = api.store.ledger()[0]
    assert (effect.kind, effect.project_id) == ("upload", "")
    assert effect.detail["digest"] == hashlib.sha256(PNG).hexdigest() and effect.detail["upload_id"] == uploaded


def test_the_answers_are_the_published_ones(api, ticket):
    assert set(ticket) == {"upload_url", "r2_key", "expires_in"} and ticket["expires_in"] == 3600
    assert put(api, ticket["upload_url"]).content == b""
    first, second = confirm(api, ticket), confirm(api, ticket)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json() and first.json()["type"] == "image"
    assert api.kinds() == ["upload"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"content_type": "text/plain"}, "content_type: must be one of"),
        ({"file_size": 0}, "file_size: must be a number from 1 up"),
        ({"file_size": True}, "file_size: must be a number from 1 up"),
        ({"file_size": contract.current().limits.upload_bytes["image"] + 1}, "file_size: must be at most 10000000"),
        ({"file_name": ""}, "file_name: must not be empty"),
        ({"path": "x"}, "path: unknown field"),
    ],
)
def test_what_is_begun_wrongly_is_refused(api, refused, more, message):
    assert message in refused(begin(api, **more), 400, "validation_error")


def test_the_address_takes_that_file_alone(api, ticket):
    url = ticket["upload_url"]
    assert put(api, url, Authorization="Bearer es_live_test").status_code == 400
    assert put(api, url, **{"Content-Type": "image/jpeg"}).status_code == 403
    assert put(api, url, content=PNG + b".").status_code == 403
    assert put(api, url.replace("signature=", "signature=0")).status_code == 403
    assert put(api, url.replace("expires=", "expires=9")).status_code == 403
    api.wait(contract.current().limits.upload_seconds)
    assert put(api, url).status_code == 403


def test_what_was_not_sent_can_t_be_confirmed(api, refused, ticket):
    refused(confirm(api, ticket), 404, "not_found")
    refused(confirm(api, {"r2_key": "uploads/none"}), 404, "not_found")
    put(api, ticket["upload_url"])
    message = refused(confirm(api, ticket, file_size=5, file_name="b.png"), 400, "validation_error")
    assert "file_name: is not what" in message and "file_size: is not what" in message


def test_ids_of_its_own_are_checked_and_foreign_ones_pass(api, refused, uploaded):
    """The contract does not say what an id that was never given out gives."""
    api.create(references=[{"upload_id": "upl_never"}])
    api.store.lose_uploads()
    answer = api(
        "POST", "/projects", {"brief": "x", "references": [{"upload_id": "upl_never"}, {"upload_id": uploaded}]}
    )
    assert refused(answer, 400, "validation_error") == "references[1].upload_id: no such upload"


def test_an_account_without_the_vendor_s_extras_has_no_uploads(open_account, refused):
    api = open_account(requests_per_minute=0, beyond_contract=False)
    refused(begin(api), 404, "not_found")


def test_the_calls_count_against_the_rate_limit_and_the_storage_does_not(open_account):
    api = open_account(requests_per_minute=2)
    ticket = begin(api).json()
    assert put(api, ticket["upload_url"]).status_code == 200
    assert confirm(api, ticket).status_code == 201
    assert begin(api).status_code == 429
