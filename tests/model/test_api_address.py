"""Which addresses are one API: what a state was made with may be written otherwise in the configuration."""

import itertools

import pytest

from reconciler.model.errors import StateMismatchError
from reconciler.model.hosts import same_api
from reconciler.model.state import State, owned

LOCAL = ["http://localhost:8080/api/v1", "http://127.0.0.1:8080/api/v1", "http://[::1]:8080/api/v1"]
ONE = [
    [*LOCAL, "http://LOCALHOST:8080/api/v1/", "http://[0:0:0:0:0:0:0:1]:8080/api/v1", "HTTP://localhost.:8080/api/v1"],
    ["http://localhost/v1", "http://127.0.0.1:80/v1", "http://[::1]/v1//"],
    [
        "https://eversince.ai/api/v1",
        "https://EverSince.AI/api/v1/",
        "https://eversince.ai:443/api/v1",
        "https://eversince.ai./api/v1",
    ],
    ["https://[2001:db8::1]/", "https://[2001:DB8:0:0::1]", "https://[2001:db8::1]:443"],
    ["sandbox"],
]
OTHERS = [
    "http://localhost:8081/api/v1",  # another port
    "http://localhost:8080/api/v2",  # another path
    "http://localhost:8080/API/v1",
    "http://localhost:8080",
    "https://localhost:8080/api/v1",  # another scheme
    "http://127.0.0.2:8080/api/v1",  # may be another server
    "http://localhost.example:8080/api/v1",
    "http://example.com:8080/api/v1",
    "http://localhost:99999/api/v1",
    "http://[::1:8080/api/v1",
    "sandbox",
    "",
]


@pytest.mark.parametrize(("one", "other"), [pair for group in ONE for pair in itertools.product(group, group)])
def test_one_api_however_its_address_is_written(one, other):
    assert same_api(one, other)
    state = State(lineage="l", workspace="w", api_url=one)
    assert owned(state, workspace="w", api_url=other) is state  # and it keeps the address that it has


@pytest.mark.parametrize(
    ("one", "other"),
    [*((LOCAL[0], other) for other in OTHERS), *((a[0], b[0]) for a, b in itertools.combinations(ONE, 2))],
)
def test_another_port_path_scheme_or_host_is_another_api(one, other):
    assert not same_api(one, other) and not same_api(other, one)
    with pytest.raises(StateMismatchError, match="belongs to API"):
        owned(State(lineage="l", workspace="w", api_url=one), workspace="w", api_url=other)
