"""The environment's proxies: NO_PROXY in any form stops nobody and is kept to; a proxy of no use is named, not shown."""

import asyncio
from itertools import cycle

import httpx
import pytest

from reconciler.adapters.api.client import ApiClient
from reconciler.adapters.api.limiter import RateLimiter
from reconciler.adapters.media.client import MediaClient
from reconciler.model.errors import ApiError, ConfigError, DownloadError
from reconciler.proxies import proxy_for
from tests.adapters.api_support import BRIEF, KEY
from tests.cli.cli_support import make_space
from tests.sampling import square
from tests.virtual_time import run

API = "https://api.eversince.invalid/api/v1"
EXEMPT = [
    "*",
    "*,",
    "example.com, *",
    "api.eversince.invalid",
    "API.Eversince.INVALID",
    "api.eversince.invalid.",
    ".eversince.invalid",
    "eversince.invalid",
    "*.eversince.invalid",
    "*eversince.invalid",
    " localhost , .eversince.invalid ",
    "localhost .eversince.invalid",
    "localhost,,eversince.invalid,",
    "[::1],eversince.invalid",
    "::1,[fe80::]/10,eversince.invalid:443",
    "api.eversince.invalid:443",
    "https://api.eversince.invalid",
    "https://api.eversince.invalid/",
    "all://eversince.invalid",
    "[,]:,eversince.invalid",
]
PROXIED = [
    "",
    ",",
    " , ,, ",
    ":",
    "/",
    "::1",
    "[::1]",
    "[::1]:8080",
    "localhost,::1",
    "localhost,127.0.0.1,::1",
    "127.0.0.0/8,10.0.0.0/8,::1/128,fd00::/8",
    "10.0.0.0/99,10.0.0/8,/8",
    "fe80::1%eth0",
    "[::1",
    "::1]",
    "[]",
    "example.com:8080:9090",
    "example.com:port",
    "http://[::1",
    "https://",
    "://",
    "http://api.eversince.invalid",
    "since.invalid",
    "*.api.eversince.invalid",
    "api.eversince.invalid:8443",
    "api.eversince.invalid:",
    "<local>",
    "bücher.example",
    "a b\tc",
    "%zz,\\,?,#,@,user@host",
    "x" * 5000,
]


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for kind in ("http", "https", "all", "no"):
        for name in (f"{kind}_proxy", f"{kind.upper()}_PROXY"):
            monkeypatch.delenv(name, raising=False)


