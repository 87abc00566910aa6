"""Permanent links come from the server: only web addresses get into the state, and lists of them can't do harm."""

from __future__ import annotations

import json

import httpx
import pytest

from reconciler.adapters.api.client import ApiClient
from reconciler.adapters.api.limiter import RateLimiter
from reconciler.model.errors import ApiError, Fate
from reconciler.model.values import WireBody
from tests.virtual_time import run

HOSTILE = [
    "javascript:alert(1)",
    "file:///etc/passwd",
    "data:text/html,x",
    "https://x.example/a b",
    "https://x.example/\u001b[2J",
    "https://x.example/\n",
    "",
    "x" * 10,
    "https://x.example/" + "a" * 5000,
    7,
    None,
    ["https://x.example"],
]


def answered(document, call, status=201):
    """What a client makes of an answer."""

    async def go():
        transport = httpx.MockTransport(lambda _: httpx.Response(status, json=document))
        client = ApiClient(
            "http://sandbox/api/v1", "es_live_x", limiter=RateLimiter(1_000), transport=transport, retries=0
        )
        async with client as api:
            return await call(api)

    return run(go())


@pytest.mark.parametrize("url", HOSTILE, ids=lambda url: json.dumps(url)[:30])
def test_a_link_that_is_no_web_address_is_refused_and_may_have_been_made(url):
    for document in ({"share_url": url}, {"share_url": "https://x.example/s", "video_url": url}):
        if document.get("video_url", "") is None:
            continue  # a link without a video of its own
        with pytest.raises(ApiError) as error:
            answered(document, lambda api: api.share("proj_1", WireBody({})))
        assert error.value.fate is Fate.UNKNOWN


@pytest.mark.parametrize("document", [{}, {"shares": {}}, {"shares": [{}]}, {"shares": "x"}, [1], "x", None])
def test_a_list_of_links_that_is_none_is_unread_and_not_empty(document):
    with pytest.raises(ApiError):
        answered(document, lambda api: api.shares(), status=200)


@pytest.mark.parametrize("document", [[], {"shares": []}])
def test_a_list_may_be_empty(document):
    assert answered(document, lambda api: api.shares(), status=200) == ()


def test_more_links_than_a_page_is_believed_to_have_are_refused():
    links = {"shares": [{"share_url": f"https://x.example/{n}", "title": "t" * 500} for n in range(20_000)]}
    with pytest.raises(ApiError):
        answered(links, lambda api: api.shares(), status=200)