async def connects(monkeypatch, values, work):
    """The hosts for which a proxy was asked while work was done, and what that raised."""
    asked = []

    async def refuse(reader, writer) -> None:
        target = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        if not target.startswith("/"):  # nobody asks a proxy so: it was for a server that had this port before
            asked.append(target)
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        for name, value in values.items():
            monkeypatch.setenv(name, value.replace("PROXY", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
        with pytest.raises((ApiError, DownloadError)) as caught:
            await work()
    return asked, caught.value


async def create():
    async with ApiClient(API, KEY, limiter=RateLimiter(1_000), retries=0) as client:
        await client.create(BRIEF)


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("listed", "exempt", "name"),
    [
        *((listed, True, name) for listed, name in zip(EXEMPT, cycle(["NO_PROXY", "no_proxy"]))),
        *((listed, False, name) for listed, name in zip(PROXIED, cycle(["NO_PROXY", "no_proxy"]))),
    ],
)
def test_any_no_proxy_is_taken_and_kept_to_by_the_api_client(monkeypatch, listed, exempt, name):
    async def main() -> None:
        asked, error = await connects(monkeypatch, {"HTTPS_PROXY": "PROXY", name: listed}, create)
        assert error.fate == "not_done"
        assert asked == ([] if exempt else ["api.eversince.invalid:443"])

    run(main())


@pytest.mark.parametrize(
    ("listed", "exempt"), [("*", True), ("::1,.eversince.invalid", True), ("[::1]:80,10.0.0.0/8", False)]
)
def test_files_are_fetched_past_the_proxy_only_where_no_proxy_says_so(monkeypatch, tmp_path, listed, exempt):
    async def fetch():
        async with MediaClient(local=False) as media:
            url = "https://files.eversince.invalid/a.mp4"
            await media.fetch(url, tmp_path, "a", known=None, tell=lambda *_: None)

    async def main() -> None:
        asked, _ = await connects(monkeypatch, {"https_proxy": "PROXY", "NO_PROXY": listed}, fetch)
        assert set(asked) == (set() if exempt else {"files.eversince.invalid:443"})

    run(main())


@pytest.mark.parametrize(
    ("url", "listed", "exempt"),
    [
        ("https://10.1.2.3", "10.0.0.0/8", True),
        ("https://10.1.2.3", "10.1.2.3/24", True),
        ("https://10.1.2.3", "10.1.2.3", True),
        ("https://10.1.2.3:8443", "10.1.2.3:8443", True),
        ("https://10.1.2.3:8443", "10.1.2.3:443", False),
        ("https://10.1.2.3:8443", "10.0.0.0/8:8443", True),
        ("https://10.1.2.3", "10.*", True),
        ("https://11.1.2.3", "10.0.0.0/8", False),
        ("https://110.1.2.3", "10.1.2.3", False),
        ("https://[2001:db8::5]", "2001:db8::/32", True),
        ("https://[2001:db8::5]", "[2001:db8::]/32", True),
        ("https://[2001:db8::5]", "2001:DB8:0:0::5", True),
        ("https://[2001:db8::5]", "[2001:db8::5]", True),
        ("https://[2001:db8::5]:8443", "[2001:db8::5]:8443", True),
        ("https://[2001:db8::5]", "[2001:db8::5]:8443", False),
        ("https://[2001:db8::5]", "10.0.0.0/8", False),
        ("https://notexample.com", "example.com", False),
        ("https://notexample.com", ".example.com", False),
        ("https://a.example.com", ".example.com", True),
        ("https://example.com", "*.example.com", False),
        ("https://bücher.example", "bücher.example", True),
        ("https://bücher.example", "xn--bcher-kva.example", True),
        ("http://127.0.0.1", "", True),
        ("http://localhost:8080", "example.com", True),
    ],
)
def test_addresses_networks_and_names_are_matched_as_what_they_are(monkeypatch, url, listed, exempt):
    monkeypatch.setenv("ALL_PROXY", "proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", listed)
    proxy = proxy_for(httpx.URL(url))
    assert (proxy is None) is exempt
    assert exempt or str(proxy.url) == "http://proxy.example:3128"


def test_lower_case_wins_and_the_nearer_variable_over_all(monkeypatch):
    for name, value in {"ALL_PROXY": "socks5://all", "HTTPS_PROXY": "upper:1", "https_proxy": "lower:2"}.items():
        monkeypatch.setenv(name, value)
    assert str(proxy_for(httpx.URL(API)).url) == "http://lower:2"


ODD = [
    "socks5://user:swordfish@proxy:1080",
    "socks5h://swordfish@proxy",
    "socks4://swordfish@proxy",
    "gopher://swordfish@proxy",
    "http://user:swordfish@proxy:port",
    "http://user:swordfish@proxy:99999",
    "http://user:swordfish@",
    "swordfish@:3128",
    "http://",
]


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("name", "value"), square(2, ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"], ODD))
def test_a_proxy_that_can_not_be_used_is_an_error_that_names_the_variable_only(monkeypatch, name, value):
    monkeypatch.setenv(name, value)

    async def main() -> None:
        client = ApiClient(API, KEY, limiter=RateLimiter(1_000))
        with pytest.raises(ConfigError) as caught:
            await client.__aenter__()
        found = caught.value.diagnostics[0]
        assert found.summary.startswith(f"{name} is not a usable proxy address")
        assert "swordfish" not in str(found)
        assert "NO_PROXY=api.eversince.invalid" in found.detail
        monkeypatch.setenv("NO_PROXY", "api.eversince.invalid")  # the way out that it names
        async with client:
            pass

    asyncio.run(main())


def test_the_command_says_so_without_a_traceback_and_the_sandbox_needs_no_proxy(tmp_path):
    space = make_space(tmp_path)
    odd = {"ALL_PROXY": "socks5://me:swordfish@proxy", "NO_PROXY": "*.example.com,[::1]:80,10.0.0.0/8,,"}
    space.run("plan", **odd)
    ran = space.run("--api-url", "https://eversince.ai/api/v1", "plan", code=1, EVERSINCE_API_KEY="es_live_x", **odd)
    assert "ALL_PROXY is not a usable proxy address" in ran.err
    assert "swordfish" not in ran.out + ran.err
